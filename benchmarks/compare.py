"""The loop of the tutorials, ultralytics' own streams, and surveil: frames a second on one clip with one model.

    python benchmarks/compare.py --model MODEL [--weights YOLO.pt] [--video FILE] [--seconds 8] [--rounds 3]

The ways take turns, round after round, so that a machine whose speed drifts is fair to all; the median of the rounds
counts, and what counts of it is the ratio to the plain loop. Detection only, but for `track` and surveil, which track
too (surveil decides on alerts besides). With --weights (or an architecture such as yolov8n.yaml, whose random weights
are as fast as trained ones) the plain loop on torch takes part, and surveil with what `surveil models export` makes of
the weights for the clip's shape, INT8. Writes compare.json and compare.png.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from surveil.detect.quiet import quieten

quieten()
# The plain loop gets what it would have without us: torch's own way to wait.
os.environ.pop("OMP_WAIT_POLICY")

import cv2  # noqa: E402
import torch  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.progress import track as progress  # noqa: E402
from rich.table import Table  # noqa: E402
from ultralytics import YOLO  # noqa: E402

from surveil.bench import Pipeline, frames_of  # noqa: E402
from surveil.capture import test_card  # noqa: E402
from surveil.capture.samples import samples  # noqa: E402
from surveil.config import Config  # noqa: E402
from surveil.detect import yolo  # noqa: E402
from surveil.detect.engines import EngineCache  # noqa: E402
from surveil.detect.export import CALIBRATION_FRAMES, Order, export  # noqa: E402
from surveil.models import covering  # noqa: E402

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


def pipeline(model: Path, video: Path, seconds: float) -> float:
    """Return the frames a second of surveil's whole pipeline."""
    config = Config.model_validate_json(
        json.dumps({"cameras": {"bench": {"source": str(video)}}, "detector": {"model": str(model)}})
    )
    detector = yolo.loaded(model, 640, config.detector.confidence, "auto")
    frames, took = Pipeline(config, detector, {"bench": frames_of("bench", video, detector)}).run(seconds)
    return frames / took


def exported(weights: Path, video: Path, cache: Path) -> Path:
    """Return what `surveil models export --calibrate VIDEO` makes of the weights."""
    pictures = list(samples(str(video), CALIBRATION_FRAMES))
    size = covering([(image.shape[0], image.shape[1]) for image in pictures], 640)
    return export(Order(weights, "openvino", "int8", size, 1, pictures), EngineCache(cache)).model


def ways(model: Path, video: Path, seconds: float) -> dict[str, Callable[[], float]]:
    """Return each way to see a video as what measures it once."""
    loaded = {name: YOLO(str(model), task="detect") for name in ("plain", "stream", "track")}
    return {
        "plain loop (cv2 + predict)": lambda: rate(plain(loaded["plain"], video), seconds),
        "ultralytics predict(stream=True)": lambda: rate(stream(loaded["stream"], video), seconds),
        "ultralytics track()": lambda: rate(tracked(loaded["track"], video), seconds),
        "surveil": lambda: pipeline(model, video, seconds),
    }


def ways_of_weights(weights: Path, engine: Path, video: Path, seconds: float) -> dict[str, Callable[[], float]]:
    """Return the ways that start from weights: torch in the plain loop, and the engine made for this clip."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))  # where it is told otherwise, it uses one
    loaded = YOLO(str(weights), task="detect")
    return {
        "plain loop on the weights (torch)": lambda: rate(plain(loaded, video), seconds),
        "surveil, engine made for the clip": lambda: pipeline(engine, video, seconds),
    }


def main() -> None:
    """Measure, show and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--weights")
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
        kinds = ways(said.model, video, said.seconds)
        if said.weights is not None:
            weights = Path(folder, Path(said.weights).stem + ".pt")
            YOLO(said.weights).save(str(weights))
            kinds |= ways_of_weights(weights, exported(weights, video, Path(folder)), video, said.seconds)
        runs = [run for _ in range(said.rounds) for run in kinds.items()]
        for name, measure in progress(runs, description="measuring", console=Console(stderr=True)):
            measured.setdefault(name, []).append(measure())
    medians = {name: statistics.median(rates) for name, rates in measured.items()}
    base = next(iter(medians.values()))
    result = {
        "model": said.model.name,
        "weights": said.weights,
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
    figure, axes = plt.subplots(figsize=(8, 0.8 + 0.5 * len(names)))
    bars = axes.barh(names, ratios, color=["#2563eb" if "surveil" in name else "#9aa5b1" for name in names])
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
