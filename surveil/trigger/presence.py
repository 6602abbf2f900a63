"""Rules about who is there: in view or in a zone, for how long, and how many."""

from __future__ import annotations

from dataclasses import dataclass

from surveil.messages import Finding, Level, Observation
from surveil.trigger.belief import Belief, kind_of, named
from surveil.trigger.tracks import TrackRecord

GAP_SECONDS = 1.0
"""A crowd that is short of its number for less goes on."""


@dataclass(frozen=True, slots=True)
class PresenceRule:
    """Somebody is in view, or in a zone, and has been for some seconds: `person`, `object`, `intrusion`, `loiter`.

    `title` is the rule's name as alerts tell it, `zone` where they must be (None: anywhere), `seconds` for how long
    they must have been there. Things that stand still count where `still` says so; persons always do. `hours` is added
    to the reason of a rule that has a schedule.
    """

    title: str
    level: Level
    belief: Belief
    zone: str | None = None
    seconds: float = 0.0
    still: bool = False
    hours: str = ""

    def evaluate(self, observation: Observation) -> list[Finding]:
        """Return one finding for all who are there in this frame, or none."""
        there = [record for record in self.belief.seen(observation) if self._counts(record)]
        if not there:
            return []
        longest = max(record.dwell_in(self.zone) or 0.0 for record in there)
        where = f"in zone {self.zone}" if self.zone else "in view"
        return [
            Finding(
                rule=self.title,
                kind=kind_of(there),
                severity=self.level,
                tracks=frozenset(record.last.id for record in there),
                reason=f"{named(there)} {where} for {longest:.1f} s{self.hours}",
                seconds=longest,
            )
        ]

    def _counts(self, record: TrackRecord) -> bool:
        if record.still and not self.still and record.last.label != "person":
            return False  # a parked car is no news
        dwell = record.dwell_in(self.zone)
        return dwell is not None and dwell >= self.seconds


class CrowdRule:
    """At least `count` are there at a time, and have been for `seconds`."""

    def __init__(
        self, title: str, level: Level, belief: Belief, *, zone: str | None, count: int, seconds: float
    ) -> None:
        self._title = title
        self._level = level
        self._belief = belief
        self._zone = zone
        self._count = count
        self._seconds = seconds
        self._since: float | None = None
        self._last = 0.0

    def evaluate(self, observation: Observation) -> list[Finding]:
        """Return a finding while the crowd is there."""
        at = observation.frame.at
        there = [r for r in self._belief.seen(observation) if r.dwell_in(self._zone) is not None]
        if len(there) < self._count:
            if self._since is not None and at - self._last > GAP_SECONDS:
                self._since = None
            return []
        if self._since is None:
            self._since = at
        self._last = at
        held = at - self._since
        if held < self._seconds:
            return []
        where = f"in zone {self._zone}" if self._zone else "in view"
        reason = f"{named(there)} {where} for {held:.1f} s"
        tracks = frozenset(record.last.id for record in there)
        return [Finding(self._title, kind_of(there), self._level, tracks, reason, held)]
