"""What every Assessor promises, held against every implementation."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from surveil.assess.assessor import Manner, VlmAssessor
from surveil.assess.openai import Access, OpenAiVlm
from surveil.assess.qwen import QwenVlm, Residence
from surveil.clock import SystemClock
from surveil.interfaces import Assessor, AssessorError
from surveil.messages import Answer, AssessmentRequest
from surveil.testing import ScriptedAssessor, answer
from tests.assess.test_qwen import request as asked
from tests.real.vlm_server import VlmServer


def resident(folder: Path) -> Assessor:
    clock = SystemClock()
    return VlmAssessor(QwenVlm(Residence(str(folder)), clock), Manner(), clock)


def remote(server: VlmServer) -> Assessor:
    clock = SystemClock()
    return VlmAssessor(OpenAiVlm(Access((server.url,), "toy"), clock), Manner(), clock)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["qwen", "openai", "scripted"])
def test_it_starts_answers_within_bounds_and_closes_twice(kind: str, request: pytest.FixtureRequest) -> None:
    with VlmServer() as server:
        assessor: Assessor = ScriptedAssessor(answer())
        if kind == "qwen":
            assessor = resident(request.getfixturevalue("toy_qwen"))
        elif kind == "openai":
            assessor = remote(server)
        keeps_its_promises(assessor)


def keeps_its_promises(assessor: Assessor) -> None:
    async def scenario() -> None:
        name = await assessor.start()
        assert assessor.batch >= 1
        assert assessor.depth >= 1
        assert assessor.fault is None
        try:
            outcomes: dict[AssessmentRequest, Answer | AssessorError] = {}
            first, second = asked(pictures=1), asked(pictures=2)
            await assessor.assess([first, second], outcomes.__setitem__)
            said, again = outcomes[first], outcomes[second]
        finally:
            await assessor.close()
            await assessor.close()
        assert isinstance(again, Answer)
        assert isinstance(said, Answer)
        assert said.model == name
        assert 0 <= said.score <= 100
        assert 0 <= said.confidence <= 1
        assert said.verdict in {"confirmed", "unclear", "not_seen"}

    asyncio.run(scenario())
