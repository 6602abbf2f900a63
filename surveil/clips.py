"""Ends that wait for their clip: an incident's last message names it, and is not kept waiting for long."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from surveil.clock import Clock
from surveil.messages import Alert, Decision

_log = logging.getLogger(__name__)
PATIENCE_SECONDS = 10.0
"""A clip that is not there by then is left out of the last message: a disk may hang."""


class Recorder(Protocol):
    """Records clips on threads of its own."""

    def begin(self, incident: str, camera: str, at: float, name: str) -> None:
        """Record from some seconds before monotonic `at`; the clip will lie at `name`."""

    def finish(self, incident: str, last: float, done: Callable[[str | None, str], None]) -> None:
        """Record until some seconds after `last`, then tell the clip's name, or None and why there is none."""


class Clips:
    """Lets an incident's clip begin and end with it. `tell` is used by the main loop; clips come from any thread.

    Args:
        recorder: what records them.
        name: where the clip of a camera's incident lies, below the storage path.
        deliver: takes each decision when it is to go; from any thread, never blocks.
        clock: both times.
    """

    def __init__(
        self,
        recorder: Recorder,
        name: Callable[[str, str], str],
        deliver: Callable[[Decision], None],
        clock: Clock,
    ) -> None:
        self._recorder = recorder
        self._name = name
        self._deliver = deliver
        self._clock = clock
        self._ends: dict[str, tuple[Decision, float]] = {}
        self._finished: dict[str, str] = {}

    def recovered(self, names: dict[str, str]) -> None:
        """Take in the clips, by incident, that the last run could not complete and that were completed since."""
        self._finished.update(names)

    def tell(self, decision: Decision, alert: Alert) -> None:
        """Pass a decision on; the last one of an incident when its clip is there."""
        if alert.phase == "new":
            now = self._clock.monotonic()
            at = now if decision.captured_at is None else decision.captured_at
            self._recorder.begin(alert.id, alert.camera, at, self._name(alert.camera, alert.id))
        if alert.phase != "end" or alert.id in self._finished:
            self._deliver(replace(decision, clip=self._finished.pop(alert.id, None)))
            return
        now = self._clock.monotonic()
        self._ends[alert.id] = decision, now + PATIENCE_SECONDS
        ago = 0.0 if alert.ended is None else max(0.0, self._clock.wall() - alert.ended)
        self._recorder.finish(alert.id, now - ago, lambda name, note: self._done(alert, name, note))

    def _done(self, alert: Alert, name: str | None, note: str) -> None:
        if name is None:
            _log.info("camera=%s alert=%s has no clip: %s", alert.camera, alert.id, note)
        elif note:
            _log.info("camera=%s alert=%s clip: %s", alert.camera, alert.id, note)
        self._let_go(alert.id, name)

    def _let_go(self, incident: str, name: str | None) -> None:
        # Two threads may come at a time: the one that finds it here delivers it, so that it goes once.
        held = self._ends.pop(incident, None)
        if held is not None:
            self._deliver(replace(held[0], clip=name))

    def tick(self) -> None:
        """Let go of the ends that have waited long enough."""
        now = self._clock.monotonic()
        for incident in [incident for incident, (_, until) in list(self._ends.items()) if until <= now]:
            _log.warning("alert=%s its clip takes too long, and its last message goes without", incident)
            self._let_go(incident, None)

    def let_all_go(self) -> None:
        """Let go of every end that still waits: the daemon stops."""
        for incident in list(self._ends):
            self._let_go(incident, None)
