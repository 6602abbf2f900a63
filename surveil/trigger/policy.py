"""From observations to decisions: the rules of each camera, and the incidents that their findings make."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

from surveil.config import Config
from surveil.messages import Assessment, Decision, EndReason, Finding, Level, Observation, Subject
from surveil.trigger.cooldown import Cooldowns
from surveil.trigger.identity import Entropy
from surveil.trigger.incidents import Moment
from surveil.trigger.lane import Budget, Lane, Terms
from surveil.trigger.rules import Armed, Ground, armed
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
    )


class CameraPolicy:
    """One camera's decisions. Every call brings the time; the same calls give the same decisions."""

    def __init__(self, terms: Terms, rules: Iterable[Armed], ground: Ground, entropy: Entropy) -> None:
        self.mode: str | None = None
        self.ground = ground
        self.watcher: Watcher | None = None
        self._rules = list(rules)
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
        self._present = True

    def observe(self, observation: Observation) -> list[Decision]:
        """Take in one frame."""
        observation = self._sound(observation)
        frame = observation.frame
        now = Moment(frame.at, frame.wall)
        self.ground.book.update(observation)
        # What time alone has ended is ended before this frame may begin anew.
        decisions = self.tick(now)
        findings = [
            (rule, finding)
            for rule in self._rules
            for finding in rule.rule.evaluate(observation)
            if rule.counts(frame.wall, self.mode)
        ]
        if self.watcher is not None:
            self.watcher(self.ground, observation, findings)
        for own, lane in self._lanes.items():
            found = [finding for rule, finding in findings if rule.own_lane is own]
            if found:
                decisions += lane.found(found, self._subjects(found, observation), frame, now)
        return decisions

    def tick(self, now: Moment) -> list[Decision]:
        """Let time pass: ask, update, end."""
        return [decision for lane in self._lanes.values() for decision in lane.tick(now, self._present)]

    def assessed(self, assessment: Assessment, now: Moment) -> list[Decision]:
        """Take in how a request ended."""
        told = [decision for lane in self._lanes.values() for decision in lane.assessed(assessment, now)]
        return [*told, *self.tick(now)] if told else []

    def present(self, present: bool) -> None:
        """Say whether the camera delivers pictures, which names the reason of an end."""
        self._present = present

    def end_all(self, reason: EndReason, error: str, now: Moment) -> list[Decision]:
        """End whatever is open, now: the daemon stops."""
        return [decision for lane in self._lanes.values() for decision in lane.end(reason, error, now)]

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

    def __init__(self, config: Config, assesses: bool, entropy: Entropy) -> None:
        self.cameras = {name: _camera(config, name, assesses, entropy) for name in config.cameras}

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


def _camera(config: Config, name: str, assesses: bool, entropy: Entropy) -> CameraPolicy:
    settings = config.cameras[name]
    zones = {zone: Area([known.polygon]) for zone, known in settings.zones.items()}
    ground = Ground(
        book=TrackBook(zones),
        timezone=config.local_zone(name),
        zones=zones,
        lines={line: Line(ends.from_, ends.to) for line, ends in settings.lines.items()},
        ignored=Area(settings.ignore),
    )
    return CameraPolicy(
        terms_of(config, name, assesses), [armed(rule, ground) for rule in settings.rules], ground, entropy
    )
