"""The rule about what is where, or when, this camera has not learnt it to be."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from surveil.messages import Finding, Level, Observation, Track
from surveil.trigger.habits import Habits

RARE = 0.1
"""On fewer than one day in ten it is there at about this hour. Once the camera knows two weeks, one visit in them is
not yet a habit."""
UNUSUAL_SECONDS = 1.0
"""So long a track must be out of place: where a table hides the feet for a moment, the box stands higher."""
FORGET_SECONDS = 60.0

Believed = Callable[[Observation], Iterable[Track]]
"""Gives the tracks of a frame that are no flicker of the detector, as the other rules have it."""


class UnusualRule:
    """Tells of tracks in places, at hours, in which their label is seldom or never seen; and teaches the habits.

    A track that was told of is told of for as long as it is seen, whatever the habits learn meanwhile. `labels` empty
    means all of them.
    """

    def __init__(
        self,
        name: str,
        severity: Level,
        labels: Iterable[str],
        believed: Believed,
        habits: Habits,
        timezone: str,
    ) -> None:
        self._name = name
        self._severity = severity
        self._labels = frozenset(labels)
        self._believed = believed
        self._habits = habits
        self._timezone = ZoneInfo(timezone)
        self._odd: dict[int, tuple[float, float]] = {}
        """When each track began to be out of place, and when it was last seen so."""
        self._told: dict[int, tuple[str, float]] = {}
        """Why each track is told of, and when it was last seen."""

    def evaluate(self, observation: Observation) -> list[Finding]:
        """Return one finding for all that is unusual in this frame, or none."""
        at = observation.frame.at
        now = datetime.fromtimestamp(observation.frame.wall, self._timezone)
        self._habits.watch(now)
        found: dict[int, float] = {}
        for track in self._believed(observation):
            if self._labels and track.label not in self._labels:
                continue
            if self._is_told(track, at, now):
                found[track.id] = at - self._odd[track.id][0]
            if not track.predicted:
                self._habits.learn(track.label, track.box, now)
        self._forget(at)
        return [self._finding(found)] if found else []

    def _is_told(self, track: Track, at: float, now: datetime) -> bool:
        if track.id in self._told:
            self._told[track.id] = (self._told[track.id][0], at)
            return True
        likelihood = self._habits.likelihood(track.label, track.box, now)
        if likelihood is None or likelihood >= RARE:
            self._odd.pop(track.id, None)
            return False
        since = self._odd.get(track.id, (at, at))[0]
        self._odd[track.id] = (since, at)
        if at - since < UNUSUAL_SECONDS:
            return False
        article = "an" if track.label[:1] in "aeiou" else "a"
        seldom = "none has been seen" if likelihood == 0.0 else "one is seldom seen"
        self._told[track.id] = (f"{article} {track.label} where {seldom} at this hour ({now:%H:%M})", at)
        return True

    def _forget(self, at: float) -> None:
        self._told = {n: (why, last) for n, (why, last) in self._told.items() if abs(at - last) < FORGET_SECONDS}
        self._odd = {
            n: (since, last)
            for n, (since, last) in self._odd.items()
            if n in self._told or abs(at - last) < UNUSUAL_SECONDS
        }

    def _finding(self, found: dict[int, float]) -> Finding:
        longest = max(found, key=lambda track: found[track])
        return Finding(
            rule=self._name,
            kind="anomaly",
            severity=self._severity,
            tracks=frozenset(found),
            reason=self._told[longest][0],
            seconds=max(0.0, found[longest]),
        )
