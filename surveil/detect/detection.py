"""The detection stage: one thread that owns the model and sees every frame of every camera."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from itertools import islice

from surveil.channels import FrameQueue
from surveil.clock import Clock
from surveil.detect.tracking import ByteTracker
from surveil.interfaces import Detector, ModelError, Pending
from surveil.messages import Detections, Frame, Image, Observation
from surveil.metrics import Metrics

_log = logging.getLogger(__name__)
WINDOW_SHARE = 0.2
"""How long the cameras get to fill a batch, as a share of what a batch takes; the device may idle for that long."""
WINDOW_SECONDS = 0.03
_FAILURES = 10
"""So many failing batches in a row are no glitch: the daemon ends, and systemd starts it anew."""


def detections(detector: Detector, pictures: Iterable[Image]) -> Generator[Detections, None, None]:
    """Yield what is found in each picture, in order, with as much under way as the detector takes; to measure with.

    Raises ModelError.
    """
    under_way: deque[Pending] = deque()
    waiting = iter(pictures)
    try:
        while batch := list(islice(waiting, detector.batch)):
            under_way.append(detector.start(batch))
            if len(under_way) == detector.depth:
                yield from under_way.popleft()()
    finally:
        # Also when nobody wants the rest: what was begun is waited for.
        rest = [found for pending in under_way for found in pending()]
    yield from rest


@dataclass(frozen=True, slots=True)
class _Batch:
    """Frames under way; `due` says which of them the detector sees. Without `pending` none is."""

    frames: list[Frame]
    due: list[bool]
    pending: Pending | None


class Tracking:
    """Detects and tracks: frames in, observations out, in the same order. Pure but for the model.

    Up to the detector's `depth` batches are under way at a time, so that the device never waits for Python. Of each
    camera the detector sees every `every`th frame; in those between, tracks are where their motion puts them.
    """

    def __init__(self, detector: Detector, cameras: Iterable[str], confidence: float, every: int = 1) -> None:
        self.batch = detector.batch
        self._detector = detector
        self._every = every
        self._trackers = {name: ByteTracker(detector.labels, confidence) for name in cameras}
        self._turns = dict.fromkeys(self._trackers, 0)
        self._under_way: deque[_Batch] = deque()

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._under_way

    def observe(self, frames: list[Frame]) -> list[Observation]:
        """Begin with `frames`, at most `batch`; return what has become of the oldest that are under way.

        Without new frames the oldest are waited for; with them only when there is no room for more. Raises
        ModelError, and then what it was about is lost.
        """
        seen: list[Observation] = []
        if frames:
            self._under_way.append(self._begun(frames))
        elif self._under_way:
            seen += self._finished(self._under_way.popleft())
        while self._under_way and self._ripe():
            seen += self._finished(self._under_way.popleft())
        return seen

    def _ripe(self) -> bool:
        """Return whether the oldest batch is to be finished now: it waits for nothing, or there is no room."""
        if self._under_way[0].pending is None:
            return True
        return sum(batch.pending is not None for batch in self._under_way) >= self._detector.depth

    def _begun(self, frames: list[Frame]) -> _Batch:
        due = []
        for frame in frames:
            due.append(self._turns[frame.camera] == 0)
            self._turns[frame.camera] = (self._turns[frame.camera] + 1) % self._every
        images = [frame.image for frame, seen in zip(frames, due, strict=True) if seen]
        return _Batch(frames, due, self._detector.start(images) if images else None)

    def _finished(self, batch: _Batch) -> list[Observation]:
        found = iter(batch.pending() if batch.pending is not None else ())
        observations = []
        for frame, due in zip(batch.frames, batch.due, strict=True):
            tracker = self._trackers[frame.camera]
            height, width = frame.image.shape[:2]
            tracks = tracker.update(next(found), (height, width)) if due else tracker.between()
            observations.append(Observation(frame, tracks))
        return observations


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
        self._usual = 0.0
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
            frames = self._queue.take(self._tracking.batch, 0.25 if idle else 0.0, self._window())
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

    def _window(self) -> float:
        """Return for how many seconds a batch waits for the other cameras; a detector of single pictures never does."""
        return min(WINDOW_SECONDS, WINDOW_SHARE * self._usual) if self._tracking.batch > 1 else 0.0

    def run_once(self, frames: list[Frame]) -> None:
        """Begin with a batch, and hand on what is finished. Raises ModelError."""
        began = self._clock.monotonic()
        observations = self._tracking.observe(frames)
        took = self._clock.monotonic() - began
        self._metrics.spend("detect_seconds", "", took)
        if observations:
            self._usual = took if not self._usual else 0.9 * self._usual + 0.1 * took
        began = self._clock.monotonic()
        for observation in observations:
            self._metrics.count("frames_detected", observation.frame.camera)
            self._metrics.sample("capture_to_detect_seconds", self._clock.monotonic() - observation.frame.at)
            while not self._hand_on(observation, 0.5) and not self._stop.is_set():
                self.heartbeat = self._clock.monotonic()
        self._metrics.spend("decide_wait_seconds", "", self._clock.monotonic() - began)
