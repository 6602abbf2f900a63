"""The two ways in which threads hand things on. Both are bounded and count what they could not keep."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from surveil.messages import Frame

T = TypeVar("T")

DEPTH = 16
"""Frames of a camera that may wait: half a second at 30 a second, so that no alert is late for it, in 11 MB."""
LIVELY_SECONDS = 1.0
"""A camera that gave no frame for so long is none that a batch waits for."""


class Channel(Generic[T]):
    """A bounded first-in first-out queue between threads. A full one makes the sender wait."""

    def __init__(self, capacity: int) -> None:
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._changed = threading.Condition()

    def put(self, item: T, timeout: float) -> bool:
        """Append `item`; False when there was no room within `timeout` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._items) < self._capacity, timeout):
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True

    def get(self, timeout: float) -> T | None:
        """Take the oldest item; None when there was none within `timeout` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: bool(self._items), timeout):
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def __len__(self) -> int:
        return len(self._items)


class FrameQueue:
    """What the cameras have for the detector: a few frames each, newest wins, drops counted.

    A few frames and not one, because packets of a camera come in bursts around key frames: a detector that is
    fast enough on average must not lose a frame to that.
    """

    def __init__(
        self, cameras: Iterable[str], depth: int = DEPTH, on_drop: Callable[[str], None] | None = None
    ) -> None:
        self._waiting: dict[str, deque[Frame]] = {name: deque() for name in cameras}
        self._order: deque[str] = deque(self._waiting)
        self._came: dict[str, float] = {}
        self._depth = depth
        self._on_drop = on_drop
        self._arrived = threading.Condition()

    def put(self, frame: Frame) -> None:
        """Append a frame; when its camera's queue is full, the oldest one of that camera goes."""
        with self._arrived:
            waiting = self._waiting[frame.camera]
            dropped = len(waiting) >= self._depth
            if dropped:
                waiting.popleft()
            waiting.append(frame)
            self._came[frame.camera] = time.monotonic()
            self._arrived.notify_all()
        if dropped and self._on_drop:
            self._on_drop(frame.camera)

    def take(self, limit: int, timeout: float, window: float = 0.0) -> list[Frame]:
        """Take at most `limit` frames, fairly in turn; [] when none came within `timeout` seconds.

        Every camera gives one before any gives a second. With the first frame there, others get `window` seconds to
        come too; a camera that gave none of late is not waited for.
        """
        with self._arrived:
            if not self._arrived.wait_for(lambda: any(self._waiting.values()), timeout):
                return []
            if window > 0:
                self._arrived.wait_for(lambda: self._enough(limit), window)
            return self._next_batch(limit)

    def _enough(self, limit: int) -> bool:
        """Return whether waiting longer would bring nothing more: every lively camera has a frame, or it is enough."""
        now = time.monotonic()
        lively = [name for name, at in self._came.items() if now - at < LIVELY_SECONDS]
        return len(self) >= limit or all(self._waiting[name] for name in lively)

    def _next_batch(self, limit: int) -> list[Frame]:
        batch: list[Frame] = []
        while len(batch) < limit and any(self._waiting.values()):
            for _ in range(len(self._order)):
                if len(batch) == limit:
                    break
                name = self._order[0]
                self._order.rotate(-1)
                if self._waiting[name]:
                    batch.append(self._waiting[name].popleft())
        return batch

    def __len__(self) -> int:
        return sum(len(waiting) for waiting in self._waiting.values())
