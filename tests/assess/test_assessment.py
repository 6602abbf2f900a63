from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence

import pytest

from surveil.assess.assessment import AssessmentStage
from surveil.assess.queue import UrgencyQueue
from surveil.clock import SystemClock
from surveil.interfaces import Assessor, AssessorError
from surveil.messages import Answer, Assessment, AssessmentRequest, Facts, Level
from surveil.metrics import Metrics
from surveil.testing import ScriptedAssessor, answer
from tests.real.components import wait_for


class Slow:
    """An assessor that answers after a while, or never."""

    fault = None

    def __init__(self, seconds: float, batch: int = 1, depth: int = 1) -> None:
        self.seconds = seconds
        self.batch = batch
        self.depth = depth
        self.batches: list[int] = []
        self.closed = False

    async def start(self) -> str:
        return "slow"

    async def assess(self, requests: Sequence[AssessmentRequest]) -> list[Answer | AssessorError]:
        self.batches.append(len(requests))
        await asyncio.sleep(self.seconds)
        return [answer() for _ in requests]

    async def close(self) -> None:
        self.closed = True


class Unloadable(Slow):
    async def start(self) -> str:
        raise AssessorError("the weights are not on this machine")


class Stage:
    def __init__(self, assessor: Assessor, capacity: int = 64) -> None:
        self.ended: list[Assessment] = []
        self.metrics = Metrics()
        self.stage = AssessmentStage(assessor, UrgencyQueue(capacity), self.ended.append, self.metrics, SystemClock())
        self.stage.start()
        assert self.stage.wait_ready(10)

    def ask(self, incident: str, deadline: float = 20.0, floor: Level = Level.low, within_budget: bool = True) -> None:
        now = time.monotonic()
        facts = Facts("F", "", "Sunday 22:04", ())
        request = AssessmentRequest(incident, "front", floor, now, now + deadline, (), facts, within_budget)
        self.ended += self.stage.submit(request)

    def states(self) -> Counter[str]:
        return Counter(ended.state for ended in self.ended)

    def adds_up(self, asked: int) -> bool:
        ends = sum(self.metrics.counted("assessments", state) for state in ("done", "failed", "expired", "shed"))
        assert self.stage.pending == 0
        return ends == asked == len(self.ended) and self.metrics.counted("assessments_asked") == asked


def test_an_answer_is_handed_on() -> None:
    running = Stage(ScriptedAssessor(answer(70)))
    running.ask("one")
    wait_for(lambda: running.ended, 5, "an end")
    (ended,) = running.ended
    assert (ended.incident, ended.state, ended.error) == ("one", "done", None)
    assert ended.answer is not None
    assert ended.answer.score == 70
    assert ended.latency_ms is not None
    assert running.stage.stop(5)


def test_a_fault_of_the_model_is_an_honest_end_and_the_next_is_asked() -> None:
    running = Stage(ScriptedAssessor(AssessorError("out of memory"), answer()))
    running.ask("one")
    running.ask("two")
    wait_for(lambda: len(running.ended) == 2, 5, "both end")
    assert [(e.state, e.error) for e in running.ended] == [("failed", "out of memory"), ("done", None)]
    assert running.stage.stop(5)


def test_a_model_that_never_answers_lets_each_expire_in_time() -> None:
    running = Stage(Slow(1000))
    began = time.monotonic()
    for number in range(5):
        running.ask(str(number), deadline=0.5)
    wait_for(lambda: len(running.ended) == 5, 10, "all end")
    assert running.states() == {"expired": 5}
    assert time.monotonic() - began >= 0.5
    assert running.stage.stop(5)
    assert running.adds_up(5)


def test_overload_sheds_the_least_urgent_and_everything_ends_once() -> None:
    running = Stage(Slow(0.02), capacity=4)
    for number in range(60):
        running.ask(str(number), floor=Level.high if number % 20 == 0 else Level.low)
    wait_for(lambda: len(running.ended) == 60, 20, "all end")
    assert running.adds_up(60)
    assert {e.incident for e in running.ended} == {str(number) for number in range(60)}
    assert not [e for e in running.ended if e.state == "shed" and int(e.incident) % 20 == 0]
    assert running.states()["shed"] >= 40
    assert running.stage.stop(5)


def test_a_model_that_does_not_load_fails_each_request_with_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    running = Stage(Unloadable(0))
    running.ask("one")
    wait_for(lambda: running.ended, 5, "an end")
    assert running.ended[0].state == "failed"
    assert running.ended[0].error == "the weights are not on this machine"
    assert "there will be no assessments: the weights are not on this machine" in caplog.text
    assert running.stage.stop(5)


def test_what_is_over_its_cameras_budget_is_shed_and_counted() -> None:
    running = Stage(ScriptedAssessor(answer()))
    running.ask("one", within_budget=False)
    assert [(e.state, e.error) for e in running.ended] == [("shed", "over assessor.per_minute")]
    assert running.adds_up(1)
    assert running.stage.stop(5)


def test_a_model_that_is_still_loading_holds_up_neither_a_deadline_nor_the_stop() -> None:
    class Loading(Slow):
        async def start(self) -> str:
            await asyncio.sleep(1000)
            return "never"

    assessor = Loading(0)
    ended: list[Assessment] = []
    stage = AssessmentStage(assessor, UrgencyQueue(), ended.append, Metrics(), SystemClock())
    stage.start()
    now = time.monotonic()
    facts = Facts("F", "", "Sunday 22:04", ())
    stage.submit(AssessmentRequest("one", "front", Level.low, now, now + 0.3, (), facts))
    wait_for(lambda: [e.state for e in ended] == ["expired"], 5, "it expires")
    assert not stage.wait_ready(0)
    assert stage.stop(5)
    assert assessor.closed


def test_stopping_leaves_nothing_running_without_a_word() -> None:
    assessor = Slow(1000)
    running = Stage(assessor)
    for number in range(3):
        running.ask(str(number))
    time.sleep(0.1)
    began = time.monotonic()
    assert running.stage.stop(5)
    assert time.monotonic() - began < 5
    assert assessor.closed
    assert {e.state for e in running.ended} == {"failed"}
    assert running.adds_up(3)
