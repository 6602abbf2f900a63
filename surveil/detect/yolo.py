"""Which engine sees the pictures: the fastest that this machine has for the weights that the config names."""

from __future__ import annotations

import logging
import platform
from pathlib import Path

from surveil.detect.engines import Engine, EngineCache, Format, digest_of
from surveil.detect.quiet import quieten
from surveil.interfaces import Detector, ModelError

_log = logging.getLogger(__name__)


def load(model: str, *, imgsz: int, confidence: float, device: str, sha256: str | None) -> Detector:
    """Return the model in `model`, warmed up; for .pt weights the engine that was exported from them, if any.

    Args:
        model: a file or folder that ultralytics can load, or the name of weights it publishes (`yolov8n`).
        imgsz: longer side of the input in pixels, for models whose input is not fixed.
        confidence: the floor below which a box does not exist, 0 to 1.
        device: auto, cpu or cuda:N.
        sha256: what a file's bytes must hash to, checked before anything of it is loaded.

    Raises ModelError.
    """
    path = _path(model)
    if sha256 and digest_of(path) != sha256.lower():
        raise ModelError(f"{path} is not the file that detector.sha256 pins")
    if path.suffix == ".pt":
        exported = _exported(path, imgsz, confidence, device)
        if exported is not None:
            return exported
    detector = loaded(path, imgsz, confidence, device)
    if max(detector.input_size) != imgsz:
        height, width = detector.input_size
        _log.info("%s sees %dx%d, whatever detector.imgsz says", path.name, width, height)
    return detector


def _exported(path: Path, imgsz: int, confidence: float, device: str) -> Detector | None:
    """Return the best engine that was exported here from these weights and still runs; None without one."""
    formats = runnable(device)
    for engine in EngineCache().find(digest_of(path), imgsz, formats):
        if not engine.current:
            made, here = ", ".join(engine.recipe.machine), "surveil models export makes one for what is here now"
            _log.warning("the exported engine %s was made with %s; %s", engine.folder.name, made, here)
            continue
        try:
            return _named(engine, path, imgsz, confidence, device)
        except ModelError as error:
            _log.warning("%s; the weights take over; surveil models export makes it anew", error)
    _log.info("no engine was exported from %s for this machine; surveil models export makes a faster one", path.name)
    return None


def _named(engine: Engine, path: Path, imgsz: int, confidence: float, device: str) -> Detector:
    engine.verify()
    detector = loaded(engine.model, imgsz, confidence, device)
    place = detector.name.split(" on ", 1)[1].split(" (", 1)[0]
    detector.name = f"{path.name} on {place} ({engine.recipe.title}, exported {engine.made:%Y-%m-%d})"
    return detector


def runnable(device: str) -> tuple[Format, ...]:
    """Return the formats of engines that pay on this machine, the fastest first."""
    quieten()
    import torch

    if device.startswith("cuda") or (device == "auto" and torch.cuda.is_available()):
        return ("engine",)
    return ("openvino", "onnx") if platform.machine() == "x86_64" else ("onnx",)


def loaded(path: Path, imgsz: int, confidence: float, device: str) -> Detector:
    """Return the model that lies in `path` and no other, warmed up; see `load`. Raises ModelError."""
    from surveil.detect import backend

    if path.is_dir() and path.name.endswith("_openvino_model") and device in {"auto", "cpu"}:
        from surveil.detect import openvino

        direct = openvino.load(path, confidence, device)
        if direct is not None:
            return direct
    return backend.load(path, imgsz=imgsz, confidence=confidence, device=device)


def _path(model: str) -> Path:
    for path in (Path(model), Path(f"{model}.pt")):
        if path.exists():
            return path
    raise ModelError(
        f"the detector model {model} is not here; surveil models fetch gets it, or name its path in detector.model"
    )
