"""`surveil models`: the engines there are, and a new one for this machine, compared with its weights."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from surveil.capture.decoding import fitted
from surveil.capture.samples import samples
from surveil.detect import boxes, yolo
from surveil.detect.backend import MAX_BATCH, MAX_BATCH_ON_GPU, STRIDE
from surveil.detect.detection import detections
from surveil.detect.engines import TITLES, Engine, EngineCache, Format, Precision
from surveil.detect.export import CALIBRATION_FRAMES, Order, export
from surveil.interfaces import Detector, ModelError
from surveil.messages import Detections, Image

COMPARED = 40
"""Pictures on which a new engine and its weights are compared."""
_FLOOR = 0.25


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user said; None where the machine or the recordings decide."""

    weights: Path
    imgsz: int
    device: str
    cameras: int | None = None
    recordings: Sequence[Path] = ()
    format: Format | None = None
    precision: Precision | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """An engine against its weights: pictures a second, and how many of the weights' boxes the engine has."""

    weights_fps: float
    engine_fps: float
    shared: int
    boxes: int


def make(wish: Wish) -> Engine:
    """Export what is wished for, show how it compares, and return it. Raises ModelError, CaptureError."""
    console = Console(stderr=True)
    pictures = _pictures(wish.recordings, console)
    order = _order(wish, pictures)
    title = order.recipe().title
    cache = EngineCache()
    if cache.get(order.recipe()) is not None:
        console.print(f"{wish.weights.name} as {title} is there already")
        return export(order, cache)
    console.print(f"making {title} from {wish.weights.name}; this takes a minute or a few")
    engine = export(order, cache)
    console.print(_compared(engine, wish, _compare(engine, wish, pictures)))
    return engine


def _order(wish: Wish, pictures: list[Image]) -> Order:
    made_for = wish.format or yolo.runnable(wish.device)[0]
    precision: Precision = wish.precision or ("int8" if pictures else "fp32" if made_for == "onnx" else "fp16")
    size = wish.size or covering([(image.shape[0], image.shape[1]) for image in pictures], wish.imgsz)
    # A GPU takes a picture of each camera in one go; a CPU sees one after the other on each core.
    batch = min(wish.cameras or MAX_BATCH, MAX_BATCH_ON_GPU) if made_for == "engine" else 1
    return Order(wish.weights, made_for, precision, size, batch, pictures)


def covering(sizes: Sequence[tuple[int, int]], imgsz: int) -> tuple[int, int]:
    """Return the smallest input, `imgsz` on its longer side, into which pictures of these sizes fit; else a square."""
    if not sizes:
        return imgsz, imgsz
    heights, widths = zip(*((h * imgsz / max(h, w), w * imgsz / max(h, w)) for h, w in sizes), strict=True)
    return math.ceil(max(heights) / STRIDE) * STRIDE, math.ceil(max(widths) / STRIDE) * STRIDE


def _pictures(recordings: Sequence[Path], console: Console) -> list[Image]:
    pictures: list[Image] = []
    each = -(-CALIBRATION_FRAMES // max(1, len(recordings)))
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    with bar:
        for recording in recordings:
            task = bar.add_task(f"reading {recording.name}", total=each)
            for image in samples(str(recording), each):
                pictures.append(image)
                bar.advance(task)
    if pictures and len(pictures) < CALIBRATION_FRAMES:
        console.print(f"note: {len(pictures)} pictures to calibrate with, and {CALIBRATION_FRAMES} are better")
    return pictures


def _compare(engine: Engine, wish: Wish, pictures: list[Image]) -> Comparison:
    """Let the engine and the weights see the same pictures, in turn."""
    height, width = engine.recipe.size
    dice = np.random.default_rng(0)
    seen = pictures[:: max(1, len(pictures) // COMPARED)][:COMPARED] or [
        dice.integers(0, 256, (height, width, 3), np.uint8) for _ in range(COMPARED)
    ]
    seen = [_fitted(image, engine.recipe.size) for image in seen]
    exported = yolo.loaded(engine.model, wish.imgsz, _FLOOR, wish.device)
    weights = yolo.loaded(wish.weights, wish.imgsz, _FLOOR, wish.device)
    engine_fps, theirs = _seen(exported, seen)
    weights_fps, ours = _seen(weights, seen)
    return Comparison(weights_fps, engine_fps, *boxes.agreement(ours, theirs))


def _fitted(image: Image, size: tuple[int, int]) -> Image:
    height, width = fitted(image.shape[0], image.shape[1], size)
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _seen(detector: Detector, pictures: list[Image]) -> tuple[float, list[Detections]]:
    """Return pictures a second, and what was found in each."""
    began = time.monotonic()
    found = list(detections(detector, pictures))
    return len(pictures) / (time.monotonic() - began), found


def _compared(engine: Engine, wish: Wish, compared: Comparison) -> Table:
    shown = Table(title="detection only, on this machine")
    shown.add_column("what")
    shown.add_column("times as fast", justify="right")
    faster = f"{compared.engine_fps / compared.weights_fps:.1f}"
    rows: list[tuple[str, ...]] = [(f"{wish.weights.name} (torch)", "1.0"), (engine.recipe.title, faster)]
    if wish.recordings:  # what is seen in noise says nothing
        shown.add_column("boxes in the recordings", justify="right")
        percent = f" ({100 * compared.shared / compared.boxes:.0f} %)" if compared.boxes else ""
        seen = [str(compared.boxes), f"{compared.shared} of them{percent}"]
        rows = [(*row, told) for row, told in zip(rows, seen, strict=True)]
    for row in rows:
        shown.add_row(*row)
    return shown


def table(engines: Sequence[Engine]) -> Table:
    """Return the engines as a table, for people."""
    shown = Table()
    for heading in ("weights", "runs on", "precision", "input", "batch", "made (UTC)", "state"):
        shown.add_column(heading)
    for engine in engines:
        recipe = engine.recipe
        height, width = recipe.size
        shown.add_row(
            engine.source,
            TITLES[recipe.format],
            recipe.precision,
            f"{width}x{height}",
            str(recipe.batch),
            f"{engine.made:%Y-%m-%d %H:%M}",
            _state(engine),
        )
    return shown


def _state(engine: Engine) -> str:
    if not engine.current:
        return f"for {', '.join(engine.recipe.machine)}: export it anew"
    try:
        engine.verify()
    except ModelError:
        return "damaged: export it anew"
    return "ready"
