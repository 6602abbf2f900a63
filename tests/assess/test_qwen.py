"""The real Qwen2.5-VL classes, at toy size and with random weights, in their own process."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from surveil.assess.qwen import QwenAssessor
from surveil.interfaces import AssessorError
from surveil.messages import AssessmentRequest, Facts, Image, Keyframe, Level, Subject
from tests.real.components import wait_for

pytestmark = pytest.mark.slow
T = TypeVar("T")


def request(pictures: int = 3, deadline: float = 60.0) -> AssessmentRequest:
    dice = np.random.default_rng(0)
    person = Subject(1, "person", 0.9, (0.1, 0.2, 0.3, 0.9), 1.0)
    now = time.monotonic()
    noise = [dice.integers(0, 255, (252, 448, 3), np.uint8).astype(np.uint8) for _ in range(pictures)]
    frames = [Keyframe(float(n), itertools.repeat(image).__next__, (person,)) for n, image in enumerate(noise)]
    return AssessmentRequest("ID", "front", Level.low, now, now + deadline, tuple(frames),
                             Facts("Front", "", "Sunday 22:04", ("person in view",)))  # fmt: skip


def worker(assessor: QwenAssessor) -> int:
    assert assessor._pool is not None
    (process,) = assessor._pool._processes.values()
    assert process.pid is not None
    return process.pid


@asynccontextmanager
async def started(folder: Path | str) -> AsyncIterator[QwenAssessor]:
    assessor = QwenAssessor(str(folder), "en")
    try:
        await assessor.start()
        yield assessor
    finally:
        await assessor.close()


def run(call: Callable[[], Awaitable[T]]) -> T:
    async def main() -> T:
        return await call()

    return asyncio.run(main())


def test_random_weights_too_give_an_answer_of_the_right_shape_and_a_dead_worker_is_replaced(toy_qwen: Path) -> None:
    async def scenario() -> None:
        async with started(toy_qwen) as assessor:
            first = await assessor.assess(request())
            assert 0 <= first.score <= 100
            assert first.model.endswith("@float32") or first.model.endswith("@bfloat16")
            pid = worker(assessor)
            # Killed while it waits, and killed in the middle of an answer.
            os.kill(pid, signal.SIGKILL)
            assert 0 <= (await assessor.assess(request())).score <= 100
            assert worker(assessor) != pid
            asking = asyncio.create_task(assessor.assess(request()))
            await asyncio.sleep(0.15)
            os.kill(worker(assessor), signal.SIGKILL)
            assert 0 <= (await asking).score <= 100
            last = worker(assessor)
        wait_for(lambda: not Path(f"/proc/{last}").exists(), 10, "the worker is gone")

    run(scenario)


def broken() -> Image:
    raise ZeroDivisionError


def test_what_comes_to_nothing_does_not_hold_up_the_next(toy_qwen: Path) -> None:
    async def scenario() -> None:
        async with started(toy_qwen) as assessor:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await assessor.assess(request(deadline=0.05))
            with pytest.raises(AssessorError, match="a picture cannot be made: ZeroDivisionError"):
                await assessor.assess(replace(request(), keyframes=(Keyframe(0.0, broken, ()),)))
            assert 0 <= (await assessor.assess(request())).score <= 100

    run(scenario)


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        ("Qwen/Qwen2.5-VL-7B-Instruct", "the weights of Qwen/Qwen2.5-VL-7B-Instruct are not on this machine"),
        ("{empty}", "cannot be loaded"),
        ("{llama}", "is a model of the kind llama, not Qwen2.5-VL"),
    ],
)
def test_what_is_no_qwen_is_told_in_one_line(model: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "llama").mkdir()
    (tmp_path / "llama" / "config.json").write_text('{"model_type": "llama"}')
    folder = model.format(empty=tmp_path / "empty", llama=tmp_path / "llama")

    async def scenario() -> None:
        with pytest.raises(AssessorError, match=complaint) as caught:
            async with started(folder):
                pass
        assert "\n" not in str(caught.value)

    run(scenario)


def test_the_worker_does_not_outlive_a_killed_parent(toy_qwen: Path) -> None:
    code = (
        "import asyncio, sys, time\n"
        "from surveil.assess.qwen import QwenAssessor\n"
        "async def main():\n"
        "    assessor = QwenAssessor(sys.argv[1], 'en')\n"
        "    await assessor.start()\n"
        "    print(*[p.pid for p in assessor._pool._processes.values()], flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "if __name__ == '__main__':\n"
        "    asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(toy_qwen)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    wait_for(lambda: not Path(f"/proc/{child}").exists(), 10, "the worker is gone")
