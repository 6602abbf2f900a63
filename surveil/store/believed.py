"""The time of day, believed only while nothing speaks against it: what a wrong clock deletes is gone."""

from __future__ import annotations

import logging

from surveil.clock import Clock, utc_text

_log = logging.getLogger(__name__)
TOLERANCE_SECONDS = 86_400.0
"""By so much a clock may be set, in one go, and still be believed."""
HOLD_SECONDS = 3600.0
"""A jump further than that is believed when the clock has gone on from there for so long."""
_STEADY_SECONDS = 60.0


class BelievedTime:
    """Compares the wall clock with the monotonic one, and with the newest thing on disk. One thread.

    A box without a battery for its clock begins in 1970, or where it was switched off; a wrong time server sends it to
    2036. Where the clock should be is where it last was believed, plus what has passed since; after a start it is when
    the newest alert began, so that after a long pause the first hour passes in doubt.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._believed: tuple[float, float] | None = None
        self._doubted: tuple[float, float] | None = None
        self._behind = False

    def now(self, newest: float | None) -> float | None:
        """Return UNIX seconds, or None where they are in doubt; `newest` is when the newest alert began, if any."""
        at, wall = self._clock.monotonic(), self._clock.wall()
        if self._believed is None:
            self._believed = at, wall if newest is None else newest
        if abs(wall - _continued(self._believed, at)) <= TOLERANCE_SECONDS or self._has_held(at, wall):
            self._believed, self._doubted = (at, wall), None
        if self._doubted is not None or self._is_behind(wall, newest):
            return None
        return wall

    def _has_held(self, at: float, wall: float) -> bool:
        if self._doubted is None or abs(wall - _continued(self._doubted, at)) > _STEADY_SECONDS:
            self._doubted = at, wall
            _log.warning(
                "the clock says %s, which is not where it should be: nothing is deleted for its age until it has said "
                "so for an hour",
                utc_text(wall),
            )
        return at - self._doubted[0] >= HOLD_SECONDS

    def _is_behind(self, wall: float, newest: float | None) -> bool:
        """Return whether there are alerts of the future: one of two clocks was wrong, and nobody knows which."""
        behind = newest is not None and wall < newest
        if newest is not None and behind and not self._behind and newest - wall > HOLD_SECONDS:
            _log.warning(
                "the newest alert is of %s, and the clock says %s: nothing is deleted for its age before that; if the "
                "clock was wrong then, erase what is of the future (surveil alerts delete --from)",
                utc_text(newest),
                utc_text(wall),
            )
        self._behind = behind
        return behind


def _continued(since: tuple[float, float], at: float) -> float:
    """Return what a clock that said something at a monotonic moment says now, if nobody set it."""
    return since[1] + at - since[0]
