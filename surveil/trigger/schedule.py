"""When a rule counts: windows of the camera's local day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, time
from zoneinfo import ZoneInfo


class Schedule:
    """Windows such as `22:00-06:00`, from the first minute up to the last, which is out; none means always.

    What counts is what a clock on the wall shows: an hour that summer time repeats counts twice, one that it leaves out
    never.
    """

    def __init__(self, windows: Iterable[str], timezone: str) -> None:
        self._windows = [tuple(map(time.fromisoformat, window.split("-"))) for window in windows]
        self._zone = ZoneInfo(timezone)

    def __bool__(self) -> bool:
        return bool(self._windows)

    def covers(self, wall: float) -> bool:
        """Return whether a moment (UNIX seconds) lies in one of the windows."""
        if not self._windows:
            return True
        now = datetime.fromtimestamp(wall, self._zone).time()
        return any(begin <= now < end if begin < end else now >= begin or now < end for begin, end in self._windows)
