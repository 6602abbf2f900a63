"""One camera's incidents, one after the other: what begins one, what is told and asked of it, what ends it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from surveil.messages import (
    Assessment,
    AssessmentRequest,
    Decision,
    EndReason,
    Facts,
    Finding,
    Level,
    Observation,
    Subject,
)
from surveil.trigger.cooldown import Cooldowns
from surveil.trigger.identity import Entropy, ulid
from surveil.trigger.incidents import SETTLE_SECONDS, Incident, Moment

END_GRACE_SECONDS = 15.0
RESTART_SECONDS = 120.0
"""An incident that begins so soon after a restart goes on with the one that it cut off (CONTRACT section 4)."""
_MAX_CLOSING = 100
_NEVER = "no answer before the incident's end"
_CUT = "the daemon ended before the answer"


@dataclass(frozen=True, slots=True)
class Terms:
    """The settings that decide, of one camera."""

    camera: str
    title: str
    context: str
    timezone: str
    linger: float
    max_length: float
    min_risk: Level
    notify_at: Level
    deadline: float
    per_minute: int | None
    assesses: bool
    reassess_after: float | None = None


class Budget:
    """How many assessments a camera may still have: `per_minute` in any 60 seconds."""

    def __init__(self, per_minute: int | None) -> None:
        self._per_minute = per_minute
        self._asked_at: deque[float] = deque()

    def allows(self, floor: Level, at: float) -> bool:
        """Return whether one may be asked now, and count it; a floor of `high` and above is always allowed."""
        while self._asked_at and at - self._asked_at[0] >= 60.0:
            self._asked_at.popleft()
        if floor >= Level.high or self._per_minute is None:
            return True
        if len(self._asked_at) >= self._per_minute:
            return False
        self._asked_at.append(at)
        return True


class Lane:
    """The incidents that findings of one camera share; camera health has a lane of its own. Owned by its policy."""

    def __init__(self, terms: Terms, budget: Budget, cooldowns: Cooldowns, entropy: Entropy) -> None:
        self.assesses = terms.assesses
        self._terms = terms
        self._budget = budget
        self._cooldowns = cooldowns
        self._entropy = entropy
        self._open: Incident | None = None
        self._closing: deque[Incident] = deque()
        self._before: Incident | None = None

    def resume(self, incident: Incident, request: AssessmentRequest | None, now: Moment) -> list[Decision]:
        """Bring an incident to its end that the last run could not: with the answer to `request`, or without one."""
        self.follow(incident)
        self._closing.append(incident)
        if incident.awaits and request is not None:
            incident.ask(now.at)
            return [Decision(request=request)]
        if incident.awaits:
            incident.give_up("expired", _CUT)
        return self._finish(incident, now)

    def follow(self, incident: Incident) -> None:
        """Let the next incident name this one, which a restart has ended, if it comes soon."""
        self._before = incident

    def found(
        self, findings: Sequence[Finding], subjects: Sequence[Subject], seen: Observation | None, now: Moment
    ) -> list[Decision]:
        """Take in what the rules found at one moment, at least one finding; `seen` is where it shows."""
        decisions: list[Decision] = []
        incident = self._open
        if incident is not None and now.at - incident.began.at >= self._terms.max_length:
            decisions += self._close(incident, "split", now)
            incident = self._begin(now, previous=incident)
        elif incident is None:
            if not self._cooldowns.let_begin(findings, now.at):
                return []
            incident = self._begin(now, previous=self._cut_off(now))
        self._open = incident
        incident.add(findings, subjects, seen, now)
        if seen is None and incident.rev == 0 and incident.assessment.state == "pending":
            # A camera without pictures has none to show to a VLM.
            incident.assessment = Assessment(incident.id, incident.camera, "disabled", error="there is no picture")
        if incident.rev == 0:
            decisions += self._first_told(incident, now, now.at)
        return decisions

    def tick(self, now: Moment, present: bool) -> list[Decision]:
        """Let time pass: ask, update, end. `present` says whether the camera delivers pictures."""
        decisions: list[Decision] = []
        if self._open is not None:
            decisions += self._advance(self._open, now, present)
        for incident in list(self._closing):
            decisions += self._finish(incident, now)
        return decisions

    def assessed(self, assessment: Assessment, now: Moment) -> list[Decision]:
        """Take in how a request ended; one that ended already is not told twice."""
        for incident in [*self._closing, *([self._open] if self._open else [])]:
            if incident.id == assessment.incident and incident.hears(assessment):
                return self._told(incident, now)
        return []

    def close(self, reason: EndReason, now: Moment) -> list[Decision]:
        """End the incident that is open; its last message waits for the assessment."""
        return [] if self._open is None else self._close(self._open, reason, now, ask=self.assesses)

    def end(self, reason: EndReason, error: str, now: Moment) -> list[Decision]:
        """End whatever is open, now."""
        decisions: list[Decision] = []
        if self._open is not None:
            decisions += self._close(self._open, reason, now, ask=False)
        for incident in list(self._closing):
            if incident.awaits:
                incident.give_up("failed", error)
            decisions += self._finish(incident, now)
        return decisions

    def _cut_off(self, now: Moment) -> Incident | None:
        before, self._before = self._before, None
        return before if before is not None and now.at - before.last_finding.at < RESTART_SECONDS else None

    def _begin(self, now: Moment, previous: Incident | None) -> Incident:
        terms = self._terms
        ident = ulid(now.wall, self._entropy(terms.camera, now.wall))
        incident = Incident(ident, terms.camera, now, terms.notify_at, previous, self._cooldowns.suppressed())
        if not self.assesses:
            incident.assessment = Assessment(ident, terms.camera, "disabled")
        return incident

    def _told(self, incident: Incident, now: Moment) -> list[Decision]:
        """Return the next message of an incident, which has news."""
        if incident.rev == 0:
            return self._first_told(incident, now, None)
        return [Decision(incident.tell("update", now), picture=incident.fresh_picture())]

    def _first_told(self, incident: Incident, now: Moment, captured_at: float | None) -> list[Decision]:
        """Return `new`; nothing while the risk is below what is held back."""
        if incident.risk.level < self._terms.min_risk:
            return []
        return [Decision(incident.tell("new", now), captured_at=captured_at, picture=incident.fresh_picture())]

    def _advance(self, incident: Incident, now: Moment, present: bool) -> list[Decision]:
        if now.at - incident.last_finding.at >= self._terms.linger:
            return self._close(incident, "quiet" if present else "camera_lost", now)
        decisions = []
        if not self.assesses and not incident.asked and incident.awaits:
            incident.give_up("disabled", "assessments were switched off")
        since = incident.wants_look(now.at, self._terms.reassess_after) if self.assesses else None
        if since is not None:
            decisions += self._ask(incident, since, now)
        if incident.has_news(now.at):
            decisions += self._told(incident, now)
        return decisions

    def _ask(self, incident: Incident, since: float, now: Moment) -> list[Decision]:
        """Ask the VLM about an incident as it has been `since` a moment; another look waits until it is affordable."""
        affordable = self._budget.allows(incident.floor, now.at)
        if incident.asked:
            if not affordable:
                return []
            since = max(since, now.at - SETTLE_SECONDS)  # one that had to wait gets its whole time all the same
        keyframes = incident.shortlist.keyframes() if affordable else ()
        request = AssessmentRequest(
            incident=incident.id,
            camera=incident.camera,
            floor=incident.floor,
            triggered_at=since,
            deadline_at=since + self._terms.deadline,
            keyframes=keyframes,
            facts=self._facts(incident),
            within_budget=affordable,
            look=incident.ask(now.at),
        )
        return [Decision(request=request)]

    def _facts(self, incident: Incident) -> Facts:
        local = datetime.fromtimestamp(incident.began.wall, ZoneInfo(self._terms.timezone))
        return Facts(self._terms.title, self._terms.context, f"{local:%A %H:%M}", incident.reasons)

    def _close(self, incident: Incident, reason: EndReason, now: Moment, ask: bool = True) -> list[Decision]:
        self._open = None
        incident.close(reason)
        self._cooldowns.begin(incident)
        self._closing.append(incident)
        decisions = []
        if ask and not incident.asked and incident.awaits:
            decisions += self._ask(incident, incident.began.at, now)
        elif not self.assesses and not incident.asked and incident.awaits:
            incident.give_up("disabled", "assessments were switched off")
        if len(self._closing) > _MAX_CLOSING and self._closing[0].awaits:
            self._closing[0].give_up("expired", _NEVER)
        return decisions + self._finish(incident, now)

    def _finish(self, incident: Incident, now: Moment) -> list[Decision]:
        """Send an ended incident's last message, once its assessment is there or has had its time."""
        patience = max(self._terms.linger, self._terms.deadline) + END_GRACE_SECONDS
        if incident.awaits:
            if now.at - incident.last_finding.at < patience:
                return []
            incident.give_up("expired", _NEVER)
        self._closing.remove(incident)
        if incident.rev == 0:
            return []  # held back to its end: nobody has heard of it
        return [Decision(incident.tell("end", now), picture=incident.fresh_picture())]
