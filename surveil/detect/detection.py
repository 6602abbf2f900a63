"""The detection stage: one thread that owns the model and sees every frame of every camera."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable

from surveil.channels import FrameQueue
from surveil.clock import Clock
from surveil.detect.tracking import ByteTracker
from surveil.interfaces import Detector, ModelError, Pending
from surveil.messages import Frame, Observation
from surveil.metrics import Metrics

_log = logging.getLogger(__name__)
_FAILURES = 10
"""So many failing batches in a row are no glitch: the daemon ends, and systemd starts it anew."""


class Tracking:
    """Detects and tracks: frames in, observations out, in the same order. Pure but for the model.

    Up to the detector's `depth` batches are under way at a time, so that the device never waits for Python.
    """

    def __init__(self, detector: Detector, cameras: Iterable[str], confidence: float) -> None:
        self.batch = detector.batch
        self._detector = detector
        self._trackers = {name: ByteTracker(detector.labels, confidence) for name in cameras}
        self._under_way: deque[tuple[list[Frame], Pending]] = deque()

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._under_way

    def observe(self, frames: list[Frame]) -> list[Observation]:
        """Begin with `frames`, at most `batch`; return what has become of the oldest that are under way.

        Without new frames the oldest are waited for; with them only when there is no room for more. Raises
        ModelError, and then what it was about is lost.
        """
        if frames:
            self._under_way.append((frames, self._detector.start([frame.image for frame in frames])))
            if len(self._under_way) < self._detector.depth:
                return []
        if not self._under_way:
            return []
        frames, pending = self._under_way.popleft()
        return [
            Observation(frame, self._trackers[frame.camera].update(detections, frame.image.shape[:2]))
            for frame, detections in zip(frames, pending(), strict=True)
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
            idle = self._tracking.idle
            frames = self._queue.take(self._tracking.batch, timeout=0.25 if idle else 0.0)
            if not frames and idle:
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
        """Begin with a batch, and hand on what is finished. Raises ModelError."""
        for observation in self._tracking.observe(frames):
            self._metrics.count("frames_detected", observation.frame.camera)
            self._metrics.sample("capture_to_detect_seconds", self._clock.monotonic() - observation.frame.at)
            while not self._hand_on(observation, 0.5) and not self._stop.is_set():
                self.heartbeat = self._clock.monotonic()
