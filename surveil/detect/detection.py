"""The detection stage: one thread that owns the model and sees every frame of every camera."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable

from surveil.channels import FrameQueue
from surveil.clock import Clock
from surveil.detect.tracking import ByteTracker
from surveil.interfaces import Detector, ModelError
from surveil.messages import Frame, Observation
from surveil.metrics import Metrics

_log = logging.getLogger(__name__)
_FAILURES = 10
"""So many failing batches in a row are no glitch: the daemon ends, and systemd starts it anew."""


class Tracking:
    """Detects and tracks: frames in, observations out, in order for each camera. Pure but for the model."""

    def __init__(self, detector: Detector, cameras: Iterable[str], confidence: float) -> None:
        self._detector = detector
        self._trackers = {name: ByteTracker(detector.labels, confidence) for name in cameras}

    def observe(self, frames: list[Frame]) -> list[Observation]:
        """Return one Observation a frame; at most one frame a camera at a time. Raises ModelError."""
        found = self._detector.detect([frame.image for frame in frames])
        return [
            Observation(frame, self._trackers[frame.camera].update(detections, frame.image.shape[:2]))
            for frame, detections in zip(frames, found, strict=True)
        ]


class DetectionStage:
    """Takes frames from the queue and hands observations on; a full hand-over makes it wait, not drop."""

    def __init__(
        self,
        tracking: Tracking,
        queue: FrameQueue,
        hand_on: Callable[[Observation, float], bool],
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self.heartbeat = clock.monotonic()
        self.fault: Exception | None = None
        self._tracking = tracking
        self._queue = queue
        self._hand_on = hand_on
        self._metrics = metrics
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.run, name="detect", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Let it finish what is queued, at most `timeout` seconds; False when it did not."""
        self._stop.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def run(self) -> None:
        """Detect until stopped and the queue is empty."""
        failures = 0
        while True:
            self.heartbeat = self._clock.monotonic()
            frames = self._queue.take(limit=8, timeout=0.25)
            if not frames:
                if self._stop.is_set():
                    return
                continue
            try:
                self.run_once(frames)
                failures = 0
            except Exception as error:  # noqa: BLE001
                # One odd picture must not end the daemon; a model or a fault of ours that persists must.
                failures += 1
                if isinstance(error, ModelError):
                    _log.error("%s", error)
                else:
                    _log.exception("a fault in the detection stage")
                if failures >= _FAILURES:
                    self.fault = error
                    return

    def run_once(self, frames: list[Frame]) -> None:
        """See one batch. Raises ModelError."""
        began = self._clock.monotonic()
        observations = self._tracking.observe(frames)
        self._metrics.sample("detect_seconds", self._clock.monotonic() - began)
        for observation in observations:
            self._metrics.count("frames_detected", observation.frame.camera)
            while not self._hand_on(observation, 0.5) and not self._stop.is_set():
                self.heartbeat = self._clock.monotonic()
