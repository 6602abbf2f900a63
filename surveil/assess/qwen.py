"""Qwen2.5-VL in this box: a worker process with the model in it, which neither the interpreter lock nor a CUDA
fault of the model can reach detection from."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from surveil.assess import answer, prompt
from surveil.interfaces import AssessorError
from surveil.messages import Answer, AssessmentRequest, Image

T = TypeVar("T")
_log = logging.getLogger(__name__)


class QwenAssessor:
    """Asks one resident Qwen2.5-VL, one request at a time. Lives on the assessment stage's event loop.

    Args:
        model: a folder with the weights, or a hub name whose files are in the local cache.
        language: of the answer's sentences (BCP 47).
    """

    def __init__(self, model: str, language: str) -> None:
        self._model = model
        self._language = language
        self._name = ""
        self._pool: ProcessPoolExecutor | None = None
        self._restart: asyncio.Task[str] | None = None

    async def start(self) -> str:
        """Start the worker and load the model in it; return the model's name. Raises AssessorError."""
        self._pool = ProcessPoolExecutor(
            max_workers=1, mp_context=multiprocessing.get_context("spawn"), initializer=_in_worker
        )
        try:
            self._name = await self._run(_load, self._model, answer.schema())
        except AssessorError:
            await self.close()
            raise
        return self._name

    async def assess(self, request: AssessmentRequest) -> Answer:
        """Answer one request; one that finds the worker dead is asked once more of a new one."""
        try:
            return await self._ask(request)
        except BrokenProcessPool:
            _log.error("camera=%s alert=%s the model's process died", request.camera, request.incident)
            await self.close()
        try:
            return await self._ask(request)
        except BrokenProcessPool:
            await self.close()
            raise AssessorError("the model's process died twice over this request") from None

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
            worker.terminate()
        await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)

    async def _ask(self, request: AssessmentRequest) -> Answer:
        if self._pool is None or self._restart is not None:
            await self._restarted()
        # Decoding and scaling take a while: not on the loop that watches the deadlines.
        pictures = await asyncio.to_thread(_pictures, request)
        text = await self._run(
            _generate,
            prompt.SYSTEM,
            prompt.question(request, self._language),
            pictures,
            request.deadline_at,
        )
        return answer.read(text, self._name)

    async def _restarted(self) -> None:
        """Wait for a new worker. Loading takes as long as it takes: a request that gives up does not stop it."""
        if self._restart is None:
            self._restart = asyncio.create_task(self.start())
        try:
            await asyncio.shield(self._restart)
        finally:
            if self._restart is not None and self._restart.done():
                self._restart = None

    async def _run(self, call: Callable[..., T], *arguments: Any) -> T:
        """Run `call` in the worker. Raises AssessorError for its faults, BrokenProcessPool for its death."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, call, *arguments)
        except BrokenProcessPool:
            if call is _load:
                raise AssessorError(f"the process that loads {self._model} died") from None
            raise
        except AssessorError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the model raised ends this request, not the daemon
            raise AssessorError(
                f"the model failed: {str(error).splitlines()[0] if str(error) else error!r}"[:200]
            ) from None


def _pictures(request: AssessmentRequest) -> list[Image]:
    try:
        return [keyframe.image() for keyframe in request.keyframes]
    except Exception as error:  # noqa: BLE001 - whatever a decoder raises ends this request, not the stage
        raise AssessorError(f"a picture cannot be made: {type(error).__name__}") from None


def is_here(model: str) -> bool:
    """Return whether a model is on this machine: a folder, or a hub name in the local cache."""
    if os.path.isdir(model):  # noqa: PTH112 - Path raises over a name that is too long
        return True
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        return isinstance(try_to_load_from_cache(model, "config.json"), str)
    except HFValidationError:
        return False


# What follows runs in the worker process, the only one that imports torch for the VLM.


def _in_worker() -> None:
    """Outlive a Ctrl-C, which is the parent's to answer, and never outlive the parent."""
    import signal
    import threading
    from multiprocessing import connection, parent_process

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        sentinel = parent.sentinel

        def follow() -> None:
            connection.wait([sentinel])
            os._exit(0)

        threading.Thread(target=follow, name="follow-parent", daemon=True).start()


def _load(model: str, schema: dict[str, Any]) -> str:
    from surveil.assess import qwen_model

    return qwen_model.load(model, schema)


def _generate(system: str, question: str, images: list[Image], deadline_at: float) -> str:
    from surveil.assess import qwen_model

    return qwen_model.generate(system, question, images, deadline_at)
