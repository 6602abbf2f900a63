"""From what the config says of a rule to the rule, and when it counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from surveil.config import rules as settings
from surveil.interfaces import Rule
from surveil.messages import Level
from surveil.trigger.belief import Belief
from surveil.trigger.motion import FallRule, LineRule, SpeedRule
from surveil.trigger.presence import CrowdRule, PresenceRule
from surveil.trigger.schedule import Schedule
from surveil.trigger.tracks import TrackBook
from surveil.trigger.zones import Area, Line, Zones

COOLDOWN_SECONDS = 60.0
"""The default cooldown (CONTRACT section 3.1), of rules below `high`."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What a camera's rules share: its tracks, its zones and lines, its clock on the wall.

    What stands on `ignored` ground does not count.
    """

    book: TrackBook
    timezone: str = "UTC"
    zones: Zones = field(default_factory=dict)
    lines: Mapping[str, Line] = field(default_factory=dict)
    ignored: Area = field(default_factory=Area)


@dataclass(frozen=True, slots=True)
class Armed:
    """A rule, and when it counts. `own_lane`: its findings make incidents of their own."""

    rule: Rule
    title: str
    schedule: Schedule
    modes: frozenset[str]
    cooldown: float
    strict_cooldown: bool
    own_lane: bool

    def counts(self, wall: float, mode: str | None) -> bool:
        """Return whether the rule's word counts at a moment (UNIX seconds) and in a mode."""
        return (not self.modes or mode in self.modes) and self.schedule.covers(wall)


def armed(rule: settings.RuleSettings, ground: Ground) -> Armed:
    """Return the rule that the config describes."""
    usual = 0.0 if rule.level >= Level.high else COOLDOWN_SECONDS
    return Armed(
        rule=_MAKERS[type(rule)](rule, ground),
        title=rule.title,
        schedule=Schedule(rule.schedule, ground.timezone),
        modes=frozenset(rule.modes),
        cooldown=usual if rule.cooldown is None else rule.cooldown,
        strict_cooldown=rule.cooldown is not None,
        own_lane=rule.when == "tamper",
    )


def _belief(rule: Any, ground: Ground) -> Belief:
    return Belief(rule.about, rule.min_score, rule.threshold, ground.book)


def _present(rule: Any, ground: Ground) -> Rule:
    return PresenceRule(rule.title, rule.level, _belief(rule, ground), zone=rule.zone)


def _intrusion(rule: settings.IntrusionSettings, ground: Ground) -> Rule:
    hours = " outside its hours" if rule.schedule else ""
    return PresenceRule(rule.title, rule.level, _belief(rule, ground), zone=rule.zone, seconds=rule.for_, hours=hours)


def _loiter(rule: settings.LoiterSettings, ground: Ground) -> Rule:
    belief = _belief(rule, ground)
    return PresenceRule(rule.title, rule.level, belief, zone=rule.zone, seconds=rule.for_, still=True)


def _crowd(rule: settings.CrowdSettings, ground: Ground) -> Rule:
    belief = _belief(rule, ground)
    return CrowdRule(rule.title, rule.level, belief, zone=rule.zone, count=rule.count, seconds=rule.for_)


def _line(rule: settings.LineSettings, ground: Ground) -> Rule:
    belief, line = _belief(rule, ground), ground.lines[rule.line]
    return LineRule(rule.title, rule.level, belief, line=line, name=rule.line, direction=rule.direction)


def _speed(rule: settings.SpeedSettings, ground: Ground) -> Rule:
    return SpeedRule(rule.title, rule.level, _belief(rule, ground), limit=rule.limit, zone=rule.zone)


def _fall(rule: settings.FallSettings, ground: Ground) -> Rule:
    return FallRule(rule.title, rule.level, _belief(rule, ground), seconds=rule.for_, zone=rule.zone)


_MAKERS: dict[type, Callable[[Any, Ground], Rule]] = {
    settings.PersonSettings: _present,
    settings.ObjectSettings: _present,
    settings.IntrusionSettings: _intrusion,
    settings.LoiterSettings: _loiter,
    settings.CrowdSettings: _crowd,
    settings.LineSettings: _line,
    settings.SpeedSettings: _speed,
    settings.FallSettings: _fall,
}
