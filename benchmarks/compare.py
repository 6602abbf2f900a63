"""The loop of the tutorials, ultralytics' own streams, and surveil: frames a second on one clip with one model.

    python benchmarks/compare.py --model MODEL [--video FILE] [--seconds 8] [--rounds 3] [--out benchmarks/results]

The ways take turns, round after round, so that a machine whose speed drifts is fair to all; the median of the rounds
counts, and what counts of it is the ratio to the plain loop. Detection only, but for `track` and surveil, which track
too (surveil decides on alerts besides). Writes compare.json and compare.png.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from surveil.detect.quiet import quieten

quieten()

import cv2  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.progress import track as progress  # noqa: E402
from rich.table import Table  # noqa: E402
from ultralytics import YOLO  # noqa: E402

from surveil.bench import bench  # noqa: E402
from surveil.capture import test_card  # noqa: E402
from surveil.config import Config  # noqa: E402

WARM_UP = 10


def plain(model: Any, video: Path) -> Iterator[object]:
    """`cv2.VideoCapture` and `YOLO.predict` in one loop."""
    while True:
        capture = cv2.VideoCapture(str(video))
        while True:
            there, frame = capture.read()
            if not there:
                break
            yield model.predict(frame, verbose=False, conf=0.25)
        capture.release()


def stream(model: Any, video: Path) -> Iterator[object]:
    """ultralytics' own reading of the file."""
    while True:
        yield from model.predict(str(video), stream=True, verbose=False, conf=0.25)


def tracked(model: Any, video: Path) -> Iterator[object]:
    """ultralytics' own reading and ByteTrack."""
    while True:
        yield from model.track(str(video), stream=True, verbose=False, conf=0.25, tracker="bytetrack.yaml")


def rate(work: Iterator[object], seconds: float) -> float:
    """Return steps a second, after a warm-up."""
    for _ in itertools.islice(work, WARM_UP):
        pass
    done, began = 0, time.monotonic()
    while time.monotonic() - began < seconds:
        next(work)
        done += 1
    return done / (time.monotonic() - began)


def ways(model: Path, video: Path, seconds: float) -> dict[str, Callable[[], float]]:
    """Return each way to see a video as what measures it once."""
    config = Config.model_validate_json(
        json.dumps({"cameras": {"bench": {"source": str(video)}}, "detector": {"model": str(model)}})
    )
    loaded = {name: YOLO(str(model), task="detect") for name in ("plain", "stream", "track")}
    return {
        "plain loop (cv2 + predict)": lambda: rate(plain(loaded["plain"], video), seconds),
        "ultralytics predict(stream=True)": lambda: rate(stream(loaded["stream"], video), seconds),
        "ultralytics track()": lambda: rate(tracked(loaded["track"], video), seconds),
        "surveil": lambda: bench(config, video, 3 * seconds).pipeline_fps,
    }


def main() -> None:
    """Measure, show and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--video", type=Path)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        video = said.video or Path(folder, "test-card.mp4")
        if said.video is None:
            test_card.write(video)
        measured: dict[str, list[float]] = {}
        runs = [run for _ in range(said.rounds) for run in ways(said.model, video, said.seconds).items()]
        for name, measure in progress(runs, description="measuring", console=Console(stderr=True)):
            measured.setdefault(name, []).append(measure())
    medians = {name: statistics.median(rates) for name, rates in measured.items()}
    base = next(iter(medians.values()))
    result = {
        "model": said.model.name,
        "video": said.video.name if said.video else "test card 1920x1080, H.264",
        "machine": platform.machine(),
        "rounds": said.rounds,
        "ways": {
            name: {"ratio_to_plain": round(value / base, 2), "fps": [round(one, 1) for one in measured[name]]}
            for name, value in medians.items()
        },
    }
    show(result)
    said.out.mkdir(parents=True, exist_ok=True)
    (said.out / "compare.json").write_text(json.dumps(result, indent=2) + "\n")
    plot(result, said.out / "compare.png")


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    shown = Table(title=f"{result['model']}, {result['video']}")
    for heading in ("way", "times the plain loop", "frames a second, round by round"):
        shown.add_column(heading, justify="left" if heading == "way" else "right")
    for name, way in result["ways"].items():
        shown.add_row(name, f"{way['ratio_to_plain']:.2f}", " ".join(map(str, way["fps"])))
    Console().print(shown)


def plot(result: dict[str, Any], file: Path) -> None:
    """Draw the ratios as bars."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    names = list(result["ways"])
    ratios = [result["ways"][name]["ratio_to_plain"] for name in names]
    figure, axes = plt.subplots(figsize=(8, 2.8))
    bars = axes.barh(names, ratios, color=["#9aa5b1"] * (len(names) - 1) + ["#2563eb"])
    axes.bar_label(bars, fmt="%.2f", padding=4)
    axes.invert_yaxis()
    axes.set_xlim(0, max(ratios) * 1.15)
    axes.set_xlabel("frames a second, times the plain loop")
    axes.set_title(f"{result['model']}, {result['video']}", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
