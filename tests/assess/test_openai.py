"""The backend for servers that are not ours, against a server on a real socket that has manners good and bad."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import gzip
import json
import logging
import re
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import pytest

from surveil.assess import openai
from surveil.assess.answer import SecurityAnswer, ViewAnswer, read, schema
from surveil.assess.assessor import Manner, VlmAssessor
from surveil.assess.breaker import FAULTS_IN_A_ROW, FIRST_REST_SECONDS
from surveil.assess.openai import Access, OpenAiVlm
from surveil.assess.vlm import Question, Said, Shape
from surveil.clock import Clock, SystemClock
from surveil.config.secret import Secret
from surveil.interfaces import AssessorError
from surveil.messages import Answer, AssessmentRequest, Facts, Image, Keyframe, Level, Subject
from surveil.testing import SimulatedClock, picture
from tests.real.components import free_port, wait_for
from tests.real.vlm_server import (
    GARBAGE,
    NAMED,
    Asked,
    Behave,
    Reply,
    VlmServer,
    answer,
    as_json,
    busy,
    completion,
    good,
    redirect,
    refusal,
    self_signed,
    silent_host,
)

T = TypeVar("T")
CLOCK = SystemClock()
KEY = "sk-surely-a-secret-0815"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that was busy is asked again at once: how long a pause is, is the backoff's to say."""
    monkeypatch.setattr("surveil.backoff.random.uniform", lambda low, high: 0.0)


def question(
    seconds: float = 20.0,
    clock: Clock = CLOCK,
    shape: Shape = "answer",
    pictures: Sequence[Image] = (),
    refused: tuple[str, str] | None = None,
) -> Question:
    return Question("Judge.", tuple(pictures), "What is it?", shape, clock.monotonic() + seconds, refused)


def run(access: Access, scenario: Callable[[OpenAiVlm], Awaitable[T]], clock: Clock = CLOCK) -> T:
    async def main() -> T:
        vlm = OpenAiVlm(access, clock)
        try:
            assert await vlm.start() == access.model
            return await scenario(vlm)
        finally:
            await vlm.close()

    return asyncio.run(main())


def ask(access: Access, *questions: Question) -> list[Said]:
    return run(access, lambda vlm: vlm.say(questions))


def access(*servers: VlmServer | str, key: str | None = None, remote: bool = False) -> Access:
    urls = tuple(server if isinstance(server, str) else server.url for server in servers)
    return Access(urls, "toy", key, remote)


def complaint(said: Said) -> str:
    """Return the one clear line of an error."""
    assert isinstance(said, AssessorError), said
    line = str(said)
    assert line
    assert line.isprintable(), line
    assert len(line) < 400
    return line


def score(said: Said) -> int:
    assert isinstance(said, str), said
    return read(said, SecurityAnswer).risk_score


def fault(vlm: OpenAiVlm) -> str:
    return vlm.fault or ""


# What is sent


def test_a_question_comes_back_answered_and_is_sent_as_servers_want_it() -> None:
    pictures = [picture(448, 252, 40), picture(196, 336, 200)]
    with VlmServer(good(42)) as server:
        (said,) = ask(access(server, key=KEY), question(pictures=pictures))
    assert score(said) == 42
    (asked,) = server.questions
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.headers["content-type"] == "application/json"
    assert (asked.body["model"], asked.body["temperature"]) == ("toy", 0)
    assert asked.body["max_tokens"] == openai.MAX_TOKENS
    assert asked.body["response_format"]["type"] == "json_schema"
    assert asked.body["response_format"]["json_schema"] == {"name": "answer", "strict": True, "schema": schema()}
    system, user = asked.messages
    assert system == {"role": "system", "content": "Judge."}
    assert [part["type"] for part in user["content"]] == ["image_url", "image_url", "text"]
    assert user["content"][-1]["text"] == "What is it?"
    for part, sent in zip(user["content"], pictures, strict=False):
        kind, data = part["image_url"]["url"].split(",")
        assert kind == "data:image/jpeg;base64"
        seen = cv2.imdecode(np.frombuffer(base64.b64decode(data, validate=True), np.uint8), cv2.IMREAD_COLOR)
        assert seen is not None
        assert seen.shape == sent.shape
        assert abs(int(seen.mean()) - int(sent.mean())) < 3


