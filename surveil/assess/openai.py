"""Servers that speak OpenAI's chat API (vLLM, SGLang, llama.cpp, Ollama, `transformers serve`): several take turns."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import cv2
import httpx

from surveil.assess import answer, vlm
from surveil.assess.breaker import Breaker
from surveil.assess.replies import Elsewhere, Refused, line, object_in, read, text_of, tls_fault
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
"""How often one question is sent before it has failed, or once to each server where there are more of them."""
DEPTH_A_SERVER = 4
"""Questions that one server has at a time: enough for its own batching, few enough that urgent ones pass soon."""
MAX_TOKENS = 400
"""Three times what an answer in its bounds needs; one that is longer is out of them anyway."""
JPEG_QUALITY = 90
_CONNECTED = frozenset({"connection.connect_tcp.complete", "connection.start_tls.complete"})
_CLOSED = "the connections are closed"
_KEY = re.compile(r"[!-~]+")


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


@dataclass(slots=True, eq=False)
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
        return self.url.partition("://")[2].partition("/")[0] or self.url

    @property
    def tested(self) -> bool:
        """Whether one question is under way by which it shows, after a rest, whether it works again."""
        return self.breaker.on_trial and self.outstanding > 0


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
        faults = [fault for server in self._servers if (fault := server.breaker.fault)]
        return "; ".join(faults) if len(faults) == len(self._servers) else None

    async def start(self) -> str:
        """Look at every server once and tell what is wrong; one that is away now may come later.

        Raises AssessorError for a key that no server can be sent.
        """
        await self.connect()
        for problem in await self.problems():
            _log.warning("assessor: %s", problem)
        return self._access.model

    async def connect(self) -> None:
        """Make ready to ask; nothing is sent yet. Raises AssessorError for a key that no server can be sent."""
        await self.close()
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if self._access.api_key is not None:
            if not _KEY.fullmatch(self._access.api_key):
                raise AssessorError("assessor.api_key holds nothing, or characters that HTTP cannot carry")
            headers["Authorization"] = f"Bearer {self._access.api_key}"
        self._client = httpx.AsyncClient(
            headers=headers,
            verify=ssl.create_default_context(),
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            # The stage bounds what is under way. A bound here would let a server that hangs hold up the others.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=self.depth),
            follow_redirects=False,
            trust_env=False,  # a proxy of the environment's would see the pictures
        )

    async def problems(self) -> list[str]:
        """Ask every server for its models; return what is wrong, a line a server that has something."""
        found = await asyncio.gather(*map(self._probe, self._servers))
        return [problem for problem in found if problem is not None]

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
        except Elsewhere as error:
            return str(error) if error.lasting else f"{error}; it is tried again with every question"
        except AssessorError as error:
            return str(error)
        entries = listed.get("data")
        entries = entries if isinstance(entries, list) else []
        names = [str(entry["id"]) for entry in entries if isinstance(entry, dict) and "id" in entry]
        if names and self._access.model not in names:
            return f"{server.name} does not list the model {self._access.model}; it lists {line(', '.join(names))}"
        return None

    async def _said(self, question: Question) -> Said:
        try:
            return await self._heard(question, await asyncio.to_thread(self._body, question))
        except AssessorError as error:
            return error

    async def _heard(self, question: Question, body: dict[str, Any]) -> str:
        """Return the text of the first server that has one. Raises AssessorError."""
        asked: dict[_Server, bool] = {}  # and whether to ask it again is of no use
        refused: dict[_Server, str] = {}
        why = ""
        for _ in range(max(TRIES, len(self._servers))):
            server = await self._next(question, asked)
            if server is None:
                break
            try:
                text = await self._complete(server, body, question)
            except Elsewhere as error:
                why = str(error)
                if isinstance(error, Refused):
                    refused[server] = why
                elif server not in asked:  # one question is one fault, however often it was sent
                    self._failed(server, why)
                asked[server] = error.lasting
            else:
                server.breaker.worked()
                server.backoff.reset()
                for other, complaint in refused.items():
                    self._failed(other, complaint)
                return text
        raise AssessorError(why or f"all servers rest: {self.fault}")

    async def _next(self, question: Question, asked: dict[_Server, bool]) -> _Server | None:
        """Return whom to ask: the freest that was not asked yet, or after a pause one that was; None for nobody."""
        server = self._freest(asked)
        if server is None or server not in asked:
            return server
        pause = server.backoff.next()
        if pause >= question.deadline_at - self._clock.monotonic():
            return None
        await asyncio.sleep(pause)
        return self._freest(asked)

    def _freest(self, asked: dict[_Server, bool]) -> _Server | None:
        ready = [server for server in self._servers if not server.breaker.open and not asked.get(server)]
        return min(ready, key=lambda server: (server in asked, server.tested, server.outstanding), default=None)

    def _failed(self, server: _Server, why: str) -> None:
        if server.breaker.failed(why):
            _log.error("assessor: %s", server.breaker.fault)

    async def _complete(self, server: _Server, body: dict[str, Any], question: Question) -> str:
        """Return one server's text. Raises Elsewhere and AssessorError."""
        left = question.deadline_at - self._clock.monotonic()
        if left <= 0:
            raise AssessorError("the deadline was over before a server could be asked")
        server.outstanding += 1
        try:
            async with asyncio.timeout(left):
                return text_of(server.name, await self._posted(server, body, question))
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
        if not server.takes_schema:
            return await self._fetch(server, "POST", "/chat/completions", body)
        shaped = body | {"response_format": _response_format(question)}
        try:
            return await self._fetch(server, "POST", "/chat/completions", shaped)
        except Refused:
            # How a server puts it that it cannot read a schema is its own; whether that was it shows without one.
            reply = await self._fetch(server, "POST", "/chat/completions", body)
        if server.takes_schema:
            server.takes_schema = False
            _log.warning("assessor: %s takes no response_format; its answers are checked all the same", server.name)
        return reply

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
        """Return a server's JSON object. Raises Elsewhere where another server may help, else AssessorError."""
        client = self._client
        if client is None:
            raise AssessorError(_CLOSED)
        how: dict[str, Any] = {"extensions": {"trace": partial(self._keep_at_home, client, server.name)}}
        if body is not None:
            # In ASCII: a letter that Python holds as two halves is whole again where it arrives.
            how |= {"content": json.dumps(body), "headers": {"Content-Type": "application/json"}}
        try:
            request = client.build_request(method, server.url + path, **how)
            response = await client.send(request, stream=True)
            try:
                reply = await read(server.name, response)
            finally:
                await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            why = tls_fault(error)
            raise Elsewhere(f"{server.name} {why or 'cannot be reached'}", lasting=why is not None) from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError):
            raise Elsewhere(f"{server.name} is no address of a server", lasting=True) from None
        except httpx.HTTPError as error:
            if self._client is not client:
                raise AssessorError(_CLOSED) from None
            raise Elsewhere(f"{server.name} broke the connection ({type(error).__name__})") from None
        return object_in(server.name, response, reply)

    async def _keep_at_home(self, client: httpx.AsyncClient, name: str, event: str, info: dict[str, Any]) -> None:
        """Refuse a connection to an address that is not private, before anything is sent on it, and one that nobody
        wants any more.

        Looking at the address of the connection itself leaves no room for a name that resolves differently later.
        """
        if event not in _CONNECTED:
            return
        stream = info["return_value"]
        address = str((stream.get_extra_info("server_addr") or ["unknown"])[0])
        if self._client is client and (self._access.allow_remote or is_private(address)):
            return
        await stream.aclose()
        if self._client is not client:
            raise AssessorError(_CLOSED)
        raise Elsewhere(f"{name} is {address}, {NOT_PRIVATE} assessor.allow_remote: true", lasting=True)


def _late(name: str) -> str:
    return f"{name} did not answer before the deadline"


def _response_format(question: Question) -> dict[str, Any]:
    shape = answer.schema(question.shape)
    return {"type": "json_schema", "json_schema": {"name": question.shape, "strict": True, "schema": shape}}


def _data_url(image: Image) -> str:
    try:
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    except cv2.error:
        raise AssessorError(f"a picture of shape {image.shape} cannot be a JPEG") from None
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode('ascii')}"
