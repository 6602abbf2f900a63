"""What every Assessor promises, held against every implementation."""

from __future__ import annotations

import asyncio

import pytest

from surveil.assess.qwen import QwenAssessor
from surveil.interfaces import Assessor
from surveil.testing import ScriptedAssessor, answer
from tests.assess.test_qwen import request as asked


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["qwen", "scripted"])
def test_it_starts_answers_within_bounds_and_closes_twice(kind: str, request: pytest.FixtureRequest) -> None:
    assessor: Assessor = ScriptedAssessor(answer())
    if kind == "qwen":
        assessor = QwenAssessor(str(request.getfixturevalue("toy_qwen")), "en")

    async def scenario() -> None:
        name = await assessor.start()
        try:
            said = await assessor.assess(asked(pictures=1))
        finally:
            await assessor.close()
            await assessor.close()
        assert said.model == name
        assert 0 <= said.score <= 100
        assert 0 <= said.confidence <= 1
        assert said.verdict in {"confirmed", "unclear", "not_seen"}

    asyncio.run(scenario())