def test_a_view_has_its_own_schema_and_without_a_key_none_is_sent() -> None:
    with VlmServer(good(61)) as server:
        (said,) = ask(access(server), question(shape="view"))
    assert isinstance(said, str)
    assert read(said, ViewAnswer).risk_score == 61
    (asked,) = server.questions
    assert asked.body["response_format"]["json_schema"]["schema"] == schema("view")
    assert "authorization" not in asked.headers


def test_a_refused_text_is_sent_along_with_what_was_wrong_in_the_order_of_the_talk() -> None:
    with VlmServer() as server:
        ask(access(server), question(refused=("I see a man.", "the answer is no JSON object")))
    (asked,) = server.questions
    assert [message["role"] for message in asked.messages] == ["system", "user", "assistant", "user"]
    assert asked.messages[2]["content"] == "I see a man."
    assert "the answer is no JSON object" in asked.messages[3]["content"]


def test_a_base_url_may_end_in_a_slash() -> None:
    with VlmServer() as server:
        (said,) = ask(access(server.url + "/"), question())
    assert score(said) == 30
    assert {asked.path for asked in server.requests} == {"/v1/models", "/v1/chat/completions"}


def test_a_hundred_questions_at_a_time_all_come_back_in_their_order() -> None:
    def echo(asked: Asked) -> Reply:
        return completion(answer(int(asked.messages[0]["content"])))

    questions = [Question(str(n), (), "", "answer", CLOCK.monotonic() + 60) for n in range(100)]
    with VlmServer(echo) as server:
        said = ask(access(server), *questions)
    assert [score(text) for text in said] == list(range(100))


def test_letters_that_python_holds_as_halves_arrive_whole() -> None:
    halves = "Gate \ud83d\udea7"  # as YAML reads the escapes of JSON
    with VlmServer() as server:
        (said,) = ask(access(server), Question(halves, (), halves, "answer", CLOCK.monotonic() + 20))
    assert score(said) == 30
    assert server.questions[0].messages[0]["content"] == "Gate \N{CONSTRUCTION SIGN}"


