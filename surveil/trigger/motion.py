"""Rules about how somebody moves: over a line, too fast, to the ground."""

from __future__ import annotations

import math

from surveil.messages import Box, Finding, Level, Observation
from surveil.trigger.belief import Belief, kind_of, named
from surveil.trigger.tracks import TrackRecord
from surveil.trigger.zones import Line, Place, foot

CLEAR = 0.01
"""So far from a line, in fractions of the picture, somebody is clearly on one side of it; a box trembles by less."""
SPEED_SECONDS = 0.8
"""Speed is taken over so many seconds, in which a box's trembling averages out."""
UPRIGHT = 1.3
"""A box so many times as high as wide is somebody who stands: a body is 3 to 4 times, bent with arms out 1.5."""
LYING = 0.9
"""A box less high than this, in widths, is somebody who lies."""
STOOD_SECONDS = 10.0
"""Who lies must have stood within so many seconds before: who sits or crawls into view has not fallen."""
FORGET_SECONDS = 60.0


class LineRule:
    """Somebody crosses a line, in a direction or in any."""

    def __init__(self, title: str, level: Level, belief: Belief, *, line: Line, name: str, direction: str) -> None:
        self._title = title
        self._level = level
        self._belief = belief
        self._line = line
        self._name = name
        self._direction = direction
        self._clear: dict[int, tuple[float, Place]] = {}

    def evaluate(self, observation: Observation) -> list[Finding]:
        """Return a finding in the frame in which somebody has clearly crossed."""
        at = observation.frame.at
        crossed = {"in": list[TrackRecord](), "out": list[TrackRecord]()}
        for record in self._belief.seen(observation):
            way = self._crossed(record, at)
            if way is not None and self._direction in {"any", way}:
                crossed[way].append(record)
        self._clear = {track: (t, p) for track, (t, p) in self._clear.items() if at - t < FORGET_SECONDS}
        return [self._finding(who, way) for way, who in crossed.items() if who]

    def _crossed(self, record: TrackRecord, at: float) -> str | None:
        """Return in which direction a track has crossed since it was last clearly on a side; None when it has not."""
        here = foot(record.last.box)
        side = self._line.side(here)
        if abs(side) < CLEAR:
            return None
        before = self._clear.get(record.last.id)
        self._clear[record.last.id] = (at, here)
        if before is None or self._line.side(before[1]) * side > 0 or not self._line.crossed(before[1], here):
            return None
        return "in" if side > 0 else "out"

    def _finding(self, who: list[TrackRecord], way: str) -> Finding:
        tracks = frozenset(record.last.id for record in who)
        reason = f"{named(who)} crossed line {self._name} ({way})"
        return Finding(self._title, kind_of(who), self._level, tracks, reason)


class SpeedRule:
    """Somebody moves by more than `limit` of their own heights a second, so that distance and lens do not matter."""

    def __init__(self, title: str, level: Level, belief: Belief, *, limit: float, zone: str | None) -> None:
        self._title = title
        self._level = level
        self._belief = belief
        self._limit = limit
        self._zone = zone

    def evaluate(self, observation: Observation) -> list[Finding]:
        """Return a finding while somebody is too fast."""
        height, width = observation.frame.image.shape[:2]
        fast = [
            (speed, record)
            for record in self._belief.seen(observation)
            if record.dwell_in(self._zone) is not None
            and (speed := heights_a_second(record, width / height)) is not None
            and speed > self._limit
        ]
        if not fast:
            return []
        who = [record for _, record in fast]
        most = max(speed for speed, _ in fast)
        reason = f"{named(who)} moves at {most:.1f} body heights a second"
        return [Finding(self._title, kind_of(who), self._level, frozenset(r.last.id for r in who), reason)]


def heights_a_second(record: TrackRecord, aspect: float) -> float | None:
    """Return a track's speed in its own heights a second; None while it is too young to tell.

    `aspect` is the picture's width over its height, since boxes are fractions of both.
    """
    at, here = record.path[-1]
    then = next(((t, place) for t, place in record.path if at - t <= SPEED_SECONDS), None)
    if then is None or at - then[0] < SPEED_SECONDS / 2:
        return None
    tall = record.last.box[3] - record.last.box[1]
    way = math.hypot((here[0] - then[1][0]) * aspect, here[1] - then[1][1])
    return way / tall / (at - then[0]) if tall > 0 else None


class FallRule:
    """A person who stood lies, and stays so for `seconds`."""

    def __init__(self, title: str, level: Level, belief: Belief, *, seconds: float, zone: str | None) -> None:
        self._title = title
        self._level = level
        self._belief = belief
        self._seconds = seconds
        self._zone = zone
        self._stood: dict[int, float] = {}
        self._lies: dict[int, float] = {}

    def evaluate(self, observation: Observation) -> list[Finding]:
        """Return a finding while somebody lies who stood before."""
        at = observation.frame.at
        height, width = observation.frame.image.shape[:2]
        lying = []
        for record in self._belief.seen(observation):
            held = self._held(record, at, upright(record.last.box, width / height))
            if held is not None and held >= self._seconds and record.dwell_in(self._zone) is not None:
                lying.append((held, record))
        for known in (self._stood, self._lies):
            for track in [track for track, t in known.items() if at - t > FORGET_SECONDS * 60]:
                del known[track]
        if not lying:
            return []
        who = [record for _, record in lying]
        longest = max(held for held, _ in lying)
        reason = f"{named(who)} fell and has been lying for {longest:.1f} s"
        return [Finding(self._title, "person", self._level, frozenset(r.last.id for r in who), reason, longest)]

    def _held(self, record: TrackRecord, at: float, shape: float) -> float | None:
        """Return for how long a track has been lying after a fall; None when it is not."""
        track = record.last.id
        if shape >= UPRIGHT:
            self._stood[track] = at
            self._lies.pop(track, None)
            return None
        if shape > LYING:
            return None if track not in self._lies else at - self._lies[track]
        if track not in self._lies and at - self._stood.get(track, -math.inf) <= STOOD_SECONDS:
            self._lies[track] = at
        return at - self._lies[track] if track in self._lies else None


def upright(box: Box, aspect: float) -> float:
    """Return a box's height over its width in pixels; `aspect` is the picture's width over its height."""
    width = (box[2] - box[0]) * aspect
    return (box[3] - box[1]) / width if width > 0 else math.inf
