"""The backend for servers against one that is not ours: `transformers serve`, with the toy of the real Qwen classes.

Its weights are random and it does not hold itself to a schema, so what it says is noise: an answer within its bounds,
or one clear line, is our own to bring about.
"""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from surveil.assess import openai
from surveil.assess.assessor import Manner, VlmAssessor
from surveil.assess.openai import Access, OpenAiVlm
from surveil.assess.vlm import Question, Said
from surveil.clock import SystemClock
from surveil.interfaces import AssessorError
from surveil.messages import Answer, AssessmentRequest, Facts, Image, Keyframe, Level, Subject
from tests.real.components import free_port, listening, missing, process, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
T = TypeVar("T")
WIDTH, HEIGHT = 448, 252
PICTURE_TOKENS = (WIDTH // 28) * (HEIGHT // 28) + 2
"""What Qwen makes of one of our pictures: a token for each 28 x 28 pixels, a beginning and an end."""
PATIENCE_SECONDS = 120.0


@pytest.fixture(scope="module")
def served(toy_qwen: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Access]:
    if importlib.util.find_spec("uvicorn") is None or importlib.util.find_spec("fastapi") is None:
        missing("transformers[serving]")
    home = tmp_path_factory.mktemp("serve")
    (home / "hub").mkdir()  # where it looks for models to list
    model = Path(shutil.copytree(toy_qwen, home / "toy"))
    # Left alone it repeats the line end before its turn, of which the server makes a text without a letter.
    manner = json.loads((model / "generation_config.json").read_text())
    (model / "generation_config.json").write_text(json.dumps({**manner, "repetition_penalty": 3.0}))
    port = free_port()
    command = ["serve", str(model), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    quiet = {"HF_HOME": str(home), "HF_HUB_CACHE": str(home / "hub"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2"}
    with (
        (home / "log").open("w") as log,
        process(
            *[sys.executable, "-m", "transformers.cli.transformers", *command],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **quiet},
            cwd=home,
        ) as server,
    ):
        wait_for(lambda: listening(port) or server.poll() is not None, 240, "the server listens")
        assert server.poll() is None, (home / "log").read_text()
        yield Access((f"http://127.0.0.1:{port}/v1",), str(model))


@pytest.fixture(autouse=True)
def few_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai, "MAX_TOKENS", 24)


def noise(seed: int) -> Image:
    return np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8).astype(np.uint8)


def question(pictures: int, refused: tuple[str, str] | None = None) -> Question:
    until = time.monotonic() + PATIENCE_SECONDS
    return Question("Judge.", tuple(map(noise, range(pictures))), "What is it?", "answer", until, refused)


def run(access: Access, scenario: Callable[[OpenAiVlm], Awaitable[T]]) -> T:
    async def main() -> T:
        vlm = OpenAiVlm(access, SystemClock())
        try:
            assert await vlm.start() == access.model
            return await scenario(vlm)
        finally:
            await vlm.close()

    return asyncio.run(main())


def raw_reply(access: Access, asked: Question) -> dict[str, Any]:
    """Return all that the server says to a question, sent without our client."""
    body = json.dumps(OpenAiVlm(access, SystemClock())._body(asked)).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{access.urls[0]}/chat/completions", body, headers)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=PATIENCE_SECONDS) as reply:
        assert reply.status == 200
        return dict(json.load(reply))


def test_questions_with_and_without_pictures_come_back_as_texts(
    served: Access, caplog: pytest.LogCaptureFixture
) -> None:
    asked = [*map(question, range(4)), question(1, ("I see a man.", "the answer is no JSON object"))]
    said = run(served, lambda vlm: vlm.say(asked))
    for each in said:
        assert isinstance(each, str), each
        assert each
    assert caplog.messages == []


def test_every_picture_is_seen_at_the_size_that_was_sent(served: Access) -> None:
    replies = [raw_reply(served, question(pictures)) for pictures in range(3)]
    tokens = [reply["usage"]["prompt_tokens"] for reply in replies]
    assert [more - tokens[0] for more in tokens] == [0, PICTURE_TOKENS, 2 * PICTURE_TOKENS]


def test_noise_ends_in_an_answer_within_its_bounds_or_in_one_clear_line(served: Access) -> None:
    person = Subject(1, "person", 0.9, (0.1, 0.2, 0.3, 0.9), 1.0)
    facts = Facts("Front", "", "Sunday 22:04", ("person in view",))
    now = time.monotonic()

    def request(number: int) -> AssessmentRequest:
        keyframes = [Keyframe(float(n), itertools.repeat(noise(n)).__next__, (person,)) for n in range(number)]
        return AssessmentRequest("ID", "front", Level.high, now, now + PATIENCE_SECONDS, tuple(keyframes), facts)

    outcomes: list[Answer | AssessorError] = []

    async def scenario(vlm: OpenAiVlm) -> None:
        assessor = VlmAssessor(vlm, Manner(views="always"), SystemClock())
        await assessor.assess([*map(request, range(1, 4))], lambda _, outcome: outcomes.append(outcome))

    run(served, scenario)
    assert len(outcomes) == 3
    for outcome in outcomes:
        if isinstance(outcome, AssessorError):
            # It answered, and twice: what it said is what was wrong.
            assert str(outcome).startswith("the answer is ")
            assert str(outcome).isprintable()
        else:
            assert 0 <= outcome.score <= 100
            assert 0 <= outcome.confidence <= 1
            assert outcome.summary.isprintable()


def test_a_model_that_it_does_not_serve_is_told_in_its_own_words(served: Access) -> None:
    async def scenario(vlm: OpenAiVlm) -> list[Said]:
        return await vlm.say([question(0)])

    (said,) = run(Access(served.urls, "another"), scenario)
    assert isinstance(said, AssessorError)
    assert "refuses the question, with status 400: Server is pinned to " in str(said)
    assert str(said).isprintable()
