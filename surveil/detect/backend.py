"""torch, ONNX Runtime and TensorRT, and what else ultralytics has a backend for, without its predictor around them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from surveil.detect import boxes
from surveil.detect.quiet import quieten
from surveil.interfaces import ModelError, Pending
from surveil.messages import Detections, Image

MAX_BATCH = 8
MAX_BATCH_ON_GPU = 32
STRIDE = 32
"""Sides of a network's input are multiples of this (YOLOv8's coarsest grid)."""
_NAMES = {".pt": "torch", ".onnx": "ONNX Runtime", ".engine": "TensorRT"}


class BackendDetector:
    """One loaded model on one device; used by one thread. `load` makes it.

    On a GPU `start` only lines up the work, so that the next batch is there when one ends.
    """

    def __init__(self, backend: Any, labels: tuple[str, ...], name: str, input_size: tuple[int, int], floor: float):
        self.labels = labels
        self.name = name
        self.input_size = input_size
        self._backend = backend
        self._floor = floor
        self._on_gpu = backend.device.type == "cuda"
        # A model that was exported for one size gets pictures of that size; weights take what the camera has.
        self._fixed = backend.format != "pt" and not backend.dynamic
        if self._fixed or backend.format == "engine":  # TensorRT's sizes may vary up to what it was made for
            self.batch = max(1, int(backend.batch or 1))
        else:
            self.batch = MAX_BATCH_ON_GPU if self._on_gpu else MAX_BATCH
        self.depth = 2 if self._on_gpu else 1

    def start(self, images: Sequence[Image]) -> Pending:
        """Begin with at most `batch` pictures. Raises ModelError, as does what it returns."""
        if not images:
            return list
        sizes = [image.shape[:2] for image in images]
        shape = self.input_size if self._fixed else _shape(sizes, self.input_size)
        try:
            predicted, ready = self._begun(images, shape)
        except Exception as error:
            raise ModelError(f"the detector failed: {first_line(error)}") from error

        def finish() -> list[Detections]:
            try:
                rows = self._boxes(predicted, ready)
            except Exception as error:
                raise ModelError(f"the detector failed: {first_line(error)}") from error
            return [boxes.fitted(of_one, shape, size) for of_one, size in zip(rows, sizes, strict=True)]

        return finish

    def _begun(self, images: Sequence[Image], shape: tuple[int, int]) -> tuple[Any, Any]:
        """Line up one batch; return what the network will have said, and the event after which it has."""
        import torch
        from ultralytics.data.augment import LetterBox

        letterbox = LetterBox(shape, auto=False)
        host = torch.empty((len(images), *shape, 3), dtype=torch.uint8, pin_memory=self._on_gpu)
        for row, image in zip(host.numpy(), images, strict=True):
            row[:] = letterbox(image=image)
        with torch.inference_mode():
            # Bytes go over, not floats. Height before width before colours stays as it lies: that is channels-last.
            pictures = host.to(self._backend.device, non_blocking=True).permute(0, 3, 1, 2).flip(1)
            pictures = pictures.half() if self._backend.fp16 else pictures.float()
            predicted = self._backend(pictures.div_(255))
            if isinstance(predicted, list | tuple):
                predicted = predicted[0]
            if not self._on_gpu:
                return predicted, None
            if self._backend.format != "pt":
                predicted = predicted.clone()  # such a backend says the next batch's into the same memory
            ready = torch.cuda.Event()
            ready.record()
        return predicted, ready

    def _boxes(self, predicted: Any, ready: Any) -> list[boxes.Rows]:
        import torch

        with torch.inference_mode():
            if ready is None:
                return boxes.suppressed(predicted, self._floor)
            # On a stream of its own, or it would wait for the batch that was lined up behind this one.
            beside = torch.cuda.Stream(self._backend.device)
            beside.wait_event(ready)
            with torch.cuda.stream(beside):
                return boxes.suppressed(predicted, self._floor)


def load(path: Path, *, imgsz: int, confidence: float, device: str) -> BackendDetector:
    """Return the model in `path`, warmed up.

    Args:
        path: .pt, .onnx, .engine, or a folder that ultralytics knows.
        imgsz: input height and width in pixels, for models whose input is not fixed.
        confidence: the floor below which a box does not exist, 0 to 1.
        device: auto, cpu or cuda:N.

    Raises ModelError.
    """
    quieten()
    import torch

    there = torch.cuda.is_available()
    if not there and (device.startswith("cuda") or path.suffix == ".engine"):
        who = f"detector.device is {device}" if device.startswith("cuda") else f"{path.name} is for an NVIDIA GPU"
        raise ModelError(f"{path} cannot be used as a detector: {who}, and torch sees no CUDA GPU here")
    if device == "auto":
        device = "cuda:0" if there else "cpu"
    if device == "cpu":
        torch.set_num_threads(len(os.sched_getaffinity(0)))  # where it is told otherwise, it uses one
    try:
        from ultralytics.nn.autobackend import AutoBackend

        how = {"fp16": device != "cpu", "fuse": True, "verbose": False}
        if path.suffix == ".pt":
            how["channels_last"] = True
        backend = AutoBackend(str(path), torch.device(device), **how).eval()
        size = _fixed_size(backend) or (imgsz, imgsz)
        labels = tuple(str(backend.names[index]) for index in range(len(backend.names)))
        name = f"{path.name} on {device} ({_NAMES.get(path.suffix, 'ultralytics')})"
        detector = BackendDetector(backend, labels, name, size, confidence)
        detector.start([np.zeros((*size, 3), np.uint8)])()
    except Exception as error:
        raise ModelError(f"{path} is no model that can be loaded: {_advice(path, error)}") from error
    return detector


def _fixed_size(backend: Any) -> tuple[int, int] | None:
    """Return the height and width that an exported model is for; None for one that takes any."""
    size = backend.metadata.get("imgsz") if backend.format != "pt" else None
    return (int(size[0]), int(size[1])) if size else None


def _shape(sizes: Sequence[tuple[int, ...]], most: tuple[int, int]) -> tuple[int, int]:
    """Return the smallest input that all pictures fit into, none of it larger than `most` where they do."""
    height, width = (max(STRIDE, -(-max(sides) // STRIDE) * STRIDE) for sides in zip(*sizes, strict=True))
    return min(height, most[0]), min(width, most[1])


def _advice(path: Path, error: Exception) -> str:
    said = first_line(error)
    if path.suffix == ".engine":
        said += "; an engine runs only on the GPU, TensorRT and size it was made for: surveil models export makes one"
    return said


def first_line(error: Exception) -> str:
    """Return what an error of a library says, in one line for people."""
    if isinstance(error, ModuleNotFoundError):
        return f"this format needs a package that is not installed: pip install {error.name}"
    first = (str(error).strip().splitlines() or [""])[0][:200]
    return first if " " in first else f"{type(error).__name__} {first}".strip()
