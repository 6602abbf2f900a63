"""What a rule has told of just now is not told again at once; what that swallowed is counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from surveil.messages import Finding
from surveil.trigger.incidents import Incident
from surveil.trigger.rules import Armed


@dataclass(frozen=True, slots=True)
class _Over:
    """A rule's last incident: when it ended, and whom it was about."""

    at: float
    tracks: frozenset[int]


class Cooldowns:
    """The cooldowns of one lane's rules.

    A cooldown that the config names swallows whatever the rule finds for so long after its incident. The default one
    swallows only who was in that incident already: a shop that is busy all day must not hide its burglar.
    """

    def __init__(self, rules: Iterable[Armed], linger: float) -> None:
        self._rules = {armed.title: armed for armed in rules}
        self._linger = linger
        self._over: dict[str, _Over] = {}
        self._swallowed = 0
        self._swallowed_at: float | None = None

    def begin(self, incident: Incident) -> None:
        """Start the cooldowns of an incident's rules; it has just ended."""
        for title in incident.rules:
            self._over[title] = _Over(incident.last_finding.at, incident.tracks)

    def let_begin(self, findings: Sequence[Finding], at: float) -> bool:
        """Return whether any of the findings may begin an incident; what may not is counted, once a visit."""
        if not all(self._swallows(finding, at) for finding in findings):
            return True
        if self._swallowed_at is None or at - self._swallowed_at >= self._linger:
            self._swallowed += 1
        self._swallowed_at = at
        return False

    def suppressed(self) -> int:
        """Return how many would-be incidents were swallowed since this was asked last."""
        count, self._swallowed, self._swallowed_at = self._swallowed, 0, None
        return count

    def _swallows(self, finding: Finding, at: float) -> bool:
        over, armed = self._over.get(finding.rule), self._rules.get(finding.rule)
        if over is None or armed is None or at - over.at >= armed.cooldown:
            return False
        about = finding.tracks | {thing.track for thing in finding.things}
        return armed.strict_cooldown or (bool(about) and about <= over.tracks)
