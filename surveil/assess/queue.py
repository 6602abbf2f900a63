"""The bounded queue of questions, which knows what is urgent: severity floor first, then deadline."""

from __future__ import annotations

import bisect
import threading

from surveil.messages import AssessmentRequest

CAPACITY = 64


class UrgencyQueue:
    """Waiting requests, the most urgent first. Safe from every thread."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._waiting: list[AssessmentRequest] = []
        self._capacity = capacity
        self._lock = threading.Lock()

    def offer(self, request: AssessmentRequest) -> AssessmentRequest | None:
        """Take in a request; return the one that had to be shed for it, which may be `request` itself."""
        with self._lock:
            bisect.insort(self._waiting, request, key=_urgency)
            return self._waiting.pop() if len(self._waiting) > self._capacity else None

    def pop(self) -> AssessmentRequest | None:
        """Take out the most urgent request; None when nothing waits."""
        with self._lock:
            return self._waiting.pop(0) if self._waiting else None

    def expired(self, now: float) -> list[AssessmentRequest]:
        """Take out all requests whose deadline is over at monotonic `now`."""
        with self._lock:
            late = [request for request in self._waiting if request.deadline_at <= now]
            self._waiting = [request for request in self._waiting if request.deadline_at > now]
            return late

    def __len__(self) -> int:
        return len(self._waiting)


def _urgency(request: AssessmentRequest) -> tuple[int, float]:
    return -int(request.floor), request.deadline_at
