"""The assessment stage: an event loop on its own thread that asks the VLM, and never keeps an alert waiting.

Every request that is submitted ends exactly once: `done`, `failed`, `expired` or `shed`.
"""

from __future__ import annotations

import asyncio
import contextlib
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
"""How often requests are looked through for deadlines that are over."""
FIRST_PAUSE_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 600.0
"""A model that does not load is tried again after these, so that weights which came later are found."""
_STOPPED = "the daemon stopped before the answer"
_LATE = "no answer before the deadline"
_BROKEN = "a fault of surveil's own ended the assessments; its log says which"


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
        self._unloaded = "the model is not loaded yet"
        self._broken = False
        self._under_way: dict[AssessmentRequest, asyncio.Task[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._stop_asked = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="assess", daemon=True)

    def start(self) -> None:
        """Start the thread, which loads the model first."""
        self._thread.start()

    def wait_ready(self, timeout: float) -> bool:
        """Wait until the model is loaded, or known not to load; False when that took too long."""
        return self._ready.wait(timeout)

    @property
    def fault(self) -> str | None:
        """What keeps the VLM from answering now, for people; None when nothing is known to."""
        if self._broken:
            return _BROKEN
        return self._unloaded if self.model is None else self._assessor.fault

    @property
    def pending(self) -> int:
        """How many requests wait or are under way."""
        return len(self._queue) + len(self._under_way)

    def submit(self, request: AssessmentRequest) -> list[Assessment]:
        """Ask; called by the main loop, which is handed what ends at once. Other ends come later."""
        self._metrics.count("assessments_asked")
        if not request.within_budget:
            return [self._ended(request, "shed", error="over assessor.per_minute")]
        if self._broken:
            return [self._ended(request, "failed", error=_BROKEN)]
        out = self._queue.offer(request)
        self._call(self._wake)
        return [self._ended(gone, "shed", error=_why_gone(gone, request)) for gone in out]

    def stop(self, timeout: float) -> bool:
        """Give up what runs and waits, close the model; False when that took longer than `timeout` seconds."""
        self._stop_asked.set()
        self._call(self._stopping)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _call(self, event: asyncio.Event) -> None:
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the stage has ended
                loop.call_soon_threadsafe(event.set)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        if self._stop_asked.is_set():  # before there was a loop to tell
            self._stopping.set()
        # Deadlines hold from the first moment, also while the model is still loading.
        tasks = [asyncio.create_task(work()) for work in (self._load, self._expire, self._work)]
        stopping = asyncio.create_task(self._stopping.wait())
        # Loading ends by itself; the others only by a fault of ours.
        await asyncio.wait([*tasks[1:], stopping], return_when=asyncio.FIRST_COMPLETED)
        self._broken = not self._stopping.is_set()
        goes = set(self._under_way.values())
        for task in [*tasks, stopping, *goes]:
            task.cancel()
        # A fault of ours in one of the tasks ends the stage, and must not pass in silence.
        for outcome in await asyncio.gather(*tasks, *goes, return_exceptions=True):
            if isinstance(outcome, Exception):
                _log.error("a fault in the assessment stage", exc_info=outcome)
        await self._assessor.close()
        for request in [*self._under_way, *self._queue.pop(len(self._queue))]:
            self._end(request, "failed", error=_BROKEN if self._broken else _STOPPED)
        self._ready.set()

    async def _expire(self) -> None:
        while True:
            now = self._clock.monotonic()
            for request in self._queue.expired(now):
                self._end(request, "expired", error=_LATE)
            for request, go in list(self._under_way.items()):
                if request.deadline_at <= now:
                    self._end(request, "expired", error=_LATE)
                    if go not in self._under_way.values():
                        go.cancel()  # nobody waits for any of it any more
            await asyncio.sleep(_LOOK_SECONDS)

    async def _work(self) -> None:
        """Keep as many goes under way as the assessor takes; what waits goes in order of urgency."""
        goes: set[asyncio.Task[None]] = set()
        try:
            while True:
                self._wake.clear()
                while (
                    self._ready.is_set()
                    and len(goes) < self._assessor.depth
                    and (batch := self._queue.pop(self._assessor.batch))
                ):
                    go = asyncio.create_task(self._ask(batch))
                    self._under_way.update(dict.fromkeys(batch, go))
                    goes.add(go)
                waking = asyncio.create_task(self._wake.wait())
                done, _ = await asyncio.wait([*goes, waking], return_when=asyncio.FIRST_COMPLETED)
                waking.cancel()
                goes -= done
        finally:
            for go in goes:
                go.cancel()

    async def _load(self) -> None:
        """Load the model, and try again where that failed: its weights or its server may come later."""
        pause = FIRST_PAUSE_SECONDS
        while self.model is None:
            try:
                self.model = await self._assessor.start()
            except AssessorError as error:
                self._unloaded = str(error)
                _log.error("there will be no assessments: %s", error)
            except Exception as error:  # noqa: BLE001 - a full disk, say: the alerts go out all the same
                self._unloaded = f"a fault of surveil's own: {type(error).__name__}"
                _log.exception("there will be no assessments")
            self._ready.set()
            self._wake.set()
            if self.model is None:
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _ask(self, batch: list[AssessmentRequest]) -> None:
        """Ask about all requests of a batch; those whose deadline passes meanwhile are ended by `_expire`."""
        if self.model is None:
            for request in batch:
                self._end(request, "failed", error=self._unloaded)
            return
        now = self._clock.monotonic()
        for request in batch:
            self._metrics.sample("assessment_wait_seconds", now - request.triggered_at)
        why = "the model said nothing"
        try:
            await self._assessor.assess(batch, self._conclude)
        except Exception as error:  # noqa: BLE001 - a fault of ours over one batch must not end the stage
            _log.exception("a fault over %d assessments", len(batch))
            why = f"a fault of surveil's own: {type(error).__name__}"
        for request in batch:
            self._conclude(request, AssessorError(why))

    def _conclude(self, request: AssessmentRequest, outcome: Answer | AssessorError) -> None:
        """Take in what came of a request, unless it has ended already."""
        if request not in self._under_way:
            return
        if self._clock.monotonic() >= request.deadline_at:
            self._end(request, "expired", error=_LATE)
        elif isinstance(outcome, AssessorError):
            self._end(request, "failed", error=str(outcome))
        else:
            self._end(request, "done", answer=outcome)

    def _end(
        self, request: AssessmentRequest, state: AssessmentState, answer: Answer | None = None, error: str | None = None
    ) -> None:
        self._under_way.pop(request, None)
        self._hand_on(self._ended(request, state, answer, error))

    def _ended(
        self, request: AssessmentRequest, state: AssessmentState, answer: Answer | None = None, error: str | None = None
    ) -> Assessment:
        took = self._clock.monotonic() - request.triggered_at
        self._metrics.count("assessments", state)
        if state == "done":
            self._metrics.sample("assessment_seconds", took)
        why = f": {error}" if error else ""
        line = f"camera={request.camera} alert={request.incident} look={request.look} assessment {state}"
        _log.info("%s after %.1f s%s", line, took, why)
        return Assessment(
            request.incident, request.camera, state, answer, round(took * 1000), error=error, look=request.look
        )


def _why_gone(gone: AssessmentRequest, request: AssessmentRequest) -> str:
    if gone.incident == request.incident and gone.look < request.look:
        return "newer pictures of the same incident took its place"
    return "more urgent incidents came first"
