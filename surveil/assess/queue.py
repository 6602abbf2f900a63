"""The bounded queue of questions, which knows what is urgent: severity floor first, then deadline."""

from __future__ import annotations

import bisect
import threading

from surveil.messages import AssessmentRequest

CAPACITY = 64


class UrgencyQueue:
    """Waiting requests, the most urgent first, one an incident. Safe from every thread."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._waiting: list[AssessmentRequest] = []
        self._capacity = capacity
        self._lock = threading.Lock()

    def offer(self, request: AssessmentRequest) -> list[AssessmentRequest]:
        """Take in a request; return those that had to go for it.

        These are an older request of the same incident, whose pictures are out of date, and else, where the queue is
        full, the least urgent, which may be `request` itself.
        """
        with self._lock:
            out = [waiting for waiting in self._waiting if waiting.incident == request.incident]
            if out:
                self._waiting = [waiting for waiting in self._waiting if waiting.incident != request.incident]
            bisect.insort(self._waiting, request, key=_urgency)
            if len(self._waiting) > self._capacity:
                out.append(self._waiting.pop())
            return out

    def pop(self, limit: int = 1) -> list[AssessmentRequest]:
        """Take out the most urgent requests, at most `limit`; [] when nothing waits."""
        with self._lock:
            taken, self._waiting = self._waiting[:limit], self._waiting[limit:]
            return taken

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
