from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence

import pytest

from surveil.assess.assessment import AssessmentStage
from surveil.assess.queue import UrgencyQueue
from surveil.clock import SystemClock
from surveil.interfaces import Assessor, AssessorError, Tell
from surveil.messages import Assessment, AssessmentRequest, Facts, Level
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

    async def assess(self, requests: Sequence[AssessmentRequest], tell: Tell) -> None:
        self.batches.append(len(requests))
        await asyncio.sleep(self.seconds)
        for request in requests:
            tell(request, answer())

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

    def ask(
        self,
        incident: str,
        deadline: float = 20.0,
        floor: Level = Level.low,
        within_budget: bool = True,
        look: int = 1,
    ) -> None:
        now = time.monotonic()
        facts = Facts("F", "", "Sunday 22:04", ())
        request = AssessmentRequest(incident, "front", floor, now, now + deadline, (), facts, within_budget, look)
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


def test_requests_that_wait_together_go_together_the_most_urgent_first() -> None:
    assessor = Slow(0.3, batch=3)
    running = Stage(assessor)
    running.ask("first")
    wait_for(lambda: assessor.batches, 5, "the first is under way")
    for number in range(5):
        running.ask(str(number), floor=Level.high if number == 4 else Level.low, deadline=20 + number)
    wait_for(lambda: len(running.ended) == 6, 10, "all end")
    assert assessor.batches == [1, 3, 2]
    assert {ended.incident for ended in running.ended[1:4]} == {"4", "0", "1"}
    assert running.stage.stop(5)
    assert running.adds_up(6)


def test_as_many_goes_are_under_way_as_the_assessor_takes() -> None:
    assessor = Slow(1000, depth=3)
    running = Stage(assessor)
    for number in range(7):
        running.ask(str(number), deadline=1.0)
    wait_for(lambda: len(assessor.batches) == 3, 5, "three are under way")
    assert running.stage.pending == 7
    wait_for(lambda: len(running.ended) == 7, 10, "all expire")
    assert running.states() == {"expired": 7}
    assert len(assessor.batches) <= 6
    assert running.stage.stop(5)
    assert running.adds_up(7)


def test_each_of_a_batch_expires_at_its_own_deadline_and_the_others_get_their_answer() -> None:
    running = Stage(Slow(1.2, batch=2))
    running.ask("warm", deadline=0.3)  # keeps it busy while the two gather
    running.ask("short", deadline=0.9)
    running.ask("long", deadline=20)
    wait_for(lambda: len(running.ended) == 3, 10, "all end")
    assert {ended.incident: ended.state for ended in running.ended} == {
        "warm": "expired", "short": "expired", "long": "done",
    }  # fmt: skip
    assert running.stage.stop(5)
    assert running.adds_up(3)


def test_a_question_with_newer_pictures_takes_the_place_of_one_that_waits() -> None:
    assessor = Slow(0.3)
    running = Stage(assessor)
    running.ask("busy")
    wait_for(lambda: assessor.batches, 5, "it is under way")
    running.ask("one")
    running.ask("one", look=2)
    wait_for(lambda: len(running.ended) == 3, 10, "all end")
    ends = [(e.incident, e.look, e.state) for e in running.ended]
    assert sorted(ends) == [("busy", 1, "done"), ("one", 1, "shed"), ("one", 2, "done")]
    (replaced,) = [e for e in running.ended if e.state == "shed"]
    assert replaced.error == "newer pictures of the same incident took its place"
    assert running.stage.stop(5)
    assert running.adds_up(3)


def test_the_accounts_add_up_at_every_moment() -> None:
    """Asked from many sides, of an assessor that answers, fails and is late."""

    class Moody(Slow):
        async def assess(self, requests: Sequence[AssessmentRequest], tell: Tell) -> None:
            await asyncio.sleep(0.005)
            for request in requests:
                tell(request, answer() if int(request.incident) % 3 else AssessorError("no"))

    running = Stage(Moody(0, batch=4, depth=2), capacity=8)
    states = ("done", "failed", "expired", "shed")
    looks = 0

    def looked() -> tuple[int, int]:
        # On the stage's own loop nothing moves while it is looked at; asking goes on beside it.
        ends = sum(running.metrics.counted("assessments", state) for state in states)
        pending = running.stage.pending
        asked = running.metrics.counted("assessments_asked")
        return ends + pending, asked

    async def look() -> tuple[int, int]:
        return looked()

    loop = running.stage._loop
    assert loop is not None
    for number in range(400):
        running.ask(str(number), deadline=0.02 if number % 5 == 0 else 20, floor=Level.low)
        if number % 10 == 0:
            known, asked = asyncio.run_coroutine_threadsafe(look(), loop).result(5)
            assert known == asked == number + 1
            looks += 1
    wait_for(lambda: running.stage.pending == 0, 20, "all end")
    assert looks == 40
    assert running.stage.stop(5)
    assert running.adds_up(400)
    assert set(running.states()) >= {"done", "failed", "shed"}


