"""From observations to decisions: the rules of each camera, and the incidents that their findings make."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from surveil.commands import MODES, Switch
from surveil.config import Camera, Config
from surveil.config.rules import LeftObjectSettings, RemovedObjectSettings, TamperSettings
from surveil.messages import (
    Alert,
    Assessment,
    AssessmentRequest,
    Decision,
    EndReason,
    Finding,
    Level,
    Observation,
    Subject,
)
from surveil.trigger.background import BackgroundModel
from surveil.trigger.cooldown import Cooldowns
from surveil.trigger.habits import Habits
from surveil.trigger.identity import Entropy
from surveil.trigger.incidents import Incident, Moment
from surveil.trigger.lane import Budget, Lane, Terms
from surveil.trigger.rules import Armed, Ground, armed
from surveil.trigger.scene import SceneWatch
from surveil.trigger.tamper import TamperRule
from surveil.trigger.tracks import TrackBook
from surveil.trigger.zones import Area, Line

Watcher = Callable[[Ground, Observation, list[tuple[Armed, Finding]]], None]
"""Is shown each frame as the rules saw it, and what they found in it."""


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
        min_risk=Level[config.alerts.min_risk],
        notify_at=Level[config.alerts.notify_risk],
        deadline=config.assessor.deadline,
        per_minute=config.assessor.per_minute,
        assesses=assesses,
        reassess_after=config.assessor.reassess_after,
    )


class CameraPolicy:
    """One camera's decisions. Every call brings the time; the same calls give the same decisions."""

    def __init__(self, terms: Terms, rules: Iterable[Armed], ground: Ground, entropy: Entropy) -> None:
        self.mode: str | None = MODES[0]
        self.ground = ground
        self.watcher: Watcher | None = None
        self._rules = list(rules)
        self._terms = terms
        budget = Budget(terms.per_minute)
        self._lanes = {
            own: Lane(
                terms,
                budget,
                Cooldowns((armed for armed in self._rules if armed.own_lane is own), terms.linger),
                entropy,
            )
            for own in (False, True)
        }
        self._last_at = -math.inf
        self._seen_at: float | None = None
        self._over = False
        self._present = True
        self._alerts = self._watched = True

    def switch(self, off: Collection[Switch], now: Moment) -> list[Decision]:
        """Take in which of the camera's switches are off: what they end is ended."""
        alerts, watched = "alerts" not in off, "detect" not in off
        if watched and not self._watched:
            self._seen_at = now.at  # its pictures were not missed
        self._alerts, self._watched = alerts, watched
        for lane in self._lanes.values():
            lane.assesses = self._terms.assesses and "assess" not in off
        if alerts and watched:
            return []
        return [decision for lane in self._lanes.values() for decision in lane.close("disabled", now)]

    def observe(self, observation: Observation) -> list[Decision]:
        """Take in one frame."""
        observation = self._sound(observation)
        frame = observation.frame
        now = Moment(frame.at, frame.wall)
        self._seen_at = now.at
        self._learn(observation)
        # What time alone has ended is ended before this frame may begin anew.
        decisions = self.tick(now)
        findings = [
            (rule, finding)
            for rule in self._rules
            for finding in rule.rule.evaluate(observation)
            if rule.counts(frame.wall, self.mode) and self._alerts
        ]
        if self.watcher is not None:
            self.watcher(self.ground, observation, findings)
        for own, lane in self._lanes.items():
            found = [finding for rule, finding in findings if rule.own_lane is own]
            if found:
                decisions += lane.found(found, self._subjects(found, observation), observation, now)
        return decisions

    def tick(self, now: Moment) -> list[Decision]:
        """Let time pass: ask, update, end; and tell of a camera that gives no pictures."""
        decisions = [decision for lane in self._lanes.values() for decision in lane.tick(now, self._present)]
        if self._seen_at is None:
            self._seen_at = now.at
        for rule in self._rules:
            silent = self._over or not self._alerts or not self._watched
            if isinstance(rule.rule, TamperRule) and not silent and rule.counts(now.wall, self.mode):
                absent = rule.rule.absent(self._seen_at, now.at)
                if absent is not None:
                    decisions += self._lanes[True].found([absent], [], None, now)
        return decisions

    def assessed(self, assessment: Assessment, now: Moment) -> list[Decision]:
        """Take in how a request ended."""
        told = [decision for lane in self._lanes.values() for decision in lane.assessed(assessment, now)]
        return [*told, *self.tick(now)] if told else []

    def present(self, present: bool) -> None:
        """Say whether the camera delivers pictures, which names the reason of an end."""
        self._present = present

    def over(self) -> None:
        """Say that a recording has ended: that no picture follows is nothing to tell of."""
        self._over = True
        self._present = False

    def end_all(self, reason: EndReason, error: str, now: Moment) -> list[Decision]:
        """End whatever is open, now: the daemon stops."""
        return [decision for lane in self._lanes.values() for decision in lane.end(reason, error, now)]

    def resume(self, told: Alert, request: AssessmentRequest | None, now: Moment) -> list[Decision]:
        """Take up an incident where the last run left it; `request` asks the VLM again, where there is time."""
        lane = self._lanes[self._is_health(told)]
        incident = Incident.restored(told, now, self._terms.notify_at)
        if told.phase == "end":
            lane.follow(incident)
            return []
        return lane.resume(incident, request, now)

    def _is_health(self, told: Alert) -> bool:
        """Return whether an incident is of camera health, which has a lane of its own."""
        own = {armed.title for armed in self._rules if armed.own_lane}
        return told.kind == "anomaly" and bool(own & set(told.rules))

    def _learn(self, observation: Observation) -> None:
        ground, frame = self.ground, observation.frame
        ground.book.update(observation)
        ground.scene.observe(frame.image, frame.at)
        if ground.background is not None:
            ground.background.observe(frame.image, frame.at, observation.tracks)

    def _sound(self, observation: Observation) -> Observation:
        """Return an observation whose time does not go back, without boxes that are no numbers or do not count."""
        frame = observation.frame
        if frame.at < self._last_at:
            frame = replace(frame, at=self._last_at)
        self._last_at = frame.at
        tracks = tuple(
            track
            for track in observation.tracks
            if all(map(math.isfinite, (*track.box, track.confidence))) and not self.ground.ignored.holds(track.box)
        )
        return Observation(frame, tracks)

    def _subjects(self, findings: list[Finding], observation: Observation) -> list[Subject]:
        wanted = frozenset[int]().union(*(finding.tracks for finding in findings))
        book = self.ground.book
        seen = [
            Subject(
                track.id, track.label, track.confidence, track.box, round(book.record(track.id).dwell, 2),
                book.record(track.id).zones,
            )
            for track in observation.tracks
            if track.id in wanted
        ]  # fmt: skip
        return [*seen, *(thing for finding in findings for thing in finding.things)]


