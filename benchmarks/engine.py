"""What ultralytics' predictor costs around an OpenVINO model, picture by picture, on real pictures.

    python benchmarks/engine.py --model MODEL_openvino_model --video FILE [--rounds 5]

Every tenth frame of the video, already in the detector's size, goes through the predictor and through the engine
called directly with as many under way as it takes; round after round in turn. The median counts, and of it the ratio.
Says how many pictures gave other boxes (more than 0.05 pixels apart).
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from surveil.detect.quiet import quieten

quieten()

import numpy as np  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402
from ultralytics import YOLO  # noqa: E402

from surveil.capture.video_file import Unpaced, VideoFile  # noqa: E402
from surveil.detect import openvino  # noqa: E402
from surveil.detect.detection import detections  # noqa: E402
from surveil.interfaces import Detector, EndOfFile  # noqa: E402
from surveil.messages import Detections, Image  # noqa: E402


def pictures(video: Path, detector: Detector) -> list[Image]:
    """Return every tenth frame in the detector's size."""
    source = VideoFile("bench", str(video), detector.input_size, Unpaced(0.0))
    source.open()
    kept: list[Image] = []
    try:
        for frame in source.frames():
            if frame.index % 10 == 0:
                kept.append(frame.image)  # noqa: PERF401 - `frames` ends by raising
    except EndOfFile:
        source.close()
    return kept


def predicted(model: Any, images: list[Image]) -> list[Detections]:
    """Return what ultralytics' predictor finds, one picture after the other."""
    found = []
    for image in images:
        rows = model.predict(image, conf=0.25, verbose=False)[0].boxes.data.numpy()
        found.append(Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64)))
    return found


def differ(one: Detections, two: Detections) -> bool:
    """Return whether two results are not the same boxes."""
    return len(one) != len(two) or not np.allclose(one.xyxy, two.xyxy, atol=0.05)


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    said = parser.parse_args()
    direct = openvino.load(said.model, confidence=0.25)
    if direct is None:
        parser.error(f"{said.model} takes no single picture of a fixed size")
    predictor = YOLO(str(said.model), task="detect")
    images = pictures(said.video, direct)
    ways: dict[str, Callable[[], list[Detections]]] = {
        "ultralytics' predictor": lambda: predicted(predictor, images),
        "engine called directly": lambda: list(detections(direct, images)),
    }
    for see in ways.values():
        see()
    times: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, list[Detections]] = {}
    for _, (name, see) in itertools.product(range(said.rounds), ways.items()):
        began = time.monotonic()
        found[name] = see()
        times[name].append(1000 * (time.monotonic() - began) / len(images))
    base = statistics.median(times["engine called directly"])
    shown = Table(title=f"{len(images)} pictures, {said.rounds} rounds in turn")
    for heading in ("way", "times the engine", "ms a picture, round by round"):
        shown.add_column(heading, justify="left" if heading == "way" else "right")
    for name, rounds in times.items():
        shown.add_row(name, f"{statistics.median(rounds) / base:.2f}", " ".join(f"{one:.1f}" for one in rounds))
    other = sum(differ(one, two) for one, two in zip(*found.values(), strict=True))
    console = Console()
    console.print(shown)
    console.print(f"{other} of {len(images)} pictures gave other boxes")


if __name__ == "__main__":
    main()
