"""One client of the RTSP server: its requests, its state, and the pictures that wait for it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import secrets
from collections import deque
from collections.abc import Callable, Mapping

from surveil.demo import rtp, rtsp_messages
from surveil.demo.camera import AccessUnit
from surveil.demo.digest import Digest
from surveil.demo.lens import FPS
from surveil.demo.rtsp_messages import Malformed, Refused, Request, Response

_log = logging.getLogger(__name__)
IDLE_SECONDS = 60.0
"""A client that neither asks nor watches for so long is let go."""
STUCK_SECONDS = 10.0
"""A client that takes nothing for so long has vanished."""
MOST_WAITING = 2 * FPS
"""Pictures that may wait for a client: one that has more waiting loses all up to the next key frame."""
_METHODS = ("OPTIONS", "DESCRIBE", "SETUP", "PLAY", "TEARDOWN", "GET_PARAMETER")
_PARAMETER_SECONDS = 10.0


class Stream:
    """What all clients share: the path, and the parameter sets that a description needs."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._parameters: tuple[bytes, ...] = ()
        self._known = asyncio.Event()

    def learn(self, unit: AccessUnit) -> None:
        """Take the parameter sets of the first picture that brings some."""
        if not self._parameters and unit.parameters:
            self._parameters = unit.parameters
            self._known.set()

    async def description(self, url: str) -> str:
        """Return the SDP, once the camera has made its first picture. Raises Refused."""
        try:
            async with asyncio.timeout(_PARAMETER_SECONDS):
                await self._known.wait()
        except TimeoutError:
            raise Refused(503) from None
        sets = ",".join(base64.b64encode(nal).decode() for nal in self._parameters)
        profile = self._parameters[0][1:4].hex().upper()
        lines = (
            "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=surveil demo", "c=IN IP4 127.0.0.1", "t=0 0", "a=control:*",
            "a=range:npt=now-", f"m=video 0 RTP/AVP {rtp.PAYLOAD_TYPE}", f"a=rtpmap:{rtp.PAYLOAD_TYPE} H264/90000",
            f"a=fmtp:{rtp.PAYLOAD_TYPE} packetization-mode=1;profile-level-id={profile};sprop-parameter-sets={sets}",
            f"a=framerate:{FPS}", f"a=control:{url.rstrip('/')}/track0",
        )  # fmt: skip
        return "\r\n".join(lines) + "\r\n"


class Waiting:
    """The pictures that wait for one client. `put` never blocks."""

    def __init__(self) -> None:
        self._units: deque[tuple[list[bytes], int]] = deque()
        self._there = asyncio.Event()
        self._whole = False
        self.lost = 0

    def put(self, unit: AccessUnit, parts: list[bytes]) -> None:
        """Add a picture; after one that was lost none is added before the next key frame."""
        if unit.key and not self._whole:
            self._whole = True
        if self._whole and len(self._units) >= MOST_WAITING:
            self._whole = False
        if not self._whole:
            self.lost += 1
            return
        self._units.append((parts, unit.ticks))
        self._there.set()

    async def get(self) -> tuple[list[bytes], int]:
        """Wait for the next picture's payloads and time."""
        while not self._units:
            self._there.clear()
            await self._there.wait()
        return self._units.popleft()


