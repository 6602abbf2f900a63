from __future__ import annotations

from collections.abc import Sequence

import pytest

from surveil.interfaces import AssessorError, Tell
from surveil.messages import Answer, AssessmentRequest, Facts, Level
from surveil.oracle import oracle
from surveil.testing import ScriptedAssessor, answer


def request(within_budget: bool = True) -> AssessmentRequest:
    facts = Facts("Front", "", "Sunday 22:04", ())
    return AssessmentRequest("ID", "front", Level.low, 0.0, 0.0, (), facts, within_budget, look=2)


class Resting(ScriptedAssessor):
    """Says at first that it rests, as a model or server does after faults."""

    def __init__(self, looks: int, *script: Answer | AssessorError) -> None:
        super().__init__(*(script or (answer(60),)))
        self.looks = looks

    @property
    def fault(self) -> str | None:  # type: ignore[override]
        self.looks -= 1
        return "it rests" if self.looks >= 0 else None


def test_every_way_in_which_a_question_can_end() -> None:
    with oracle(ScriptedAssessor(answer(60), AssessorError("gone"))) as asked:
        assert asked.model == "scripted"
        done, failed, shed = asked.ask(request()), asked.ask(request()), asked.ask(request(within_budget=False))
    assert (done.state, done.look, done.error) == ("done", 2, None)
    assert done.answer is not None
    assert done.latency_ms is not None
    assert (failed.state, failed.error) == ("failed", "gone")
    assert (shed.state, shed.error) == ("shed", "over assessor.per_minute")
    with oracle(None) as nobody:
        assert nobody.ask(request()).state == "disabled"


def test_a_model_that_rests_is_waited_for() -> None:
    resting = Resting(looks=3)
    with oracle(resting) as asked:
        assert asked.ask(request()).state == "done"
    assert resting.looks < 0


def test_waiting_that_does_not_help_is_not_tried_again_before_something_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("surveil.oracle.REST_SECONDS", 0.0)
    gone = Resting(1_000_000, AssessorError("gone"), answer(60))
    with oracle(gone) as asked:
        assert asked.ask(request()).state == "failed"
        looked = gone.looks
        assert asked.ask(request()).state == "done"
        assert gone.looks == looked  # not waited for
        asked.ask(request())
        assert gone.looks < looked


def test_a_fault_of_ours_is_not_taken_for_an_answer() -> None:
    class Broken(ScriptedAssessor):
        async def assess(self, requests: Sequence[AssessmentRequest], tell: Tell) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), oracle(Broken(answer())) as asked:
        asked.ask(request())
