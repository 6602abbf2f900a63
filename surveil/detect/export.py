"""From weights to an engine for this machine, with ultralytics' exporter; made once and kept in the cache."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surveil.detect import backend
from surveil.detect.engines import Engine, EngineCache, Format, Precision, Recipe, digest_of, machine
from surveil.detect.quiet import quieten
from surveil.interfaces import ModelError
from surveil.messages import Image

CALIBRATION_FRAMES = 300
"""NNCF's own default for post-training quantisation."""
_BITS = {"fp32": 32, "fp16": 16, "int8": 8}


@dataclass(frozen=True, slots=True)
class Order:
    """What engine is wanted. `calibration` are pictures from the cameras it is for; INT8 needs them."""

    weights: Path
    format: Format
    precision: Precision
    size: tuple[int, int]
    batch: int = 1
    calibration: Sequence[Image] = ()

    def recipe(self) -> Recipe:
        """Return the recipe that this order comes down to. Raises ModelError."""
        pictures = None
        if self.precision == "int8":
            digest = hashlib.sha256()
            for image in self.calibration:
                digest.update(image.tobytes())
            pictures = digest.hexdigest()
        return Recipe(
            digest_of(self.weights), self.format, self.precision, self.size, self.batch, pictures, machine(self.format)
        )


def export(order: Order, cache: EngineCache) -> Engine:
    """Return the engine that `order` asks for: the one in the cache, or a new one. Raises ModelError."""
    if order.weights.suffix != ".pt":
        raise ModelError(f"{order.weights} cannot be exported: only .pt weights can")
    if order.precision == "int8" and not order.calibration:
        raise ModelError("INT8 needs pictures to be calibrated with: name recordings of your cameras with --calibrate")
    recipe = order.recipe()
    there = cache.get(recipe)
    if there is not None:
        return there
    with tempfile.TemporaryDirectory(prefix="surveil-export-") as folder:
        built = _exported(order, Path(folder))
        try:
            return cache.add(order.weights.name, recipe, built)
        except OSError as error:
            raise ModelError(f"{cache.root} cannot be written: {error.strerror}") from None


def _exported(order: Order, folder: Path) -> Path:
    """Let ultralytics export into `folder`; return what it wrote."""
    quieten()
    # It writes beside the weights, which may lie where nobody may write.
    weights = Path(shutil.copy(order.weights, folder / order.weights.name))
    options: dict[str, Any] = {
        "format": order.format,
        "imgsz": list(order.size),
        "batch": order.batch,
        "quantize": _BITS[order.precision],
        "device": "0" if order.format == "engine" else "cpu",
    }
    if order.precision == "int8":
        options["data"] = str(_dataset(order.calibration, folder / "calibration"))
    try:
        from ultralytics import YOLO

        with _only_what_matters():
            return Path(YOLO(str(weights), task="detect").export(**options))
    except Exception as error:
        raise ModelError(f"{order.weights} cannot be exported: {backend.first_line(error)}") from error


@contextlib.contextmanager
def _only_what_matters() -> Iterator[None]:
    """Keep the exporters' chatter from the log, and their progress bars off stdout, which is for results."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def _dataset(pictures: Sequence[Image], folder: Path) -> Path:
    """Write the pictures as the smallest data set that ultralytics takes; return its description."""
    import cv2

    images = folder / "images" / "val"
    images.mkdir(parents=True)
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(images / f"{number:05}.png"), picture)
    about = folder / "data.yaml"
    about.write_text(f"path: {folder}\ntrain: images/val\nval: images/val\nnames: {{0: thing}}\n", encoding="utf-8")
    return about