def test_environment_proxies_never_see_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    with VlmServer() as proxy, VlmServer() as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://{proxy.name}")
            monkeypatch.setenv(name.lower(), f"http://{proxy.name}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        (said,) = ask(access(server), question())
    assert score(said) == 30
    assert proxy.requests == []


# What goes wrong

DEEP = b'{"choices": ' + b"[" * 100_000
OTHERS: dict[str, tuple[Behave, str]] = {
    "no answer at all": (lambda _: Reply(raw=True), r"broke the connection \(RemoteProtocolError\)"),
    "no HTTP": (lambda _: Reply(b"SSH-2.0-OpenSSH_9.6\r\n", raw=True), "broke the connection"),
    "a bad chunk": (
        lambda _: Reply(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", raw=True),
        "broke the connection",
    ),
    "JSON without an end": (lambda _: Reply(b'{"choices": '), "answers with application/json instead of a JSON object"),
    "JSON without a bottom": (lambda _: Reply(DEEP), "instead of a JSON object"),
    "a list": (lambda _: as_json([]), "instead of a JSON object"),
    "bytes": (lambda _: Reply(b"\xff\xfe\x00", headers={}), "answers with nothing it names instead of a JSON object"),
    "nothing": (lambda _: Reply(status=204), "instead of a JSON object"),
    "no text": (lambda _: completion(None), "a chat completion without text"),
    "choices that are none": (lambda _: as_json({"choices": {"0": 1}}), "answers with no chat completion"),
    "choices of null": (lambda _: as_json({"choices": [None]}), "answers with no chat completion"),
    "a redirect to nowhere": (redirect("http://[", 307), r"redirects to \["),
    "many choices": (redirect("/login", 300), "redirects to elsewhere"),
    "a redirect with colours": (redirect("http://a\x1b[31mb/", 302), r"redirects to a\[31mb;|broke the connection"),
    "a refusal of many lines": (
        lambda _: refusal(400, "Traceback\n  in line 1\r\n\x1b[31m\u202e" + "x" * 9999),
        "refuses the question, with status 400: Traceback in line 1 ",
    ),
    "a refusal without a word": (lambda _: Reply(status=418), r"refuses the question, with status 418$"),
    "a refusal in a list": (lambda _: as_json({"detail": [{"loc": ["body"]}]}, 422), "status 422: .*body"),
    "forbidden": (lambda _: refusal(403, "no"), r"refuses the key \(assessor.api_key\), with status 403"),
    "a bomb": (
        lambda _: Reply(gzip.compress(b" " * 20_000_000), headers={"Content-Encoding": "gzip"}),
        "answers with gzip instead of a JSON object",
    ),
}
EXPECTED = {
    "html": "answers with text/html instead of a JSON object",
    "redirect": "redirects to elsewhere.invalid; pictures go only to the address in the config",
    "unauthorized": r"refuses the key \(assessor.api_key\), with status 401",
    "busy": "is busy or broken, with status 503: come back later",
    "no_model": "does not know this address or model, with status 404: The model `toy` does not exist.",
    "huge": "sends more than 1 MB for an answer",
    "cut": r"broke the connection \(RemoteProtocolError\)",
    "not_chat": "answers with no chat completion",
}


@pytest.mark.parametrize("name", [*EXPECTED, *OTHERS])
def test_what_a_server_does_wrong_ends_in_one_clear_line_that_names_it(name: str) -> None:
    behave, expected = OTHERS.get(name) or (NAMED[name], EXPECTED[name])
    with VlmServer(behave) as server:
        (said,) = ask(access(server, key=KEY), question())
    assert complaint(said).startswith(f"{server.name} ")
    assert re.search(expected, str(said))
    assert KEY not in str(said)
    assert 1 <= len(server.questions) <= openai.TRIES


def test_a_server_that_never_answers_is_waited_for_until_the_deadline_and_no_longer() -> None:
    with VlmServer("never", everywhere=False) as server:
        began = time.monotonic()
        said = ask(access(server), *[question(0.4) for _ in range(20)])
        assert time.monotonic() - began >= 0.4
    assert {complaint(each) for each in said} == {f"{server.name} did not answer before the deadline"}


def test_a_question_whose_deadline_is_over_is_not_sent_and_is_no_fault_of_a_server(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with VlmServer() as server, VlmServer() as other:

        async def scenario(vlm: OpenAiVlm) -> list[Said]:
            await vlm.say([question()])
            return await vlm.say([question(-1.0)] * 10)

        said = run(access(server, other), scenario)
    assert {complaint(each) for each in said} == {"the deadline was over before a server could be asked"}
    assert len(server.questions + other.questions) == 1
    assert caplog.messages == []


def test_no_pause_reaches_beyond_the_deadline_and_the_reason_is_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("surveil.backoff.random.uniform", lambda low, high: 50.0)
    with VlmServer("busy") as server:
        (said,) = ask(access(server), question(20))
    assert "is busy or broken, with status 503" in complaint(said)
    assert len(server.questions) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_server_that_is_busy_is_asked_again(status: int) -> None:
    with VlmServer(busy(openai.TRIES - 1, status)) as server:
        (said,) = ask(access(server), question())
    assert score(said) == 30
    assert len(server.questions) == openai.TRIES


def test_a_server_that_works_now_and_then_is_not_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    def behave(asked: Asked) -> Reply | None:
        return good()(asked) if asked.number % openai.TRIES == 0 else refusal(503, "not now")

    with VlmServer(behave) as server:

        async def scenario(vlm: OpenAiVlm) -> list[Said]:
            return [said for _ in range(5) for said in await vlm.say([question()])]

        said = run(access(server), scenario)
    assert [score(each) for each in said] == [30] * 5
    assert caplog.messages == []


def test_a_picture_that_cannot_be_sent_ends_its_own_question_alone() -> None:
    empty = np.empty((0, 28, 3), np.uint8)
    with VlmServer() as server:
        bad, fine = ask(access(server), question(pictures=[empty]), question())
    assert complaint(bad) == "a picture of shape (0, 28, 3) cannot be a JPEG"
    assert score(fine) == 30
    assert len(server.questions) == 1


@pytest.mark.parametrize("url", ["http://[/v1", "http://127.0.0.1:x/v1", "http://xn--/v1", "https://?/v1"])
def test_an_address_that_is_none_is_told_and_raises_nothing(url: str, caplog: pytest.LogCaptureFixture) -> None:
    with VlmServer() as server:
        first, second = ask(access(url), question())[0], ask(access(url, server), question())[0]
    assert complaint(first).endswith(("is no address of a server", "cannot be reached"))
    assert score(second) == 30
    assert caplog.messages


def test_an_address_where_nobody_listens_or_nobody_accepts_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai, "CONNECT_SECONDS", 0.2)
    port = free_port()
    (said,) = ask(access(f"http://127.0.0.1:{port}/v1"), question())
    assert complaint(said) == f"127.0.0.1:{port} cannot be reached"
    with socket.socket() as full, contextlib.ExitStack() as stack:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        (said,) = ask(access(f"http://127.0.0.1:{port}/v1"), question())
    assert complaint(said) == f"127.0.0.1:{port} cannot be reached"


@pytest.mark.parametrize("behave", ["good", "never"])
def test_closing_in_the_middle_raises_nothing_leaves_nothing_open_and_what_is_asked_then_is_not_sent(
    behave: str, caplog: pytest.LogCaptureFixture
) -> None:
    with VlmServer(behave, everywhere=False) as server:

        async def scenario(vlm: OpenAiVlm) -> list[Said]:
            asking = asyncio.create_task(vlm.say([question(5)] * 30))
            while len(server.questions) < 2 * FAULTS_IN_A_ROW:
                await asyncio.sleep(0)  # so some of them are under way, and the others about to connect
            await vlm.close()
            await vlm.close()
            return [*(await asking), *(await vlm.say([question()]))]

        *_, last = said = run(access(server), scenario)
    gc.collect()  # a connection that was left open would warn
    assert complaint(last) == "the connections are closed"
    assert caplog.messages == []  # and no server is blamed for it
    assert all(isinstance(each, str) or complaint(each) for each in said)


def test_who_gives_up_leaves_nothing_behind_and_the_next_is_answered() -> None:
    with VlmServer(lambda asked: good()(asked) if asked.number > 4 else None) as server:

        async def scenario(vlm: OpenAiVlm) -> list[Said]:
            asking = asyncio.create_task(vlm.say([question()] * 4))
            await asyncio.to_thread(wait_for, lambda: len(server.questions) == 4, 5, "all are under way")
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asking
            return await vlm.say([question()] * 4)

        said = run(access(server), scenario)
    assert [score(each) for each in said] == [30] * 4


# What is told at start


@pytest.mark.parametrize("name", ["html", "redirect", "unauthorized"])
def test_what_will_not_mend_itself_is_told_at_start_and_is_the_reason_later(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with VlmServer(name) as server:
        (said,) = ask(access(server, key=KEY), question())
    assert re.search(EXPECTED[name], complaint(said))
    assert caplog.messages == [f"assessor: {said}"]
    # Once is enough: another try would be refused like the first.
    assert len(server.questions) == 1


def test_a_model_that_is_not_there_is_told_at_start_and_is_the_reason_later(caplog: pytest.LogCaptureFixture) -> None:
    with VlmServer("no_model", models=("llava", "evil\nname\x1b[31m", *["long" * 99] * 20)) as server:
        (said,) = ask(access(server), question())
    (told,) = caplog.messages
    assert told.startswith(f"assessor: {server.name} does not list the model toy; it lists llava, evil name[31m, long")
    assert told.isprintable()
    assert len(told) < 600
    assert re.search(EXPECTED["no_model"], complaint(said))


@pytest.mark.parametrize("listed", [{}, {"data": None}, {"data": [1, None, {}]}, {"data": {"id": "another"}}])
def test_a_server_that_lists_no_models_is_asked_all_the_same(listed: object, caplog: pytest.LogCaptureFixture) -> None:
    def behave(asked: Asked) -> Reply | None:
        return as_json(listed) if asked.method == "GET" else good()(asked)

    with VlmServer(behave, everywhere=True) as server:
        (said,) = ask(access(server), question())
    assert score(said) == 30
    assert caplog.messages == []


def test_a_server_that_is_away_at_start_is_told_and_used_once_it_is_there(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()

    async def scenario(vlm: OpenAiVlm) -> list[Said]:
        with VlmServer(port=port):
            return await vlm.say([question()])

    (said,) = run(access(f"http://127.0.0.1:{port}/v1"), scenario)
    assert score(said) == 30
    assert caplog.messages == [f"assessor: 127.0.0.1:{port} cannot be reached; it is tried again with every question"]


def test_a_server_that_is_silent_at_start_holds_it_up_for_a_while_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(openai, "PROBE_SECONDS", 0.2)
    with VlmServer("never") as silent, VlmServer() as server:
        (said,) = ask(access(server, silent), question())
    assert score(said) == 30
    assert caplog.messages == [f"assessor: {silent.name} does not answer; it is tried again with every question"]


def test_a_certificate_that_fails_is_told_at_start_and_is_the_reason_later_and_one_that_is_trusted_is_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = self_signed(tmp_path)
    with VlmServer(certificate=certificate) as server:
        (said,) = ask(access(server, key=KEY), question())
        assert server.requests == []
        assert complaint(said) == f"{server.name} shows a certificate that fails: self-signed certificate"
        assert caplog.messages == [f"assessor: {said}"]
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        (said,) = ask(access(server, key=KEY), question())
        assert score(said) == 30


def test_a_server_that_speaks_no_tls_is_told_so() -> None:
    with VlmServer() as server:
        (said,) = ask(access(server.url.replace("http:", "https:")), question())
    assert f"{server.name} fails to speak TLS" in complaint(said)
    assert server.requests == []


# Keys and addresses


@pytest.mark.parametrize("key", ["two\nlines", "r\r", "schlüssel", "tab\tkey", "nul\0", "", " padded ", "\u2028"])
def test_a_key_that_no_header_can_carry_is_refused_at_start(key: str) -> None:
    async def scenario(vlm: OpenAiVlm) -> None:
        raise AssertionError

    with VlmServer() as server, pytest.raises(AssessorError, match=r"assessor\.api_key holds") as caught:
        run(access(server, key=key), scenario)
    assert not key.strip() or key not in str(caught.value)
    assert server.requests == []


def test_a_server_that_repeats_the_key_does_not_get_it_into_logs_or_errors(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    key = Secret("plain", KEY).reveal()

    def echo(asked: Asked) -> Reply:
        if asked.method == "GET":
            return as_json({"data": [{"id": asked.headers["authorization"]}]})
        return refusal((400, 503, 404)[asked.number % 3], f"you sent {asked.headers['authorization']}")

    with VlmServer(echo, everywhere=True) as server:
        said = ask(access(server, key=key), *[question() for _ in range(6)])
    for each in said:
        assert "you sent Bearer ***" in complaint(each)
    assert key in server.questions[0].headers["authorization"]
    assert "does not list the model toy; it lists Bearer ***" in caplog.text
    assert key not in caplog.text


def test_a_redirect_is_never_followed() -> None:
    with VlmServer() as other, VlmServer(redirect(f"{other.url}/chat/completions"), everywhere=True) as server:
        (said,) = ask(access(server, key=KEY), question())
    assert f"redirects to {other.name}" in complaint(said)
    assert other.requests == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_address_that_is_not_private_gets_not_one_byte(
    scheme: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(openai, "is_private", lambda address: address != "127.0.0.1")
    with silent_host() as (port, gathered):
        # The look at start is the only connection; that it fails is told, and nothing else is tried.
        run(access(f"{scheme}://127.0.0.1:{port}/v1", key=KEY), lambda vlm: asyncio.sleep(0))
    assert gathered == [b""]
    (told,) = caplog.messages
    assert f"127.0.0.1:{port} is 127.0.0.1, no private address" in told
    assert told.endswith("assessor.allow_remote: true")


def test_only_allow_remote_sends_a_question_to_an_address_that_is_not_private(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai, "is_private", lambda address: False)
    with VlmServer() as server:
        (said,) = ask(access(server), question())
        assert "no private address" in complaint(said)
        assert server.requests == []
        (said,) = ask(access(server, remote=True), question())
        assert score(said) == 30


# Servers without a schema


def test_a_server_without_response_format_is_asked_without_it_and_that_is_remembered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with VlmServer("no_schema") as server:

        async def scenario(vlm: OpenAiVlm) -> list[Said]:
            return [*(await vlm.say([question() for _ in range(3)])), *(await vlm.say([question()]))]

        said = run(access(server), scenario)
    assert [score(each) for each in said] == [30] * 4
    assert [message for message in caplog.messages if "response_format" in message] == [
        f"assessor: {server.name} takes no response_format; its answers are checked all the same"
    ]
    assert "response_format" not in server.questions[-1].body
    assert sum("response_format" in asked.body for asked in server.questions) <= 3


def test_a_server_whose_grammar_cannot_read_the_schema_is_asked_without_it() -> None:
    def behave(asked: Asked) -> Reply | None:
        # As llama.cpp and vLLM put it: neither names the field.
        return refusal(400, "failed to parse grammar") if "response_format" in asked.body else good()(asked)

    with VlmServer(behave) as server:
        (said,) = ask(access(server), question())
    assert score(said) == 30


def test_a_question_that_is_refused_with_and_without_a_schema_does_not_take_it_from_the_next() -> None:
    refusing = refusal(400, "maximum context length is 4096 tokens; response_format is not to blame")
    with VlmServer(lambda asked: refusing if asked.number <= 2 else good()(asked)) as server:

        async def scenario(vlm: OpenAiVlm) -> list[Said]:
            return [*(await vlm.say([question()])), *(await vlm.say([question()]))]

        bad, fine = run(access(server), scenario)
    assert "maximum context length" in complaint(bad)
    assert score(fine) == 30
    assert "response_format" in server.questions[-1].body


# Several servers


def test_the_server_with_the_least_outstanding_is_asked_first() -> None:
    gate = threading.Event()

    def held(asked: Asked) -> Reply | None:
        gate.wait(10)
        return good()(asked)

    with VlmServer(held) as slow, VlmServer() as quick:

        async def scenario(vlm: OpenAiVlm) -> list[Said]:
            first = asyncio.create_task(vlm.say([question()]))
            await asyncio.to_thread(wait_for, lambda: slow.questions, 5, "the first is under way")
            rest = [said for _ in range(5) for said in await vlm.say([question()])]
            gate.set()
            return [*(await first), *rest]

        said = run(access(slow, quick), scenario)
    assert [score(each) for each in said] == [30] * 6
    assert (len(slow.questions), len(quick.questions)) == (1, 5)


def test_questions_of_one_moment_are_shared_out_evenly() -> None:
    with VlmServer(good(seconds=0.05)) as one, VlmServer(good(seconds=0.05)) as two, VlmServer(good(seconds=0.05)) as x:
        vlm_access = access(one, two, x)
        assert OpenAiVlm(vlm_access, CLOCK).depth == 3 * openai.DEPTH_A_SERVER
        ask(vlm_access, *[question() for _ in range(12)])
    assert [len(server.questions) for server in (one, two, x)] == [4, 4, 4]


BROKEN = ["html", "redirect", "unauthorized", "busy", "no_model", "huge", "cut", "not_chat", "refuses", "away"]


@contextlib.contextmanager
def broken_server(name: str) -> Iterator[tuple[str, VlmServer | None]]:
    if name == "away":
        yield f"http://127.0.0.1:{free_port()}/v1", None
        return
    with VlmServer((lambda _: refusal(400, "pinned to another model")) if name == "refuses" else name) as server:
        yield server.url, server


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("at_a_time", [1, 12])
def test_one_broken_server_of_three_takes_no_answer_with_it_and_is_soon_left_alone(name: str, at_a_time: int) -> None:
    clock = SimulatedClock()
    with broken_server(name) as (url, broken), VlmServer() as one, VlmServer() as two:

        async def scenario(vlm: OpenAiVlm) -> list[Said]:
            said: list[Said] = []
            for _ in range(24 // at_a_time):
                said += await vlm.say([question(clock=clock) for _ in range(at_a_time)])
            assert fault(vlm) == ""
            return said

        said = run(access(url, one, two), scenario, clock)
    assert [score(each) for each in said] == [30] * 24
    if broken is not None:
        # A refusal is asked twice, with and without a schema.
        assert FAULTS_IN_A_ROW <= len(broken.questions) <= 2 * max(FAULTS_IN_A_ROW, at_a_time)


def test_one_server_that_works_among_many_that_are_away_is_enough() -> None:
    away = [f"http://127.0.0.1:{free_port()}/v1" for _ in range(2 * openai.TRIES)]
    with VlmServer() as server:
        (said,) = ask(access(*away, server), question())
    assert score(said) == 30


def test_a_server_that_hangs_holds_up_no_question_to_another() -> None:
    with VlmServer("never", everywhere=False) as hanging, VlmServer() as server:
        said = ask(access(hanging, server), *[question(4.0) for _ in range(100)])
    assert len(server.questions) == sum(isinstance(each, str) for each in said) == 50
    assert {complaint(each) for each in said if isinstance(each, AssessorError)} == {
        f"{hanging.name} did not answer before the deadline"
    }


def test_a_server_that_hung_gets_one_question_on_trial_after_its_rest() -> None:
    clock = SimulatedClock()
    with VlmServer("never", everywhere=False) as hanging, VlmServer(good(seconds=0.02)) as server:

        async def scenario(vlm: OpenAiVlm) -> list[Said]:
            await vlm.say([question(1.0, clock) for _ in range(2 * FAULTS_IN_A_ROW)])
            assert len(hanging.questions) == FAULTS_IN_A_ROW
            assert len(await vlm.say([question(clock=clock) for _ in range(8)])) == 8
            assert len(hanging.questions) == FAULTS_IN_A_ROW
            clock.advance(FIRST_REST_SECONDS)
            return await vlm.say([question(1.5, clock) for _ in range(8)])

        said = run(access(hanging, server), scenario, clock)
    assert len(hanging.questions) == FAULTS_IN_A_ROW + 1
    assert sum(isinstance(each, str) for each in said) == 7


def test_when_all_servers_are_down_the_fault_names_them_and_questions_end_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = SimulatedClock()
    names = [f"127.0.0.1:{free_port()}" for _ in range(3)]

    async def scenario(vlm: OpenAiVlm) -> list[Said]:
        first = await vlm.say([question(clock=clock) for _ in range(6)])
        assert fault(vlm) == "; ".join(f"{name} cannot be reached; tried again in 15 s" for name in names)
        return [*first, *(await vlm.say([question(clock=clock)]))]

    *first, last = run(access(*[f"http://{name}/v1" for name in names]), scenario, clock)
    assert all(complaint(each).endswith("cannot be reached") for each in first)
    assert complaint(last).startswith("all servers rest: ")
    assert sum(record.levelname == "ERROR" for record in caplog.records) == 3


def test_a_server_that_comes_back_is_used_again_after_its_rest() -> None:
    clock = SimulatedClock()
    with VlmServer("busy") as server:

        async def scenario(vlm: OpenAiVlm) -> None:
            for said in await vlm.say([question(clock=clock)] * FAULTS_IN_A_ROW):
                assert "is busy or broken" in complaint(said)
            assert "is busy or broken" in fault(vlm)
            server.behave = good()
            (said,) = await vlm.say([question(clock=clock)])
            assert complaint(said).startswith("all servers rest: ")
            clock.advance(FIRST_REST_SECONDS)
            assert fault(vlm) == ""
            said, other = await vlm.say([question(clock=clock), question(clock=clock)])
            assert (score(said), score(other)) == (30, 30)
            assert fault(vlm) == ""

        run(access(server), scenario, clock)


def test_one_question_that_fails_is_one_fault_however_often_it_was_sent() -> None:
    clock = SimulatedClock()
    with VlmServer("busy") as server:

        async def scenario(vlm: OpenAiVlm) -> None:
            for _ in range(FAULTS_IN_A_ROW):
                assert fault(vlm) == ""
                await vlm.say([question(clock=clock)])
            assert "is busy or broken" in fault(vlm)

        run(access(server), scenario, clock)
    assert len(server.questions) == openai.TRIES * (FAULTS_IN_A_ROW - 1) + 1


def test_a_server_that_is_still_down_after_its_rest_rests_twice_as_long() -> None:
    clock = SimulatedClock()
    with VlmServer("busy") as server:

        async def scenario(vlm: OpenAiVlm) -> None:
            await vlm.say([question(clock=clock)] * FAULTS_IN_A_ROW)
            asked = len(server.questions)
            clock.advance(FIRST_REST_SECONDS)
            await vlm.say([question(clock=clock)])
            assert len(server.questions) == asked + 1
            assert fault(vlm).endswith(f"tried again in {2 * FIRST_REST_SECONDS:.0f} s")

        run(access(server), scenario, clock)


# The whole way: requests in, answers out


def request(floor: Level = Level.low) -> AssessmentRequest:
    person = Subject(1, "person", 0.9, (0.4, 0.3, 0.6, 0.9), 1.0)
    now = CLOCK.monotonic()
    keyframes = (Keyframe(0.0, lambda: picture(448, 252), (person,)),)
    return AssessmentRequest("ID", "front", floor, now, now + 20, keyframes, Facts("Front", "", "Sunday 22:04", ()))


def assess(server: VlmServer, floor: Level = Level.low, count: int = 1) -> list[Answer | AssessorError]:
    manner = Manner(views="always")
    requests = [request(floor)] * count
    outcomes: list[Answer | AssessorError] = []

    async def scenario(vlm: OpenAiVlm) -> None:
        await VlmAssessor(vlm, manner, CLOCK).assess(requests, lambda _, outcome: outcomes.append(outcome))

    run(access(server), scenario)
    assert len(outcomes) == count
    return outcomes


def test_a_text_that_is_no_answer_is_refused_once_and_what_comes_then_counts() -> None:
    with VlmServer("garbage_then_good") as server:
        (answered,) = assess(server)
    assert isinstance(answered, Answer)
    assert answered.score == 30
    first, second = server.questions
    assert second.messages[:2] == first.messages
    assert second.messages[2]["content"] == GARBAGE


def test_a_server_that_talks_nonsense_ends_each_request_in_one_clear_line() -> None:
    with VlmServer(lambda _: completion(json.dumps({"risk_score": 1000}))) as server:
        answered = assess(server, count=3)
    for each in answered:
        assert isinstance(each, AssessorError)
        assert "the answer is out of its bounds: " in str(each)
    assert len(server.questions) == 6


def test_a_model_that_obeys_the_scene_is_doubted() -> None:
    with VlmServer("obeys") as server:
        (answered,) = assess(server, Level.high)
    assert isinstance(answered, Answer)
    assert (answered.score, answered.verdict) == (0, "not_seen")
    assert "text_instructs" in answered.flags


def test_further_views_come_from_the_same_server_and_may_fail() -> None:
    def behave(asked: Asked) -> Reply | None:
        return refusal(400, "no") if asked.wants_view and "worst" in str(asked.messages) else good(70)(asked)

    with VlmServer(behave) as server:
        (answered,) = assess(server, Level.high)
    assert isinstance(answered, Answer)
    assert answered.score == 70
    views = [asked for asked in server.questions if asked.wants_view]
    assert len({asked.messages[1]["content"][-1]["text"] for asked in views}) == 4
