"""`surveil replay --explain`: why each rule fired at each track, or why it did not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

from surveil.config import RuleSettings
from surveil.messages import Finding, Observation
from surveil.trigger.rules import Armed, Ground
from surveil.trigger.schedule import Schedule
from surveil.trigger.tracks import TrackRecord

_ABOUT_THE_PICTURE = frozenset({"tamper", "left_object", "removed_object"})
"""Rules that ask no track."""


@dataclass(slots=True)
class _Fired:
    """When a rule first found a track, when last, and what it said of the longest."""

    first: float
    last: float
    reason: str
    seconds: float


@dataclass(slots=True)
class _Story:
    """One track from its first frame to its last."""

    label: str
    first: float
    last: float = 0.0
    scores: list[float] = field(default_factory=list)
    dwell: dict[str, float] = field(default_factory=dict)
    best_median: float = 0.0
    scheduled: set[str] = field(default_factory=set)
    fired: dict[str, _Fired] = field(default_factory=dict)


class Explainer:
    """Follows one camera's tracks and what its rules say of them. `lines` tells the story at the end."""

    def __init__(self, rules: Sequence[RuleSettings], timezone: str) -> None:
        known = [(rule, Schedule(rule.schedule, timezone)) for rule in rules]
        self._rules = [(rule, schedule) for rule, schedule in known if rule.when not in _ABOUT_THE_PICTURE]
        self._others = [rule for rule in rules if rule.when in _ABOUT_THE_PICTURE]
        self._stories: dict[int, _Story] = {}
        self._fired: dict[str, _Fired] = {}

    def see(self, ground: Ground, observation: Observation, found: Sequence[tuple[Armed, Finding]]) -> None:
        """Take in one frame as the rules saw it, and what each of them found in it."""
        at, wall = observation.frame.at, observation.frame.wall
        open_now = {rule.title for rule, schedule in self._rules if schedule.covers(wall)}
        for record in ground.book.seen_now(observation):
            story = self._stories.setdefault(record.last.id, _Story(record.last.label, at))
            self._write(story, record, at)
            story.scheduled |= open_now
        for armed, finding in found:
            _note(self._fired, armed.title, finding, at)
            for story in filter(None, map(self._stories.get, finding.tracks)):
                _note(story.fired, armed.title, finding, at)

    def lines(self) -> Iterator[str]:
        """Yield what there is to say, a track at a time."""
        for number, story in self._stories.items():
            scores = f"score {min(story.scores):.2f} to {max(story.scores):.2f}, median {median(story.scores):.2f}"
            told = f"track {number}, {story.label}, {story.first:.1f} s to {story.last:.1f} s, {scores}"
            if not any(story.label in rule.about or not rule.about for rule, _ in self._rules):
                yield f"{told}: no rule is about it"
                continue
            yield told
            for rule, _ in self._rules:
                yield f"  {rule.title}: {self._verdict(rule, story)}"

        for other in self._others:
            fired = self._fired.get(other.title)
            yield f"{other.title}: {_when(fired) if fired else 'did not fire'}"

    @staticmethod
    def _write(story: _Story, record: TrackRecord, at: float) -> None:
        story.last = at
        story.scores.append(record.last.confidence)
        story.dwell[""] = max(story.dwell.get("", 0.0), record.dwell)
        for zone in record.zones:
            story.dwell[zone] = max(story.dwell.get(zone, 0.0), record.dwell_in(zone) or 0.0)
        if record.scores:
            story.best_median = max(story.best_median, median(record.scores))

    def _verdict(self, rule: RuleSettings, story: _Story) -> str:
        fired = story.fired.get(rule.title)
        if fired is not None:
            return _when(fired)
        return f"did not fire: {_why_not(rule, story)}"


def _note(known: dict[str, _Fired], title: str, finding: Finding, at: float) -> None:
    fired = known.setdefault(title, _Fired(at, at, finding.reason, finding.seconds))
    fired.last = at
    if finding.seconds >= fired.seconds:
        fired.reason, fired.seconds = finding.reason, finding.seconds


def _when(fired: _Fired) -> str:
    return f"fired from {fired.first:.1f} s to {fired.last:.1f} s: {fired.reason}"


def _why_not(rule: RuleSettings, story: _Story) -> str:
    if rule.about and story.label not in rule.about:
        return f"it is about {', '.join(sorted(rule.about))}"
    threshold = getattr(rule, "threshold", None)
    if threshold is not None and story.best_median < threshold:
        return f"the median of ten scores never reached {threshold:g} (at most {story.best_median:.2f})"
    zone, wanted = getattr(rule, "zone", None), getattr(rule, "for_", None) or 0.0
    if zone and zone not in story.dwell:
        return f"it never stood in zone {zone}"
    if story.dwell.get(zone or "", 0.0) < wanted:
        return f"it was there for {story.dwell.get(zone or '', 0.0):.1f} s, and {wanted:g} s are asked for"
    if rule.title not in story.scheduled:
        return f"it was there outside {', '.join(rule.schedule)} only"
    return "what it asks for did not happen"
