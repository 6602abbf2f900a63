"""RTSP's requests and answers as text (RFC 2326), read within bounds: whatever a client sends, memory stays small."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

_MOST_LINES = 64
_MOST_BODY = 16_384
LINE_BYTES = 8192
REASONS = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Stream Not Found", 405: "Method Not Allowed",
    454: "Session Not Found", 455: "Method Not Valid in This State", 461: "Unsupported Transport",
    503: "Service Unavailable", 505: "RTSP Version Not Supported", 551: "Option not supported",
}  # fmt: skip


class Refused(Exception):
    """A request that is answered with an error; `status` is one of REASONS."""

    def __init__(self, status: int, **headers: str) -> None:
        super().__init__(REASONS[status])
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Malformed(Exception):
    """What came is no RTSP: there is no telling where the next request begins."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request; header names are in lower case."""

    method: str
    url: str
    headers: dict[str, str]

    @property
    def path(self) -> str:
        """The URL's path without a slash at its end."""
        return unquote(urlsplit(self.url).path).rstrip("/") or "/"

    @property
    def sequence(self) -> str:
        """CSeq as the client wrote it; empty where it is missing or no number."""
        told = self.headers.get("cseq", "").strip()
        return told if told.isascii() and told.isdigit() and len(told) < 12 else ""


@dataclass(frozen=True, slots=True)
class Response:
    """One answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""

    def encoded(self, sequence: str) -> bytes:
        """Return it as it is sent, to the request of that CSeq."""
        lines = [f"RTSP/1.0 {self.status} {REASONS[self.status]}"]
        if sequence:
            lines.append(f"CSeq: {sequence}")
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.body:
            lines.append(f"Content-Length: {len(self.body.encode())}")
        return ("\r\n".join(lines) + "\r\n\r\n" + self.body).encode()


async def read(reader: asyncio.StreamReader) -> Request | None:
    """Return the next request, past what comes of RTCP; None when the client has hung up. Raises Malformed."""
    try:
        first = await _first_byte(reader)
        if first is None:
            return None
        line = (first + await _line(reader)).decode("utf-8")
        headers = await _headers(reader)
        await _skip_body(reader, headers)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
        raise Malformed(type(error).__name__) from None
    parts = line.split()
    if len(parts) != 3 or not parts[2].startswith("RTSP/"):
        raise Malformed("no request line")
    if parts[2] != "RTSP/1.0":
        headers["x-version"] = parts[2]
    return Request(parts[0], parts[1], headers)


async def _first_byte(reader: asyncio.StreamReader) -> bytes | None:
    """Return the first byte of the next request; what is interleaved before it is thrown away."""
    while True:
        first = await reader.read(1)
        if not first:
            return None
        if first == b"$":
            head = await reader.readexactly(3)
            await reader.readexactly(int.from_bytes(head[1:], "big"))
        elif first not in b"\r\n":
            return first


async def _line(reader: asyncio.StreamReader) -> bytes:
    line = await reader.readuntil(b"\n")
    if len(line) > LINE_BYTES:
        raise ValueError("a line is too long")
    return line.rstrip(b"\r\n")


async def _headers(reader: asyncio.StreamReader) -> dict[str, str]:
    headers: dict[str, str] = {}
    for _ in range(_MOST_LINES):
        line = (await _line(reader)).decode("utf-8")
        if not line:
            return headers
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError("a header has no colon")
        headers[name.strip().lower()] = value.strip()
    raise ValueError("there are too many headers")


async def _skip_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> None:
    length = int(headers.get("content-length", "0"))
    if not 0 <= length <= _MOST_BODY:
        raise ValueError("a body is too long")
    await reader.readexactly(length)
