"""An assessor whose answers are waited for, where no alert depends on them: recordings, pictures, evaluations."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import replace

from surveil.clock import SystemClock
from surveil.interfaces import Assessor, AssessorError
from surveil.messages import Answer, Assessment, AssessmentRequest

PATIENCE_SECONDS = 600.0
"""The longest that one answer may take: everything else waits for it, so the config's deadline does not count."""
REST_SECONDS = 60.0
_LOOK_SECONDS = 0.2


class Oracle:
    """Asks an assessor one question at a time, and waits for the answer; `oracle` makes it."""

    def __init__(self, assessor: Assessor | None, runner: asyncio.Runner, model: str) -> None:
        self.model = model
        self._assessor = assessor
        self._runner = runner
        self._clock = SystemClock()
        self._patient = True

    def ask(self, request: AssessmentRequest) -> Assessment:
        """Return how the request ended; its deadline does not count. Without an assessor it is `disabled`."""
        ended = Assessment(request.incident, request.camera, "disabled", look=request.look)
        if self._assessor is None:
            return ended
        if not request.within_budget:
            return replace(ended, state="shed", error="over assessor.per_minute")
        self._let_rest(self._assessor)
        began = self._clock.monotonic()
        asked = replace(request, triggered_at=began, deadline_at=began + PATIENCE_SECONDS)
        outcomes: list[Answer | AssessorError] = []
        work = self._assessor.assess([asked], lambda _request, outcome: outcomes.append(outcome))
        try:
            self._runner.run(asyncio.wait_for(work, PATIENCE_SECONDS))
        except TimeoutError:
            return replace(ended, state="expired", error=f"no answer in {PATIENCE_SECONDS:.0f} s")
        ended = replace(ended, latency_ms=round(1000 * (self._clock.monotonic() - began)))
        (outcome,) = outcomes
        if isinstance(outcome, AssessorError):
            return replace(ended, state="failed", error=str(outcome))
        self._patient = True
        return replace(ended, state="done", answer=outcome)

    def _let_rest(self, assessor: Assessor) -> None:
        """Wait while a model or server rests after faults: a hiccup must not look like a verdict on the model.

        Once waiting has not helped, it is not tried again before something works.
        """
        until = self._clock.monotonic() + REST_SECONDS
        while self._patient and assessor.fault is not None:
            self._patient = self._clock.monotonic() < until
            self._runner.run(asyncio.sleep(_LOOK_SECONDS))


@contextlib.contextmanager
def oracle(assessor: Assessor | None) -> Iterator[Oracle]:
    """Load an assessor's model, and let go of it at the end. Raises AssessorError."""
    with asyncio.Runner() as runner:
        if assessor is None:
            yield Oracle(None, runner, "")
            return
        try:
            yield Oracle(assessor, runner, runner.run(assessor.start()))
        finally:
            runner.run(assessor.close())
