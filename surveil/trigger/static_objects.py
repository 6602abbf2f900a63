"""The rules about things that stand still: something was left, or something that stood there is gone."""

from __future__ import annotations

from collections.abc import Callable

from surveil.messages import Box, Finding, Level, Observation, Subject
from surveil.trigger.background import BackgroundModel, Region
from surveil.trigger.outline import Change


def everywhere(_box: Box) -> bool:
    """Return true: the rule has no zone."""
    return True


class _StaticRule:
    """Tells of the regions of one kind that have been there for `seconds`, in each frame in which they are.

    The camera's policy shows every frame to `background` before it asks the rules.
    """

    change: Change
    label: str
    happened: str

    def __init__(
        self,
        name: str,
        severity: Level,
        seconds: float,
        background: BackgroundModel,
        inside: Callable[[Box], bool] = everywhere,
    ) -> None:
        self._name = name
        self._severity = severity
        self._seconds = seconds
        self._background = background
        self._inside = inside

    def evaluate(self, observation: Observation) -> list[Finding]:  # noqa: ARG002 - the background has seen it
        """Return one finding for all such things in this frame, or none."""
        there = [
            region
            for region in self._background.regions
            if region.change == self.change and region.seconds >= self._seconds and self._inside(region.box)
        ]
        return [self._finding(there)] if there else []

    def _finding(self, regions: list[Region]) -> Finding:
        longest = max(region.seconds for region in regions)
        what = "an object was" if len(regions) == 1 else f"{len(regions)} objects were"
        since = "" if len(regions) == 1 else "the first "
        return Finding(
            rule=self._name,
            kind="anomaly",
            severity=self._severity,
            tracks=frozenset().union(*(region.nearby for region in regions)),
            reason=f"{what} {self.happened} {since}{longest:.0f} s ago",
            seconds=longest,
            things=tuple(self._subject(region) for region in regions),
        )

    def _subject(self, region: Region) -> Subject:
        confidence = region.verdict.confidence if region.verdict else 0.0
        return Subject(region.number, self.label, confidence, region.box, round(region.seconds, 2))


class LeftObjectRule(_StaticRule):
    """Something stands where nothing stood."""

    change: Change = "left"
    label = "left object"
    happened = "left"


class RemovedObjectRule(_StaticRule):
    """Something that stood there is gone."""

    change: Change = "removed"
    label = "removed object"
    happened = "removed"
