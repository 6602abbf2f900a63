"""The assessment stage: an event loop on its own thread that asks the VLM, and never keeps an alert waiting.

Every request that is submitted ends exactly once: `done`, `failed`, `expired` or `shed`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

from surveil.assess.queue import UrgencyQueue
from surveil.clock import Clock
from surveil.interfaces import Assessor, AssessorError
from surveil.messages import Answer, Assessment, AssessmentRequest, AssessmentState
from surveil.metrics import Metrics

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.2
"""How often waiting requests are looked through for deadlines that are over."""
_STOPPED = "the daemon stopped before the answer"
_LATE = "no answer before the deadline"


class AssessmentStage:
    """Owns the queue, the assessor and the thread they live on."""

    def __init__(
        self,
        assessor: Assessor,
        queue: UrgencyQueue,
        hand_on: Callable[[Assessment], None],
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self.model: str | None = None
        self._assessor = assessor
        self._queue = queue
        self._hand_on = hand_on
        self._metrics = metrics
        self._clock = clock
        self._fault = "the model is not loaded yet"
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="assess", daemon=True)

    def start(self) -> None:
        """Start the thread, which loads the model first."""
        self._thread.start()

    def wait_ready(self, timeout: float) -> bool:
        """Wait until the model is loaded, or known not to load; False when that took too long."""
        return self._ready.wait(timeout)

    def submit(self, request: AssessmentRequest) -> Assessment | None:
        """Ask; called by the main loop, which is handed the end of what is shed at once. Other ends come later."""
        self._metrics.count("assessments_asked")
        if not request.within_budget:
            return self._ended(request, "shed", error="over assessor.per_minute")
        shed = self._queue.offer(request)
        self._call(self._wake)
        return None if shed is None else self._ended(shed, "shed", error="more urgent incidents came first")

    def stop(self, timeout: float) -> bool:
        """Give up what runs and waits, close the model; False when that took longer than `timeout` seconds."""
        self._call(self._stopping)
        self._call(self._wake)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _call(self, event: asyncio.Event) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(event.set)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        # Deadlines hold from the first moment, also while the model is still loading.
        tasks = [asyncio.create_task(self._expire()), asyncio.create_task(self._work())]
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
        for task in [*tasks, stopping]:
            task.cancel()
        # A fault of ours in one of the tasks ends the stage, and must not pass in silence.
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                _log.error("a fault in the assessment stage", exc_info=outcome)
        await self._assessor.close()
        while (waiting := self._queue.pop()) is not None:
            self._end(waiting, "failed", error=_STOPPED)
        self._ready.set()

    async def _load(self) -> None:
        try:
            self.model = await self._assessor.start()
        except AssessorError as error:
            self._fault = str(error)
            _log.error("there will be no assessments: %s", error)
        self._ready.set()

    async def _expire(self) -> None:
        while True:
            for request in self._queue.expired(self._clock.monotonic()):
                self._end(request, "expired", error=_LATE)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _work(self) -> None:
        await self._load()
        while True:
            request = self._queue.pop()
            if request is None:
                self._wake.clear()
                if not len(self._queue):
                    await self._wake.wait()
                continue
            await self._ask(request)

    async def _ask(self, request: AssessmentRequest) -> None:
        remaining = request.deadline_at - self._clock.monotonic()
        try:
            if self.model is None:
                raise AssessorError(self._fault)
            async with asyncio.timeout(max(0.0, remaining)):
                answer = await self._assessor.assess(request)
        except TimeoutError:
            self._end(request, "expired", error=_LATE)
        except AssessorError as error:
            self._end(request, "failed", error=str(error))
        except asyncio.CancelledError:
            self._end(request, "failed", error=_STOPPED)
            raise
        else:
            self._end(request, "done", answer=answer)

    def _end(
        self, request: AssessmentRequest, state: AssessmentState, answer: Answer | None = None, error: str | None = None
    ) -> None:
        self._hand_on(self._ended(request, state, answer, error))

    def _ended(
        self, request: AssessmentRequest, state: AssessmentState, answer: Answer | None = None, error: str | None = None
    ) -> Assessment:
        took = self._clock.monotonic() - request.triggered_at
        self._metrics.count("assessments", state)
        if state == "done":
            self._metrics.sample("assessment_seconds", took)
        why = f": {error}" if error else ""
        _log.info("camera=%s alert=%s assessment %s after %.1f s%s", request.camera, request.incident, state, took, why)
        return Assessment(request.incident, request.camera, state, answer, latency_ms=round(took * 1000), error=error)