def test_a_model_that_loads_later_is_used_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("surveil.assess.assessment.FIRST_PAUSE_SECONDS", 0.1)

    class Late(Slow):
        tries = 0

        async def start(self) -> str:
            self.tries += 1
            if self.tries < 3:
                raise AssessorError("the GPU is full")
            return "late"

    running = Stage(Late(0))
    assert running.stage.fault == "the GPU is full"
    running.ask("early")
    wait_for(lambda: running.stage.model == "late", 5, "it loads")
    wait_for(lambda: running.stage.fault is None, 5, "nothing keeps it from answering")
    running.ask("later")
    wait_for(lambda: len(running.ended) == 2, 5, "both end")
    assert [(e.incident, e.state, e.error) for e in running.ended] == [
        ("early", "failed", "the GPU is full"), ("later", "done", None),
    ]  # fmt: skip
    assert running.stage.stop(5)


def test_a_fault_of_our_own_ends_its_requests_and_not_the_stage(caplog: pytest.LogCaptureFixture) -> None:
    class Faulty(Slow):
        async def assess(self, requests: Sequence[AssessmentRequest], tell: Tell) -> None:
            if requests[0].incident == "bad":
                raise ZeroDivisionError
            await super().assess(requests, tell)

    running = Stage(Faulty(0))
    running.ask("bad")
    running.ask("good")
    wait_for(lambda: len(running.ended) == 2, 5, "both end")
    assert [(e.incident, e.state) for e in running.ended] == [("bad", "failed"), ("good", "done")]
    assert "ZeroDivisionError" in str(running.ended[0].error)
    assert running.stage.stop(5)


def test_what_is_known_of_one_request_does_not_wait_for_the_others_of_its_batch() -> None:
    class Gradual(Slow):
        async def assess(self, requests: Sequence[AssessmentRequest], tell: Tell) -> None:
            for request in requests:
                tell(request, answer())
                await asyncio.sleep(0.5)
            tell(requests[0], answer(99))  # once is enough
            tell(requests[0], AssessorError("and again"))

    running = Stage(Gradual(0, batch=3))
    running.ask("busy", deadline=20)
    for name in ("short", "long"):
        running.ask(name, deadline=0.9 if name == "short" else 20)
    wait_for(lambda: len(running.ended) == 3, 10, "all end")
    assert running.states() == {"done": 3}
    assert running.stage.stop(5)
    assert running.adds_up(3)


def test_a_request_that_the_assessor_forgets_has_failed() -> None:
    class Forgetful(Slow):
        async def assess(self, requests: Sequence[AssessmentRequest], tell: Tell) -> None:
            pass

    running = Stage(Forgetful(0))
    running.ask("one")
    wait_for(lambda: running.ended, 5, "it ends")
    assert (running.ended[0].state, running.ended[0].error) == ("failed", "the model said nothing")
    assert running.stage.stop(5)


def test_whatever_a_model_raises_while_it_loads_leaves_the_stage_running(caplog: pytest.LogCaptureFixture) -> None:
    class Odd(Slow):
        async def start(self) -> str:
            raise OSError(28, "No space left on device")

    running = Stage(Odd(0))
    running.ask("one")
    wait_for(lambda: running.ended, 5, "it ends")
    assert (running.ended[0].state, running.ended[0].error) == ("failed", "a fault of surveil's own: OSError")
    assert "there will be no assessments" in caplog.text
    assert running.stage.stop(5)


def test_a_stage_that_ended_by_a_fault_says_so_and_leaves_no_request_waiting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    running = Stage(Slow(1000))
    running.ask("one")
    wait_for(lambda: running.stage.pending, 5, "it is under way")

    def broken(_now: float) -> list[AssessmentRequest]:
        raise ZeroDivisionError

    monkeypatch.setattr(running.stage._queue, "expired", broken)
    wait_for(lambda: running.ended, 5, "it ends")
    running.ask("two")
    assert [(e.incident, e.state) for e in running.ended] == [("one", "failed"), ("two", "failed")]
    assert running.stage.fault == "a fault of surveil's own ended the assessments; its log says which"
    assert "ZeroDivisionError" in caplog.text
    assert running.stage.stop(5)
    assert running.adds_up(2)


def test_a_stop_right_after_the_start_is_heard() -> None:
    for _ in range(20):
        stage = AssessmentStage(Slow(0), UrgencyQueue(), lambda _ended: None, Metrics(), SystemClock())
        stage.start()
        assert stage.stop(3)


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
