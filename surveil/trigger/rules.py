"""From what the config says of a rule to the rule, and when it counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from surveil.config import rules as settings
from surveil.interfaces import Rule
from surveil.messages import Box, Level, Observation, Track
from surveil.trigger.background import BackgroundModel
from surveil.trigger.belief import Belief
from surveil.trigger.habits import Habits
from surveil.trigger.motion import FallRule, LineRule, SpeedRule
from surveil.trigger.presence import CrowdRule, PresenceRule
from surveil.trigger.scene import SceneWatch
from surveil.trigger.schedule import Schedule
from surveil.trigger.static_objects import LeftObjectRule, RemovedObjectRule, everywhere
from surveil.trigger.tamper import TamperRule
from surveil.trigger.tracks import TrackBook
from surveil.trigger.unusual import UnusualRule
from surveil.trigger.zones import Area, Line, Zones

COOLDOWN_SECONDS = 60.0
"""The default cooldown (CONTRACT section 3.1), of rules below `high`."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What a camera's rules share: its tracks, its zones and lines, its clock on the wall, and what it has learnt.

    What stands on `ignored` ground does not count. `background` is there only for rules that look at it.
    """

    book: TrackBook
    timezone: str = "UTC"
    zones: Zones = field(default_factory=dict)
    lines: Mapping[str, Line] = field(default_factory=dict)
    ignored: Area = field(default_factory=Area)
    scene: SceneWatch = field(default_factory=SceneWatch)
    background: BackgroundModel | None = None
    habits: Habits = field(default_factory=Habits)


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


def _unusual(rule: settings.UnusualSettings, ground: Ground) -> Rule:
    belief = Belief(rule.about or None, rule.min_score, rule.threshold, ground.book)

    def believed(observation: Observation) -> list[Track]:
        return [r.last for r in belief.seen(observation) if r.dwell_in(rule.zone) is not None]

    return UnusualRule(rule.title, rule.level, rule.labels, believed, ground.habits, ground.timezone)


def _left(rule: settings.LeftObjectSettings, ground: Ground) -> Rule:
    return LeftObjectRule(rule.title, rule.level, rule.for_, _background(ground), _inside(rule.zone, ground))


def _removed(rule: settings.RemovedObjectSettings, ground: Ground) -> Rule:
    return RemovedObjectRule(rule.title, rule.level, rule.for_, _background(ground), _inside(rule.zone, ground))


def _background(ground: Ground) -> BackgroundModel:
    if ground.background is None:
        raise ValueError("a rule about what was left or removed needs a background")
    return ground.background


def _inside(zone: str | None, ground: Ground) -> Callable[[Box], bool]:
    return ground.zones[zone].holds if zone else everywhere


def _tamper(rule: settings.TamperSettings, ground: Ground) -> Rule:
    return TamperRule(ground.scene, rule.title, rule.level, rule.for_)


_MAKERS: dict[type, Callable[[Any, Ground], Rule]] = {
    settings.PersonSettings: _present,
    settings.ObjectSettings: _present,
    settings.IntrusionSettings: _intrusion,
    settings.LoiterSettings: _loiter,
    settings.CrowdSettings: _crowd,
    settings.LineSettings: _line,
    settings.SpeedSettings: _speed,
    settings.FallSettings: _fall,
    settings.UnusualSettings: _unusual,
    settings.LeftObjectSettings: _left,
    settings.RemovedObjectSettings: _removed,
    settings.TamperSettings: _tamper,
}