class Policy:
    """The decisions of all cameras, each camera's apart. Owned by the service's main loop."""

    def __init__(
        self, config: Config, assesses: bool, entropy: Entropy, habits: Mapping[str, Habits] | None = None
    ) -> None:
        self.cameras: dict[str, CameraPolicy] = {}
        for name, camera in config.cameras.items():
            ground = _ground(camera, config.local_zone(name), (habits or {}).get(name) or Habits())
            rules = [armed(rule, ground) for rule in camera.rules]
            self.cameras[name] = CameraPolicy(terms_of(config, name, assesses), rules, ground, entropy)

    def observe(self, observation: Observation) -> list[Decision]:
        """Take in one frame of one camera."""
        return self.cameras[observation.frame.camera].observe(observation)

    def assessed(self, assessment: Assessment, now: Moment) -> list[Decision]:
        """Take in how a request ended."""
        return self.cameras[assessment.camera].assessed(assessment, now)

    def resume(self, told: Alert, request: AssessmentRequest | None, now: Moment) -> list[Decision]:
        """Take up an incident where the last run left it; that of a camera which is no more just ends."""
        camera = self.cameras.get(told.camera)
        if camera is not None:
            return camera.resume(told, request, now)
        if told.phase == "end":
            return []
        incident = Incident.restored(told, now, Level.critical)
        if incident.awaits:
            incident.give_up("expired", "the daemon ended before the answer")
        return [Decision(incident.tell("end", now))]

    def tick(self, now: Moment) -> list[Decision]:
        """Let time pass for every camera."""
        return [decision for camera in self.cameras.values() for decision in camera.tick(now)]

    def end_all(self, reason: EndReason, error: str, now: Moment) -> list[Decision]:
        """End whatever is open on any camera."""
        return [d for camera in self.cameras.values() for d in camera.end_all(reason, error, now)]


def _ground(camera: Camera, timezone: str, habits: Habits) -> Ground:
    zones = {name: Area([zone.polygon]) for name, zone in camera.zones.items()}
    static = [rule.for_ for rule in camera.rules if isinstance(rule, LeftObjectSettings | RemovedObjectSettings)]
    tamper = [rule.for_ for rule in camera.rules if isinstance(rule, TamperSettings)]
    return Ground(
        book=TrackBook(zones),
        timezone=timezone,
        zones=zones,
        lines={name: Line(ends.from_, ends.to) for name, ends in camera.lines.items()},
        ignored=Area(camera.ignore),
        scene=SceneWatch(tamper[0] if tamper else None),
        background=BackgroundModel(max(static)) if static else None,
        habits=habits,
    )
