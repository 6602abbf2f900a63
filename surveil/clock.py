"""Time comes in through one small object, so that tests never sleep and replays have the video's own time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Monotonic seconds for decisions, UNIX seconds for people."""

    def monotonic(self) -> float:
        """Return seconds that never jump."""

    def wall(self) -> float:
        """Return UNIX seconds, which may jump."""


class SystemClock:
    """The machine's clocks."""

    def monotonic(self) -> float:
        """Return `time.monotonic()`."""
        return time.monotonic()

    def wall(self) -> float:
        """Return `time.time()`."""
        return time.time()


def utc_text(wall: float) -> str:
    """Return UNIX seconds as `2026-11-22T21:04:11.120Z` (RFC 3339, milliseconds)."""
    moment = datetime.fromtimestamp(round(wall, 3), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc_seconds(text: str) -> float:
    """Return what `utc_text` wrote as UNIX seconds. Raises ValueError."""
    return datetime.fromisoformat(text).timestamp()
