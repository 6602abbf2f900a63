"""From observations to decisions: which incident a finding belongs to, what is told and what is asked, and when."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from surveil.config import Config, PersonSettings
from surveil.interfaces import Rule
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
from surveil.trigger.identity import Entropy, ulid
from surveil.trigger.incidents import Incident, Moment
from surveil.trigger.rules import PersonRule
from surveil.trigger.tracks import TrackBook

SETTLE_SECONDS = 1.0
"""How long an incident is watched for better views before the VLM is asked; the alert itself does not wait."""
END_GRACE_SECONDS = 15.0
_MAX_CLOSING = 100


@dataclass(frozen=True, slots=True)
class Terms:
    """The settings that decide, of one camera."""

    camera: str
    title: str
    context: str
    timezone: str
    linger: float
    max_length: float
    notify_at: Level
    deadline: float
    per_minute: int | None
    assesses: bool


def terms_of(config: Config, camera: str, assesses: bool) -> Terms:
    """Return what the config says for one camera; `assesses` is false where there is no VLM."""
    settings = config.cameras[camera]
    return Terms(
        camera=camera,
        title=settings.name or camera,
        context=settings.context or "",
        timezone=config.local_zone(camera),
        linger=config.alerts.linger,
        max_length=config.alerts.max_length,
        notify_at=Level[config.alerts.notify_risk],
        deadline=config.assessor.deadline,
        per_minute=config.assessor.per_minute,
        assesses=assesses,
    )


class CameraPolicy:
    """One camera's decisions. Every call brings the time; the same calls give the same decisions."""

    def __init__(self, terms: Terms, rules: Iterable[PersonSettings], entropy: Entropy) -> None:
        self._terms = terms
        self._book = TrackBook()
        self._rules: list[Rule] = [PersonRule(settings, self._book) for settings in rules]
        self._entropy = entropy
        self._open: Incident | None = None
        self._closing: deque[Incident] = deque()
        self._asked_at: deque[float] = deque()
        self._present = True

    def observe(self, observation: Observation) -> list[Decision]:
        """Take in one frame."""
        frame = observation.frame
        now = Moment(frame.at, frame.wall)
        self._book.update(observation)
        # What time alone has ended is ended before this frame may begin anew.
        decisions = self.tick(now)
        findings = [finding for rule in self._rules for finding in rule.evaluate(observation)]
        if findings:
            decisions += self._found(findings, observation, now)
        return decisions

    def tick(self, now: Moment) -> list[Decision]:
        """Let time pass: ask, update, end."""
        decisions: list[Decision] = []
        if self._open is not None:
            decisions += self._advance(self._open, now)
        for incident in list(self._closing):
            decisions += self._finish(incident, now)
        return decisions

    def assessed(self, assessment: Assessment, now: Moment) -> list[Decision]:
        """Take in how a request ended; one that ended already is not told twice."""
        for incident in [*self._closing, *([self._open] if self._open else [])]:
            if incident.id == assessment.incident and incident.assessment.state == "pending":
                incident.assessed(assessment)
                told = Decision(incident.tell("update", now), picture=incident.fresh_picture())
                return [told, *self.tick(now)]
        return []

    def present(self, present: bool) -> None:
        """Say whether the camera delivers pictures, which names the reason of an end."""
        self._present = present

    def end_all(self, reason: EndReason, error: str, now: Moment) -> list[Decision]:
        """End whatever is open, now: the daemon stops."""
        decisions: list[Decision] = []
        if self._open is not None:
            self._open.asked = True  # too late to ask
            decisions += self._close(self._open, reason, now)
        for incident in list(self._closing):
            if incident.assessment.state == "pending":
                incident.assessed(Assessment(incident.id, incident.camera, "failed", error=error))
            decisions += self._finish(incident, now)
        return decisions

    def _found(self, findings: Sequence[Finding], observation: Observation, now: Moment) -> list[Decision]:
        decisions: list[Decision] = []
        incident = self._open
        if incident is not None and now.at - incident.began.at >= self._terms.max_length:
            decisions += self._close(incident, "split", now)
            incident = self._begin(now, previous=incident)
        elif incident is None:
            incident = self._begin(now, previous=None)
        self._open = incident
        subjects = self._subjects(frozenset().union(*(finding.tracks for finding in findings)), observation)
        incident.add(findings, subjects, observation.frame)
        if incident.rev == 0:
            if not self._terms.assesses:
                incident.assessment = Assessment(incident.id, incident.camera, "disabled")
            alert = incident.tell("new", now)
            decisions.append(Decision(alert, captured_at=now.at, picture=incident.fresh_picture()))
        return decisions

    def _begin(self, now: Moment, previous: Incident | None) -> Incident:
        ident = ulid(now.wall, self._entropy(self._terms.camera, now.wall))
        return Incident(ident, self._terms.camera, now, self._terms.notify_at, previous)

    def _subjects(self, tracks: frozenset[int], observation: Observation) -> list[Subject]:
        return [
            Subject(track.id, track.label, track.confidence, track.box, round(self._book.dwell(track.id), 2))
            for track in observation.tracks
            if track.id in tracks
        ]

    def _advance(self, incident: Incident, now: Moment) -> list[Decision]:
        if now.at - incident.last_finding.at >= self._terms.linger:
            return self._close(incident, "quiet" if self._present else "camera_lost", now)
        decisions = []
        if not incident.asked and now.at - incident.began.at >= SETTLE_SECONDS:
            decisions += self._ask(incident, now)
        if incident.has_news(now.at):
            decisions.append(Decision(incident.tell("update", now), picture=incident.fresh_picture()))
        return decisions

    def _ask(self, incident: Incident, now: Moment) -> list[Decision]:
        incident.asked = True
        if incident.assessment.state != "pending":
            return []
        began = incident.began.at
        affordable = self._within_budget(incident, now.at)
        request = AssessmentRequest(
            incident=incident.id,
            camera=incident.camera,
            floor=incident.floor,
            triggered_at=began,
            deadline_at=began + self._terms.deadline,
            keyframes=incident.shortlist.keyframes() if affordable else (),
            facts=self._facts(incident),
            within_budget=affordable,
        )
        return [Decision(request=request)]

    def _within_budget(self, incident: Incident, at: float) -> bool:
        while self._asked_at and at - self._asked_at[0] >= 60.0:
            self._asked_at.popleft()
        if incident.floor >= Level.high or self._terms.per_minute is None:
            return True
        if len(self._asked_at) >= self._terms.per_minute:
            return False
        self._asked_at.append(at)
        return True

    def _facts(self, incident: Incident) -> Facts:
        local = datetime.fromtimestamp(incident.began.wall, ZoneInfo(self._terms.timezone))
        return Facts(self._terms.title, self._terms.context, f"{local:%A %H:%M}", incident.reasons)

    def _close(self, incident: Incident, reason: EndReason, now: Moment) -> list[Decision]:
        self._open = None
        incident.close(reason)
        self._closing.append(incident)
        decisions = [] if incident.asked else self._ask(incident, now)
        if len(self._closing) > _MAX_CLOSING:
            self._closing[0].expire()
        return decisions + self._finish(incident, now)

    def _finish(self, incident: Incident, now: Moment) -> list[Decision]:
        """Send an ended incident's last message, once its assessment is there or has had its time."""
        patience = max(self._terms.linger, self._terms.deadline) + END_GRACE_SECONDS
        if incident.assessment.state == "pending":
            if now.at - incident.last_finding.at < patience:
                return []
            incident.expire()
        self._closing.remove(incident)
        return [Decision(incident.tell("end", now), picture=incident.fresh_picture())]


class Policy:
    """The decisions of all cameras, each camera's apart. Owned by the service's main loop."""

    def __init__(self, config: Config, assesses: bool, entropy: Entropy) -> None:
        self.cameras = {
            name: CameraPolicy(
                terms_of(config, name, assesses),
                [rule for rule in camera.rules if isinstance(rule, PersonSettings)],
                entropy,
            )
            for name, camera in config.cameras.items()
        }

    def observe(self, observation: Observation) -> list[Decision]:
        """Take in one frame of one camera."""
        return self.cameras[observation.frame.camera].observe(observation)

    def assessed(self, assessment: Assessment, now: Moment) -> list[Decision]:
        """Take in how a request ended."""
        return self.cameras[assessment.camera].assessed(assessment, now)

    def tick(self, now: Moment) -> list[Decision]:
        """Let time pass for every camera."""
        return [decision for camera in self.cameras.values() for decision in camera.tick(now)]

    def end_all(self, reason: EndReason, error: str, now: Moment) -> list[Decision]:
        """End whatever is open on any camera."""
        return [d for camera in self.cameras.values() for d in camera.end_all(reason, error, now)]
