"""YOLOv8 (and whatever else ultralytics loads: .pt, .onnx, .engine, an OpenVINO folder) as a Detector."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from surveil.detect.quiet import quieten
from surveil.interfaces import Detector, ModelError, Pending
from surveil.messages import Detections, Image

MAX_BATCH = 8


class YoloDetector:
    """An ultralytics model, loaded and warmed up by the constructor's caller through `load`."""

    def __init__(self, model: Any, labels: tuple[str, ...], *, imgsz: int, confidence: float, device: str) -> None:
        self.labels = labels
        self.name = ""
        self.input_size = (imgsz, imgsz)
        self._model = model
        self._options = {"imgsz": imgsz, "conf": confidence, "device": device, "verbose": False}
        self.batch = 1
        self.depth = 1

    def start(self, images: Sequence[Image]) -> Pending:
        """See at most `batch` pictures, here and now: the predictor knows no waiting. Raises ModelError."""
        try:
            results = self._model.predict(list(images), **self._options) if images else []
            found = [_detections(result.boxes) for result in results]
        except Exception as error:
            raise ModelError(f"the detector failed: {_first_line(error)}") from error
        return lambda: found

    def warm_up(self) -> None:
        """Run once, which is when ultralytics really builds the engine, and learn its fixed sizes."""
        self.start([np.zeros((*self.input_size, 3), np.uint8)])
        backend = self._model.predictor.model
        fixed = not getattr(backend, "dynamic", False) and not getattr(backend, "pt", False)
        self.batch = int(getattr(backend, "batch", 1) or 1) if fixed else MAX_BATCH
        height, width = self._model.predictor.imgsz
        self.input_size = (int(height), int(width))


def load(model: str, *, imgsz: int, confidence: float, device: str, sha256: str | None) -> Detector:
    """Return the model in `model`, warmed up.

    Args:
        model: a file or folder that ultralytics can load, or the name of weights it publishes (`yolov8n`).
        imgsz: input height and width in pixels, for models whose input is not fixed.
        confidence: the floor below which a box does not exist, 0 to 1.
        device: auto, cpu or cuda:N.
        sha256: what a file's bytes must hash to, checked before anything of it is loaded.

    Raises ModelError.
    """
    path = _path(model)
    if sha256 and _digest(path) != sha256.lower():
        raise ModelError(f"{path} is not the file that detector.sha256 pins")
    if path.is_dir() and path.name.endswith("_openvino_model") and device in {"auto", "cpu"}:
        from surveil.detect import openvino

        direct = openvino.load(path, confidence)
        if direct is not None:
            return direct
    return through_predictor(path, imgsz=imgsz, confidence=confidence, device=device)


def through_predictor(path: Path, *, imgsz: int, confidence: float, device: str) -> YoloDetector:
    """Return the model behind ultralytics' own predictor, which runs every format it knows. Raises ModelError."""
    quieten()
    try:
        import torch
        from ultralytics import YOLO

        if device.startswith("cuda") and not torch.cuda.is_available():
            raise ModelError(f"detector.device is {device}, and torch sees no CUDA GPU here")
        if device == "auto":
            device = "cuda:0" if torch.cuda.is_available() else "cpu"
        yolo = YOLO(str(path), task="detect")
        detector = YoloDetector(yolo, (), imgsz=imgsz, confidence=confidence, device=device)
        detector.warm_up()
        names = yolo.names
    except ModelError as error:
        raise ModelError(f"{path} cannot be used as a detector: {error}") from error
    except Exception as error:
        raise ModelError(f"{path} is no model that can be loaded: {_first_line(error)}") from error
    detector.labels = tuple(names[index] for index in range(len(names)))
    detector.name = f"{path.name} on {device}"
    return detector


def _path(model: str) -> Path:
    for path in (Path(model), Path(f"{model}.pt")):
        if path.exists():
            return path
    raise ModelError(
        f'the detector model {model} is not here; download it once (README, "Your own camera") '
        "and name its path in detector.model"
    )


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from None


def _detections(boxes: Any) -> Detections:
    data = boxes.data.cpu().numpy()  # float32 (n, 6): xyxy, confidence, class
    data = data[np.isfinite(data).all(axis=1)]
    return Detections(data[:, :4].astype(np.float32), data[:, 4].astype(np.float32), data[:, 5].astype(np.int64))


def _first_line(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"this format needs a package that is not installed: pip install {error.name}"
    first = (str(error).strip().splitlines() or [""])[0][:200]
    return first if " " in first else f"{type(error).__name__} {first}".strip()
