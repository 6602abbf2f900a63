"""The real Qwen2.5-VL classes, at toy size and with random weights, in their own process."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import pytest

from surveil.assess import prompt
from surveil.assess.answer import SHAPES, read
from surveil.assess.assessment import AssessmentStage
from surveil.assess.assessor import Manner, VlmAssessor
from surveil.assess.breaker import FIRST_REST_SECONDS
from surveil.assess.queue import UrgencyQueue
from surveil.assess.qwen import QwenVlm, Residence
from surveil.assess.vlm import Question
from surveil.clock import SystemClock
from surveil.interfaces import AssessorError
from surveil.messages import Assessment, AssessmentRequest, Facts, Image, Keyframe, Level, Subject
from surveil.metrics import Metrics
from surveil.testing import SimulatedClock
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


class KillsItsReader:
    """What ends the process that unpickles it: a question over which the worker dies each time."""

    def __reduce__(self) -> tuple[Callable[[int], None], tuple[int]]:
        return os._exit, (1,)


def questions(count: int, deadline: float = 600.0) -> list[Question]:
    """Return questions that differ in length, pictures and shape."""
    dice = np.random.default_rng(1)
    until = time.monotonic() + deadline
    return [
        Question(
            prompt.system(None) if number % 3 else prompt.view_system(None),
            tuple(dice.integers(0, 255, (140, 196, 3), np.uint8).astype(np.uint8) for _ in range(number % 4)),
            "Camera. " * (1 + number),
            "answer" if number % 3 else "view",
            until,
        )
        for number in range(count)
    ]


def worker(vlm: QwenVlm) -> int:
    assert vlm._pool is not None
    (process,) = vlm._pool._processes.values()
    assert process.pid is not None
    return process.pid


@asynccontextmanager
async def started(folder: Path | str, patience: float = 15.0, **residence: Any) -> AsyncIterator[QwenVlm]:
    vlm = QwenVlm(Residence(str(folder), **residence), SystemClock(), patience)
    try:
        await vlm.start()
        yield vlm
    finally:
        await vlm.close()


def run(call: Callable[[], Awaitable[T]]) -> T:
    async def main() -> T:
        return await call()

    return asyncio.run(main())


def test_several_questions_in_one_go_get_the_answers_that_each_gets_alone(toy_qwen: Path) -> None:
    async def scenario() -> None:
        async with started(toy_qwen) as vlm:
            asked = questions(6)
            together = await vlm.say(asked)
            alone = [(await vlm.say([question]))[0] for question in asked]
            assert together == alone
            # Of one kind they share what was read of their fixed part, and the padding of the shorter stands behind it.
            kind = [number for number, question in enumerate(asked) if question.shape == "answer"]
            assert await vlm.say([asked[number] for number in kind]) == [together[number] for number in kind]
            for question, said in zip(asked, together, strict=True):
                assert isinstance(said, str)
                read(said, SHAPES[question.shape])

    run(scenario)


def test_a_dead_worker_is_replaced_and_its_questions_are_asked_again(toy_qwen: Path) -> None:
    async def scenario() -> None:
        async with started(toy_qwen) as vlm:
            before = await vlm.say(questions(3))
            pid = worker(vlm)
            # Killed while it waits, and killed in the middle of an answer.
            os.kill(pid, signal.SIGKILL)
            assert await vlm.say(questions(3)) == before
            assert worker(vlm) != pid
            saying = asyncio.create_task(vlm.say(questions(3)))
            await asyncio.sleep(0.15)
            os.kill(worker(vlm), signal.SIGKILL)
            assert await saying == before
            assert vlm.fault is None
            last = worker(vlm)
        wait_for(lambda: not Path(f"/proc/{last}").exists(), 10, "the worker is gone")

    run(scenario)


def test_a_worker_that_hangs_is_replaced(toy_qwen: Path) -> None:
    async def scenario() -> None:
        async with started(toy_qwen, patience=10.0) as vlm:
            pid = worker(vlm)
            os.kill(pid, signal.SIGSTOP)
            (said,) = await vlm.say(questions(1))
            assert isinstance(said, str)
            assert worker(vlm) != pid
        wait_for(lambda: not Path(f"/proc/{pid}").exists(), 10, "the stopped worker is gone")

    run(scenario)


def test_a_question_that_loses_the_worker_twice_has_failed_and_takes_no_other_with_it(toy_qwen: Path) -> None:
    async def scenario() -> None:
        async with started(toy_qwen) as vlm:
            asked = questions(3)
            poison = replace(asked[1], pictures=(cast("Image", KillsItsReader()),))
            first, second, third = await vlm.say([asked[0], poison, asked[2]])
            assert isinstance(first, str)
            assert str(second) == "the model's process died over this request"
            assert isinstance(third, str)

    run(scenario)


def test_a_worker_that_is_lost_three_times_in_a_row_rests_and_is_then_tried_again(toy_qwen: Path) -> None:
    async def scenario() -> None:
        clock = SimulatedClock()
        vlm = QwenVlm(Residence(str(toy_qwen)), clock)
        poison = replace(questions(1)[0], pictures=(cast("Image", KillsItsReader()),))
        try:
            await vlm.start()
            for _ in range(2):
                (said,) = await vlm.say([poison])
                assert isinstance(said, AssessorError)
            assert vlm.fault is not None
            assert "the model's process died; tried again in" in vlm.fault
            (said,) = await vlm.say(questions(1))
            assert str(said).startswith("the model rests: the model's process died")
            clock.advance(FIRST_REST_SECONDS)
            wait_for(lambda: vlm.fault is None, 1, "its rest is over")
            (said,) = await vlm.say(questions(1))
            assert isinstance(said, str)
        finally:
            await vlm.close()

    run(scenario)


@pytest.mark.timeout(400)
def test_twenty_killed_workers_leave_no_request_without_an_end(toy_qwen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for rest in ("FIRST_REST_SECONDS", "LONGEST_REST_SECONDS"):
        monkeypatch.setattr(f"surveil.assess.breaker.{rest}", 0.5)
    clock = SystemClock()
    vlm = QwenVlm(Residence(str(toy_qwen), batch=2), clock)
    metrics = Metrics()
    ended: list[Assessment] = []
    stage = AssessmentStage(VlmAssessor(vlm, Manner(), clock), UrgencyQueue(), ended.append, metrics, clock)
    stage.start()
    assert stage.wait_ready(60)
    killed = 0
    asked = 0
    dice = random.Random(5)
    until = time.monotonic() + 300
    while killed < 20 and time.monotonic() < until:
        if stage.pending < 3:
            asked += 1
            ended += stage.submit(replace(request(1, deadline=8.0), incident=str(asked)))
        time.sleep(dice.uniform(0.0, 0.5))
        if vlm._restart is None and vlm._pool is not None:  # loaded: in the middle of an answer, or before one
            with contextlib.suppress(AssertionError, ValueError, ProcessLookupError):
                os.kill(worker(vlm), signal.SIGKILL)
                killed += 1
    wait_for(lambda: len(ended) == asked, 20, "every request ends")
    assert killed == 20
    assert {assessment.incident for assessment in ended} == {str(number + 1) for number in range(asked)}
    assert {assessment.state for assessment in ended} <= {"done", "failed", "expired"}
    assert stage.stop(10)
    ends = sum(metrics.counted("assessments", state) for state in ("done", "failed", "expired", "shed"))
    assert ends == metrics.counted("assessments_asked") == asked


def test_what_comes_to_nothing_does_not_hold_up_the_next(toy_qwen: Path) -> None:
    async def scenario() -> None:
        async with started(toy_qwen) as vlm:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await vlm.say(questions(4, deadline=0.05))
            (said,) = await vlm.say(questions(1))
            assert isinstance(said, str)

    run(scenario)


def test_four_bits_spare_what_sees_and_what_speaks(toy_qwen: Path) -> None:
    code = (
        "import sys, collections\n"
        "from surveil.assess import answer, qwen_model\n"
        "from surveil.assess.qwen import Residence\n"
        "schemas = {shape: answer.schema(shape) for shape in answer.SHAPES}\n"
        "print(qwen_model.load(Residence(sys.argv[1], 'nf4'), schemas))\n"
        "kinds = collections.Counter(('visual' if 'visual' in name else 'head' if 'lm_head' in name else 'language',\n"
        "    type(part).__name__) for name, part in qwen_model._resident.model.named_modules())\n"
        "print(sorted(f'{where} {kind} {n}' for (where, kind), n in kinds.items() if 'Linear' in kind))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(toy_qwen)],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    name, kinds = done.stdout.splitlines()
    assert name == f"{toy_qwen.name}@nf4"
    assert kinds == "['head Linear 1', 'language Linear4bit 28', 'visual Linear 22']"


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
        "from surveil.assess.qwen import QwenVlm, Residence\n"
        "from surveil.clock import SystemClock\n"
        "async def main():\n"
        "    vlm = QwenVlm(Residence(sys.argv[1]), SystemClock())\n"
        "    await vlm.start()\n"
        "    print(*[p.pid for p in vlm._pool._processes.values()], flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "if __name__ == '__main__':\n"
        "    asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(toy_qwen)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    wait_for(lambda: not Path(f"/proc/{child}").exists(), 10, "the worker is gone")
