"""Servers that speak OpenAI's chat API (vLLM, SGLang, llama.cpp, Ollama, `transformers serve`): several take turns."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import cv2
import httpx

from surveil.assess import answer, vlm
from surveil.assess.breaker import Breaker
from surveil.assess.vlm import Question, Said
from surveil.backoff import Backoff
from surveil.clock import Clock
from surveil.config.network import NOT_PRIVATE, is_private
from surveil.interfaces import AssessorError
from surveil.messages import Image

_log = logging.getLogger(__name__)
CONNECT_SECONDS = 5.0
PROBE_SECONDS = 5.0
TRIES = 3
"""How often one question is sent before it has failed, each time to the server that is freest then."""
DEPTH_A_SERVER = 4
"""Questions that one server has at a time: enough for its own batching, few enough that urgent ones pass soon."""
MAX_REPLY_BYTES = 1_000_000
MAX_TOKENS = 400
"""Three times what an answer in its bounds needs; one that is longer is out of them anyway."""
JPEG_QUALITY = 90
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Access:
    """Where the servers are and how they are asked.

    Args:
        urls: base URLs, ending in /v1.
        model: the name that the servers know the model by.
        api_key: sent as a bearer token; None for none.
        allow_remote: whether pictures may go to addresses that are not private.
    """

    urls: tuple[str, ...]
    model: str
    api_key: str | None = None
    allow_remote: bool = False


class _Elsewhere(Exception):
    """This server does not answer this; another one may, and the same a little later, unless that is `lasting`."""

    def __init__(self, why: str, lasting: bool = False) -> None:
        super().__init__(why)
        self.lasting = lasting


@dataclass(slots=True)
class _Server:
    """One base URL with what is known of it."""

    url: str
    breaker: Breaker
    backoff: Backoff = field(default_factory=Backoff)
    outstanding: int = 0
    takes_schema: bool = True

    @property
    def name(self) -> str:
        """The address for people."""
        parts = urlsplit(self.url)
        return parts.netloc


class OpenAiVlm:
    """A Vlm: one or more servers, the one with the least outstanding first. Lives on the stage's event loop."""

    def __init__(self, access: Access, clock: Clock) -> None:
        self.batch = 1
        self.depth = DEPTH_A_SERVER * len(access.urls)
        self._access = access
        self._clock = clock
        self._servers = [_Server(url.rstrip("/"), Breaker(clock)) for url in access.urls]
        self._client: httpx.AsyncClient | None = None

    @property
    def fault(self) -> str | None:
        """Which servers are left alone for a while, once all of them are."""
        faults = [f"{server.name}: {server.breaker.fault}" for server in self._servers if server.breaker.open]
        return "; ".join(faults) if len(faults) == len(self._servers) else None

    async def start(self) -> str:
        """Look at every server once and tell what is wrong; one that is away now may come later.

        Raises AssessorError for a key that no server can be sent.
        """
        await self.close()
        headers = {"Accept": "application/json"}
        if self._access.api_key is not None:
            if not (self._access.api_key.isascii() and self._access.api_key.isprintable()):
                raise AssessorError("assessor.api_key holds characters that HTTP cannot carry")
            headers["Authorization"] = f"Bearer {self._access.api_key}"
        self._client = httpx.AsyncClient(
            headers=headers,
            verify=ssl.create_default_context(),
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=2 * self.depth),
            follow_redirects=False,
            trust_env=False,  # a proxy of the environment's would see the pictures
        )
        for problem in await asyncio.gather(*map(self._probe, self._servers)):
            if problem is not None:
                _log.warning("assessor: %s", problem)
        return self._access.model

    async def say(self, questions: Sequence[Question]) -> list[Said]:
        """Return what came of each question, all asked at the same time."""
        return await asyncio.gather(*map(self._said, questions))

    async def close(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _probe(self, server: _Server) -> str | None:
        """Return what is wrong with a server, or None; some do not list their models, which is nothing wrong."""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                listed = await self._fetch(server, "GET", "/models")
        except TimeoutError:
            return f"{server.name} does not answer; it is tried again with every question"
        except _Elsewhere as error:
            return str(error) if error.lasting else f"{error}; it is tried again with every question"
        except AssessorError as error:
            return str(error)
        entries = listed.get("data")
        entries = entries if isinstance(entries, list) else []
        names = [str(entry.get("id")) for entry in entries if isinstance(entry, dict)]
        if names and self._access.model not in names:
            return f"{server.name} does not list the model {self._access.model}; it lists {', '.join(names[:8])}"
        return None

    async def _said(self, question: Question) -> Said:
        body = await asyncio.to_thread(self._body, question)
        why = ""
        for _ in range(TRIES):
            server = self._freest()
            if server is None:
                return AssessorError(why or f"all servers rest: {self.fault}")
            try:
                text = await self._complete(server, body, question)
            except _Elsewhere as error:
                why = str(error)
                self._failed(server, why)
                if len(self._servers) == 1:
                    if error.lasting:
                        break
                    await asyncio.sleep(server.backoff.next())
            except AssessorError as error:
                return error
            else:
                server.breaker.worked()
                server.backoff.reset()
                return text
        return AssessorError(why)

    def _failed(self, server: _Server, why: str) -> None:
        if server.breaker.failed(why):
            _log.error("assessor: %s", server.breaker.fault)

    def _freest(self) -> _Server | None:
        ready = [server for server in self._servers if not server.breaker.open]
        return min(ready, key=lambda server: server.outstanding, default=None)

    async def _complete(self, server: _Server, body: dict[str, Any], question: Question) -> str:
        """Return one server's text. Raises _Elsewhere and AssessorError."""
        left = question.deadline_at - self._clock.monotonic()
        server.outstanding += 1
        try:
            async with asyncio.timeout(max(0.0, left)):
                return _text_of(server.name, await self._posted(server, body, question))
        except TimeoutError:
            self._late(server)
            raise AssessorError(_late(server.name)) from None
        except asyncio.CancelledError:
            if self._clock.monotonic() >= question.deadline_at:
                self._late(server)
            raise
        finally:
            server.outstanding -= 1

    def _late(self, server: _Server) -> None:
        """Note that nobody waits for a server's answer any more; where there are others, they are asked instead."""
        if len(self._servers) > 1:
            self._failed(server, _late(server.name))

    async def _posted(self, server: _Server, body: dict[str, Any], question: Question) -> dict[str, Any]:
        if server.takes_schema:
            shaped = body | {"response_format": _response_format(question)}
            try:
                return await self._fetch(server, "POST", "/chat/completions", shaped)
            except _NoSchema:
                server.takes_schema = False
                _log.warning("assessor: %s takes no response_format; its answers are checked all the same", server.name)
        return await self._fetch(server, "POST", "/chat/completions", body)

    def _body(self, question: Question) -> dict[str, Any]:
        pictures = [{"type": "image_url", "image_url": {"url": _data_url(image)}} for image in question.pictures]
        messages = [
            {"role": "system", "content": question.system},
            {"role": "user", "content": [*pictures, {"type": "text", "text": question.text}]},
        ]
        if question.refused is not None:
            said, why = question.refused
            messages += [{"role": "assistant", "content": said}, {"role": "user", "content": vlm.complaint(why)}]
        return {"model": self._access.model, "messages": messages, "max_tokens": MAX_TOKENS, "temperature": 0}

    async def _fetch(
        self, server: _Server, method: str, path: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return a server's JSON object. Raises _Elsewhere where another try may help, else AssessorError."""
        if self._client is None:
            raise AssessorError("the connections are closed")
        request = self._client.build_request(
            method, server.url + path, json=body, extensions={"trace": self._keep_at_home}
        )
        try:
            response = await self._client.send(request, stream=True)
            try:
                reply = await _read(server.name, response)
            finally:
                await response.aclose()
        except httpx.ConnectError as error:
            why = _tls_fault(error)
            raise _Elsewhere(f"{server.name} {why or 'cannot be reached'}") from None
        except httpx.HTTPError as error:
            raise _Elsewhere(f"{server.name} broke the connection ({type(error).__name__})") from None
        return _object(server.name, response, reply)

    async def _keep_at_home(self, event: str, info: dict[str, Any]) -> None:
        """Refuse a connection to an address that is not private, before anything is sent on it.

        Looking at the address of the connection itself leaves no room for a name that resolves differently later.
        """
        if event != "connection.connect_tcp.complete" or self._access.allow_remote:
            return
        stream = info["return_value"]
        address = stream.get_extra_info("server_addr")
        if address and not is_private(str(address[0])):
            await stream.aclose()
            raise _Elsewhere(f"{address[0]} is {NOT_PRIVATE} assessor.allow_remote: true", lasting=True)


class _NoSchema(AssessorError):
    """The server refuses `response_format`."""


def _late(name: str) -> str:
    return f"{name} did not answer before the deadline"


async def _read(name: str, response: httpx.Response) -> bytes:
    reply = bytearray()
    async for chunk in response.aiter_bytes():
        reply += chunk
        if len(reply) > MAX_REPLY_BYTES:
            raise _Elsewhere(f"{name} sends more than {MAX_REPLY_BYTES // 1_000_000} MB for an answer")
    return bytes(reply)


def _object(name: str, response: httpx.Response, reply: bytes) -> dict[str, Any]:
    status = response.status_code
    if 300 <= status < 400:
        where = answer.clean(urlsplit(response.headers.get("location", "")).netloc)[:100] or "elsewhere"
        raise _Elsewhere(f"{name} redirects to {where}; pictures go only to the address in the config", lasting=True)
    if status in {401, 403}:
        raise _Elsewhere(f"{name} refuses the key (assessor.api_key), with status {status}", lasting=True)
    try:
        data = json.loads(reply)
    except (ValueError, RecursionError):
        data = None
    if status in _BUSY:
        raise _Elsewhere(f"{name} is busy or broken, with status {status}{_reason(data)}")
    if status == 404:
        raise _Elsewhere(f"{name} does not know this address or model, with status 404{_reason(data)}", lasting=True)
    if status >= 400:
        kind = _NoSchema if status in {400, 422} and "response_format" in _reason(data) else AssessorError
        raise kind(f"{name} refuses the question, with status {status}{_reason(data)}")
    if not isinstance(data, dict):
        kind_of = response.headers.get("content-type", "nothing it names").split(";")[0]
        raise _Elsewhere(f"{name} answers with {answer.clean(kind_of)[:60]} instead of a JSON object", lasting=True)
    return data


def _reason(data: Any) -> str:
    """Return what a server says of an error, as far as it fits a line."""
    error = data.get("error", data.get("detail", data.get("message"))) if isinstance(data, dict) else None
    error = error.get("message") if isinstance(error, dict) else error
    return f": {answer.clean(str(error))[:150]}" if error else ""


def _text_of(name: str, reply: dict[str, Any]) -> str:
    try:
        text = reply["choices"][0]["message"]["content"]
    except (LookupError, TypeError):
        raise _Elsewhere(f"{name} answers with no chat completion", lasting=True) from None
    if not isinstance(text, str):
        raise _Elsewhere(f"{name} answers with a chat completion without text")
    return text


def _response_format(question: Question) -> dict[str, Any]:
    shape = answer.schema(question.shape)
    return {"type": "json_schema", "json_schema": {"name": question.shape, "strict": True, "schema": shape}}


def _data_url(image: Image) -> str:
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise ValueError(f"a picture of shape {image.shape} cannot be a JPEG")
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode('ascii')}"


def _tls_fault(error: Exception) -> str | None:
    """Return what is wrong with a server's certificate, where that is why it cannot be reached."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"shows a certificate that fails: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"fails to speak TLS: {cause.reason}"
        cause = cause.__cause__ or cause.__context__
    return None
