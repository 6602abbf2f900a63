"""How much of a GPU's raw speed the whole pipeline keeps: YOLOv8n and s, half precision, batches of 1 to 32.

    python benchmarks/gpu.py [--models yolov8n.pt yolov8s.pt] [--video FILE] [--batches 1 2 4 8 16 32] [--seconds 5]

For each batch: the network alone on pictures that lie on the device already; surveil's whole pipeline (letterbox,
upload, network, suppression, tracking, policy) fed from memory by as many cameras as the batch has pictures; and the
same with the cameras decoding the video on the CPU. An architecture such as yolov8n.yaml stands for weights that are
not at hand: random ones are as fast. Writes gpu-NAME.json and gpu-NAME.png, named after the device. Without a GPU it
runs on the CPU.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from surveil.detect.quiet import quieten

quieten()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.progress import track as progress  # noqa: E402
from rich.table import Table  # noqa: E402
from ultralytics import YOLO  # noqa: E402

from surveil.bench import Pipeline, frames_of  # noqa: E402
from surveil.capture import test_card  # noqa: E402
from surveil.config import Config  # noqa: E402
from surveil.detect import backend  # noqa: E402
from surveil.detect.backend import BackendDetector  # noqa: E402
from surveil.messages import Frame, Image  # noqa: E402


def raw(detector: BackendDetector, batch: int, shape: tuple[int, int], seconds: float) -> float:
    """Return pictures a second of the network alone."""
    network = detector._backend
    kind = torch.float16 if network.fp16 else torch.float32
    pictures = torch.zeros((batch, 3, *shape), dtype=kind, device=network.device)
    pictures = pictures.to(memory_format=torch.channels_last)

    def go(times: int) -> None:
        with torch.inference_mode():
            for _ in range(times):
                network(pictures)
        if network.device.type == "cuda":
            torch.cuda.synchronize()

    go(5)
    done, began = 0, time.monotonic()
    while time.monotonic() - began < seconds:
        go(5)
        done += 5
    return done * batch / (time.monotonic() - began)


def from_memory(camera: str, pictures: list[Image]) -> Iterator[Frame]:
    """Yield frames for ever, thirty a second by their own clock."""
    for index, image in enumerate(itertools.cycle(pictures)):
        yield Frame(camera, index, index / 30, index / 30, image, image.copy)


def row(detector: BackendDetector, batch: int, pictures: list[Image], video: Path, seconds: float) -> dict[str, float]:
    """Measure one batch size."""
    config = Config.model_validate_json('{"cameras": {"bench": {"source": "bench"}}}')
    detector.batch = batch
    names = [f"cam-{number}" for number in range(batch)]
    height, width = pictures[0].shape[:2]
    shape = (-(-height // backend.STRIDE) * backend.STRIDE, -(-width // backend.STRIDE) * backend.STRIDE)
    alone = raw(detector, batch, shape, seconds)
    memory = Pipeline(config, detector, {name: from_memory(name, pictures) for name in names}).run(seconds)
    decoded = Pipeline(config, detector, {name: frames_of(name, video, detector) for name in names}).run(seconds)
    return {
        "batch": batch,
        "raw_fps": round(alone, 1),
        "memory_fps": round(memory[0] / memory[1], 1),
        "share": round(memory[0] / memory[1] / alone, 3),
        "decoded_fps": round(decoded[0] / decoded[1], 1),
    }


def main() -> None:
    """Measure, show and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["yolov8n.yaml", "yolov8s.yaml"])
    parser.add_argument("--video", type=Path)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    said = parser.parse_args()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    result: dict[str, Any] = {"device": device, "models": {}}
    with tempfile.TemporaryDirectory() as folder:
        video = said.video or Path(folder, "test-card.mp4")
        if said.video is None:
            test_card.write(video)
        for model in said.models:
            weights = Path(folder, Path(model).stem + ".pt")
            YOLO(model).save(str(weights))
            detector = backend.load(weights, imgsz=640, confidence=0.25, device="auto")
            pictures = [frame.image for frame in itertools.islice(frames_of("bench", video, detector), 64)]
            batches = progress(said.batches, description=model, console=Console(stderr=True))
            rows = [row(detector, batch, pictures, video, said.seconds) for batch in batches]
            result["models"][detector.name] = rows
    show(result)
    said.out.mkdir(parents=True, exist_ok=True)
    name = "gpu-" + re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")
    (said.out / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    plot(result, said.out / f"{name}.png")


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    for model, rows in result["models"].items():
        shown = Table(title=f"{model}, {result['device']}: pictures a second")
        for heading in ("batch", "network alone", "pipeline from memory", "share", "pipeline, CPU decode"):
            shown.add_column(heading, justify="right")
        for one in rows:
            shown.add_row(*(str(value) for value in one.values()))
        Console().print(shown)


def plot(result: dict[str, Any], file: Path) -> None:
    """Draw pictures a second over the batch."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, all_axes = plt.subplots(1, len(result["models"]), figsize=(6 * len(result["models"]), 3.6), squeeze=False)
    for axes, (model, rows) in zip(np.ravel(all_axes), result["models"].items(), strict=True):
        batches = [one["batch"] for one in rows]
        for key, label in (("raw_fps", "network alone"), ("memory_fps", "pipeline, from memory"),
                           ("decoded_fps", "pipeline, CPU decode")):  # fmt: skip
            axes.plot(batches, [one[key] for one in rows], marker="o", label=label)
        axes.set_title(model, fontsize=10)
        axes.set_xlabel("batch")
        axes.set_ylabel("pictures a second")
        axes.set_xscale("log", base=2)
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
