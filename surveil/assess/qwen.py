"""Qwen2.5-VL in this box: a worker process with the model in it, which neither the interpreter lock nor a CUDA
fault of the model can reach detection from."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, TypeVar

from surveil.assess import answer
from surveil.assess.breaker import Breaker
from surveil.assess.memory import Precision
from surveil.assess.vlm import Question, Said, Shape
from surveil.clock import Clock
from surveil.interfaces import AssessorError

T = TypeVar("T")
_log = logging.getLogger(__name__)
PATIENCE_SECONDS = 15.0
"""A worker on a GPU that has not moved for so long, while it should, hangs."""
PATIENCE_ON_CPU_SECONDS = 120.0
"""On a CPU, reading the pictures alone may take as long."""
LOAD_SECONDS = 900.0
"""A model that takes longer to load is on a disk or a card that hangs."""
_LOOK_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Residence:
    """Which model lives in this box, and in how much of it.

    Args:
        model: a folder with the weights, or a hub name whose files are in the local cache.
        precision: half precision as they come, or four bits.
        ceiling_gb: the most GPU memory that it may take; None for no ceiling.
        batch: how many questions it answers in one go.
    """

    model: str
    precision: Precision = "none"
    ceiling_gb: float | None = None
    batch: int = 8


class _WorkerLost(Exception):
    """The worker died, hangs, or has no memory left for one question."""


class _Refused(Exception):
    """The worker lives, and failed over these questions."""


class QwenVlm:
    """A Vlm: one resident Qwen2.5-VL, several questions at a time. Lives on the assessment stage's event loop."""

    def __init__(self, residence: Residence, clock: Clock, patience: float = PATIENCE_SECONDS) -> None:
        self.batch = residence.batch
        self.depth = 1
        self._residence = residence
        self._clock = clock
        self._patience = patience
        self._breaker = Breaker(clock)
        self._name = ""
        self._pool: ProcessPoolExecutor | None = None
        self._restart: asyncio.Task[str] | None = None
        # Without a lock: a worker that is killed while it holds one would leave us waiting for it for ever.
        self._moved = _context().Value("d", 0.0, lock=False)

    @property
    def fault(self) -> str | None:
        """Why it is left alone for a while, or that it is being replaced; None when it can be asked."""
        if self._restart is not None and not self._restart.done():
            return "the model is being loaded again"
        return self._breaker.fault

    async def start(self) -> str:
        """Start the worker and load the model in it; return the model's name. Raises AssessorError."""
        self._pool = ProcessPoolExecutor(
            max_workers=1, mp_context=_context(), initializer=_in_worker, initargs=(self._moved,)
        )
        schemas = {shape: answer.schema(shape) for shape in answer.SHAPES}
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                self._name = await self._run(_load, self._residence, schemas)
        except TimeoutError:
            await self.close()
            raise AssessorError(f"{self._residence.model} was not loaded within {LOAD_SECONDS:.0f} s") from None
        except _WorkerLost:
            await self.close()
            raise AssessorError(f"the process that loads {self._residence.model} died") from None
        except AssessorError:
            await self.close()
            raise
        return self._name

    async def say(self, questions: Sequence[Question]) -> list[Said]:
        """Return what came of each question.

        When the worker is lost or fails over several, each is asked once more alone: so the one that it is about
        takes no other with it.
        """
        said: list[Said] = []
        for first in range(0, len(questions), self.batch):
            said += await self._say_batch(questions[first : first + self.batch])
        return said

    async def close(self) -> None:
        """End the worker, also in the middle of an answer."""
        if self._restart is not None and self._restart is not asyncio.current_task():
            self._restart.cancel()
            self._restart = None
        pool, self._pool = self._pool, None
        if pool is None:
            return
        workers = list((pool._processes or {}).values())
        for worker in workers:
            worker.kill()  # one that hangs in native code does not hear anything gentler
        await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)

    async def _say_batch(self, questions: Sequence[Question]) -> list[Said]:
        if len(questions) > 1:
            with contextlib.suppress(_WorkerLost, _Refused):
                return await self._once(questions)
            return [(await self._say_batch([question]))[0] for question in questions]
        for _ in range(2):
            try:
                return await self._once(questions)
            except _Refused as error:
                return [AssessorError(str(error))]
            except _WorkerLost as lost:
                said: Said = AssessorError(f"{lost} over this request")
        return [said]

    async def _once(self, questions: Sequence[Question]) -> list[Said]:
        """Ask once. Raises _WorkerLost, with the worker ended and the breaker told, and _Refused."""
        if self._breaker.open:
            return [AssessorError(f"the model rests: {self._breaker.fault}")] * len(questions)
        try:
            if self._pool is None or self._restart is not None:
                await self._restarted()
        except AssessorError as error:
            self._failed(str(error))
            return [error] * len(questions)
        try:
            said: list[Said] = await self._watched(questions)
        except AssessorError as error:  # a question's own fault, which leaves the worker alive
            raise _Refused(str(error)) from None
        except _WorkerLost as lost:
            self._failed(str(lost))
            await self.close()
            raise
        self._breaker.worked()
        return said

    def _failed(self, why: str) -> None:
        opened = self._breaker.failed(why)
        _log.error("assessor: %s", f"{why}, {self._breaker.fault}" if opened else why)

    async def _watched(self, questions: Sequence[Question]) -> list[Said]:
        """Wait for the worker's answers for as long as it moves."""
        running = asyncio.ensure_future(self._run(_generate, list(questions)))
        began = self._clock.monotonic()
        try:
            while not running.done():
                await asyncio.wait([running], timeout=_LOOK_SECONDS)
                still = self._clock.monotonic() - max(began, self._moved.value)
                if not running.done() and still > self._patience:
                    raise _WorkerLost("the model's process hung")
            return running.result()
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError, AssessorError, _WorkerLost):
                await running

    async def _restarted(self) -> None:
        """Wait for a new worker. A request that gives up does not stop the loading of it."""
        if self._restart is None or self._restart.done():  # one that failed while nobody waited is no answer now
            self._restart = asyncio.create_task(self.start())
        try:
            await asyncio.shield(self._restart)
        finally:
            if self._restart is not None and self._restart.done():
                self._restart = None

    async def _run(self, call: Callable[..., T], *arguments: Any) -> T:
        """Run `call` in the worker. Raises AssessorError for its faults, _WorkerLost for its end."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, call, *arguments)
        except BrokenProcessPool:
            raise _WorkerLost("the model's process died") from None
        except MemoryError:
            raise _WorkerLost("the model ran out of memory") from None
        except AssessorError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the model raised ends this request, not the daemon
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise AssessorError(f"the model failed: {first}"[:200]) from None


def _context() -> multiprocessing.context.SpawnContext:
    return multiprocessing.get_context("spawn")


# What follows runs in the worker process, the only one that imports torch for the VLM.


def _in_worker(moved: Any) -> None:
    """Outlive a Ctrl-C, which is the parent's to answer, and never outlive the parent."""
    import signal
    import threading
    from multiprocessing import connection, parent_process

    from surveil import logs

    global _moved  # noqa: PLW0603 - one process, one model; this is its sign of life
    _moved = moved
    logs.set_up()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        sentinel = parent.sentinel

        def follow() -> None:
            connection.wait([sentinel])
            os._exit(0)

        threading.Thread(target=follow, name="follow-parent", daemon=True).start()


_moved: Any = None


def _load(residence: Residence, schemas: dict[Shape, Any]) -> str:
    from surveil.assess import qwen_model

    return qwen_model.load(residence, schemas, _moved)


def _generate(questions: list[Question]) -> list[Said]:
    from surveil.assess import qwen_model

    return [*qwen_model.generate(questions)]
