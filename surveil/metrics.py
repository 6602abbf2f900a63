"""Counters and stored samples of this process, read by `stats`. Safe from every thread."""

from __future__ import annotations

import threading
from collections import Counter, deque
from statistics import quantiles

SAMPLES = 2048
"""How many of the newest samples a quantile is taken from: exact values, no buckets."""


class Metrics:
    """Counters by name and label, and the newest samples of each measured time in seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._spent: dict[tuple[str, str], float] = {}
        self._samples: dict[str, deque[float]] = {}

    def count(self, name: str, label: str = "", by: int = 1) -> None:
        """Add `by` to a counter."""
        with self._lock:
            self._counts[name, label] += by

    def counted(self, name: str, label: str = "") -> int:
        """Return a counter's value; 0 for one that never counted."""
        with self._lock:
            return self._counts[name, label]

    def spend(self, name: str, label: str, seconds: float) -> None:
        """Add time to a sum of time spent."""
        with self._lock:
            self._spent[name, label] = self._spent.get((name, label), 0.0) + seconds

    def spent(self, name: str, label: str = "") -> float:
        """Return the seconds that a sum has come to; 0 for one that was never added to."""
        with self._lock:
            return self._spent.get((name, label), 0.0)

    def sample(self, name: str, seconds: float) -> None:
        """Store one measured time."""
        with self._lock:
            self._samples.setdefault(name, deque(maxlen=SAMPLES)).append(seconds)

    def quantiles(self, name: str) -> dict[str, float] | None:
        """Return p50, p95 and p99 of the stored samples in seconds; None without samples."""
        with self._lock:
            samples = list(self._samples.get(name, ()))
        if not samples:
            return None
        cuts = quantiles(samples, n=100, method="inclusive") if len(samples) > 1 else samples * 99
        return {"p50": round(cuts[49], 4), "p95": round(cuts[94], 4), "p99": round(cuts[98], 4)}
