"""What a chat server's reply is worth: a text, or in one clear line why there is none."""

from __future__ import annotations

import json
import ssl
from typing import Any

import httpx

from surveil.assess import answer
from surveil.redaction import redact

MAX_REPLY_BYTES = 1_000_000
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})


class Elsewhere(Exception):
    """This server does not answer this; another one may, and the same a little later, unless that is `lasting`."""

    def __init__(self, why: str, lasting: bool = False) -> None:
        super().__init__(why)
        self.lasting = lasting


class Refused(Elsewhere):
    """This server takes no such question. Whose fault that is shows when another one answers it."""

    def __init__(self, why: str) -> None:
        super().__init__(why, lasting=True)


async def read(name: str, response: httpx.Response) -> bytes:
    """Return a reply's bytes. Raises Elsewhere where there are too many."""
    reply = bytearray()
    async for chunk in response.aiter_raw():  # as it comes: what is packed small may be too large for the memory
        reply += chunk
        if len(reply) > MAX_REPLY_BYTES:
            raise Elsewhere(f"{name} sends more than {MAX_REPLY_BYTES // 1_000_000} MB for an answer")
    return bytes(reply)


def object_in(name: str, response: httpx.Response, reply: bytes) -> dict[str, Any]:
    """Return the JSON object that a server answers with. Raises Elsewhere, and Refused."""
    status = response.status_code
    if 300 <= status < 400:
        where = line(response.headers.get("location", "").partition("://")[2].partition("/")[0]) or "elsewhere"
        raise Elsewhere(f"{name} redirects to {where}; pictures go only to the address in the config", lasting=True)
    if status in {401, 403}:
        raise Elsewhere(f"{name} refuses the key (assessor.api_key), with status {status}", lasting=True)
    try:
        data = json.loads(reply)
    except (ValueError, RecursionError):
        data = None
    if status in _BUSY:
        raise Elsewhere(f"{name} is busy or broken, with status {status}{_reason(data)}")
    if status == 404:
        raise Elsewhere(f"{name} does not know this address or model, with status 404{_reason(data)}", lasting=True)
    if status >= 400:
        raise Refused(f"{name} refuses the question, with status {status}{_reason(data)}")
    if not isinstance(data, dict):
        kind_of = response.headers.get("content-encoding") or response.headers.get("content-type", "nothing it names")
        raise Elsewhere(f"{name} answers with {line(kind_of.split(';')[0])} instead of a JSON object", lasting=True)
    return data


def _reason(data: Any) -> str:
    """Return what a server says of an error, as far as it fits a line."""
    error = data.get("error", data.get("detail", data.get("message"))) if isinstance(data, dict) else None
    error = error.get("message") if isinstance(error, dict) else error
    return f": {line(str(error))}" if error else ""


def line(text: str) -> str:
    """Return what a server says as a piece of one line, without the key if it repeats that."""
    return redact(answer.clean(text))[:150]


def text_of(name: str, reply: dict[str, Any]) -> str:
    """Return the model's text in a chat completion. Raises Elsewhere."""
    try:
        text = reply["choices"][0]["message"]["content"]
    except (LookupError, TypeError):
        raise Elsewhere(f"{name} answers with no chat completion", lasting=True) from None
    if not isinstance(text, str):
        raise Elsewhere(f"{name} answers with a chat completion without text")
    return text


def tls_fault(error: Exception) -> str | None:
    """Return what is wrong with a server's certificate, where that is why it cannot be reached."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"shows a certificate that fails: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"fails to speak TLS: {cause.reason}"
        cause = cause.__cause__ or cause.__context__
    return None