class Client:
    """Answers one connection until it ends. Lives on the server's event loop."""

    def __init__(self, stream: Stream, guard: Digest | None, writer: asyncio.StreamWriter) -> None:
        self._stream = stream
        self._guard = guard
        self._writer = writer
        self._session = ""
        self._channel = 0
        self._packets = rtp.Packets(secrets.randbits(32), secrets.randbits(16))
        self._waiting: Waiting | None = None
        self._sending: asyncio.Task[None] | None = None
        self._offset = secrets.randbits(31)
        self._answers: Mapping[str, Callable[[Request], Response]] = {
            "OPTIONS": lambda _: Response(200, {"Public": ", ".join(_METHODS)}),
            "SETUP": self._set_up,
            "PLAY": self._play,
            "TEARDOWN": self._tear_down,
            "GET_PARAMETER": lambda _: Response(200),
        }

    def put(self, unit: AccessUnit, parts: list[bytes]) -> None:
        """Let the client have a picture, if it watches."""
        if self._waiting is not None:
            self._waiting.put(unit, parts)

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Answer until the client hangs up, asks for the end, sends nonsense, or vanishes."""
        try:
            while True:
                request = await self._next(reader)
                if request is None:
                    return
                await self._send(await self._answered(request), request.sequence)
                if request.method == "TEARDOWN":
                    return
        except Malformed:
            await self._send(Response(400, {"Connection": "close"}), "")
        except (OSError, TimeoutError):
            return  # it has gone: nobody is left to be told
        finally:
            await self._end()

    async def _next(self, reader: asyncio.StreamReader) -> Request | None:
        """Wait for a request, or for the end of the pictures' sending, which only a client that is gone brings."""
        reading = asyncio.ensure_future(rtsp_messages.read(reader))
        watched: set[asyncio.Future[Request | None] | asyncio.Future[None]] = {reading}
        watched |= {self._sending} if self._sending is not None else set()
        try:
            limit = None if self._sending is not None else IDLE_SECONDS
            done, _ = await asyncio.wait(watched, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            return reading.result() if reading in done else None
        finally:
            reading.cancel()

    async def _answered(self, request: Request) -> Response:
        try:
            self._check(request)
            if request.method == "DESCRIBE":
                body = await self._stream.description(request.url)
                base = request.url.rstrip("/") + "/"
                return Response(200, {"Content-Type": "application/sdp", "Content-Base": base}, body)
            return self._answers[request.method](request)
        except Refused as refused:
            return Response(refused.status, refused.headers)

    def _check(self, request: Request) -> None:
        """Refuse what no method could answer."""
        if not request.sequence:
            raise Refused(400)
        if "x-version" in request.headers:
            raise Refused(505)
        if request.method not in _METHODS:
            raise Refused(405, Allow=", ".join(_METHODS))
        if "require" in request.headers:
            raise Refused(551, Unsupported=request.headers["require"])
        if self._guard is not None and request.method != "OPTIONS":
            told = request.headers.get("authorization", "")
            if not self._guard.proves(told, request.method, request.url):
                raise Refused(401, WWW_Authenticate=self._guard.challenge)
        if request.url != "*" and request.path not in {self._stream.path, f"{self._stream.path}/track0"}:
            raise Refused(404)
        session = request.headers.get("session", "").partition(";")[0].strip()
        if session and session != self._session:
            raise Refused(454)

    def _set_up(self, request: Request) -> Response:
        if self._waiting is not None:
            raise Refused(455)
        for offer in request.headers.get("transport", "").split(","):
            parts = [part.strip() for part in offer.split(";")]
            if parts[0].upper() == "RTP/AVP/TCP" and "multicast" not in parts:
                break
        else:
            raise Refused(461)
        told = next((part[12:] for part in parts if part.startswith("interleaved=")), "0-1")
        channel = told.partition("-")[0]
        if not (channel.isascii() and channel.isdigit() and int(channel) < 255):
            raise Refused(461)
        self._channel = int(channel)
        self._session = self._session or secrets.token_hex(8)
        pair = f"{self._channel}-{self._channel + 1}"
        transport = f"RTP/AVP/TCP;unicast;interleaved={pair};ssrc={self._packets.source:08X}"
        return Response(200, {"Transport": transport, "Session": f"{self._session};timeout={IDLE_SECONDS:.0f}"})

    def _play(self, request: Request) -> Response:
        if not self._session:
            raise Refused(455)
        if self._sending is None:
            self._waiting = Waiting()
            self._sending = asyncio.create_task(self._pump(self._waiting))
        track = f"url={request.url.rstrip('/')}/track0;seq={self._packets.sequence}"
        return Response(200, {"Session": self._session, "Range": "npt=now-", "RTP-Info": track})

    def _tear_down(self, _: Request) -> Response:
        if not self._session:
            raise Refused(454)
        self._waiting = None
        return Response(200, {"Session": self._session})

    async def _pump(self, waiting: Waiting) -> None:
        """Send pictures, as fast as they are taken; ends by raising when the client takes none any more."""
        while True:
            parts, ticks = await waiting.get()
            framed = bytearray()
            for packet in self._packets.of(parts, ticks + self._offset):
                framed += b"$" + bytes([self._channel]) + len(packet).to_bytes(2, "big") + packet
            await self._write(bytes(framed))

    async def _send(self, response: Response, sequence: str) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            await self._write(response.encoded(sequence))

    async def _write(self, data: bytes) -> None:
        self._writer.write(data)
        async with asyncio.timeout(STUCK_SECONDS):
            await self._writer.drain()

    async def _end(self) -> None:
        self._waiting = None
        if self._sending is not None:
            self._sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError, TimeoutError):
                await self._sending
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await self._writer.wait_closed()
