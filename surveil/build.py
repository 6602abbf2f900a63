"""From what the config says to the objects that do it: detector, sources, assessor."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

from surveil import registry
from surveil.clock import Clock
from surveil.config import Camera, Config
from surveil.interfaces import Assessor, Detector, FrameSource, ModelError

_log = logging.getLogger(__name__)
NEEDED_GB = 20.0
"""Free GPU memory that Qwen2.5-VL-7B needs in half precision: 17 for weights and cache, and room for the detector."""


def detector(config: Config) -> Detector:
    """Return the loaded detector; raises ModelError, also when it does not know what a rule is about."""
    wanted = config.detector
    loaded: Detector = registry.resolve(registry.DETECTOR)(
        wanted.model,
        imgsz=wanted.imgsz,
        confidence=wanted.confidence,
        device=wanted.device,
        sha256=wanted.sha256,
    )
    wanted_by_rule = any(camera.rules for camera in config.cameras.values())
    if wanted_by_rule and "person" not in loaded.labels:
        known = ", ".join(loaded.labels[:20])
        raise ModelError(f"a rule needs the label person, which {loaded.name} lacks; it knows {known}")
    return loaded


def source(
    name: str, camera: Camera, input_size: tuple[int, int], clock: Clock
) -> Callable[[threading.Event], FrameSource]:
    """Return what makes the camera's source anew for each try; the event tells it to stop.

    Raises SecretError when the password is not where the config says.
    """
    if "://" not in camera.source:
        from surveil.capture.video_file import Pace, VideoFile

        return lambda stop: VideoFile(name, camera.source, input_size, Pace(clock, stop), camera.loop)
    kind = registry.resolve(registry.SOURCES[urlsplit(camera.source).scheme])
    password = camera.password.reveal() if camera.password else ""
    credentials = (camera.username, password) if camera.username else None
    return lambda _stop: kind(name, camera.source, credentials, camera.transport, input_size, clock)


def assessor(config: Config) -> Assessor | None:
    """Return the assessor that the config asks for and this machine can carry; None where there is none."""
    backend: str = config.assessor.backend
    if backend == "auto":
        backend, why = _chosen()
        _log.info("assessor: %s, because %s", backend, why)
    if backend == "none":
        return None
    made: Assessor = registry.resolve(registry.ASSESSORS[backend])(config.assessor.model, config.assessor.language)
    return made


def _chosen() -> tuple[str, str]:
    from surveil.assess.gpu import free_memory_gb

    free = free_memory_gb()
    if free is None:
        return "none", "there is no NVIDIA GPU"
    if free < NEEDED_GB:
        return "none", f"{free:.0f} GB of GPU memory are free and the model needs {NEEDED_GB:.0f}"
    return "qwen", f"{free:.0f} GB of GPU memory are free"
