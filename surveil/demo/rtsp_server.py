"""Serves one camera's H.264 on this machine over RTSP, TCP interleaved: to any client, and to several at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading

from surveil.demo import rtp
from surveil.demo.camera import AccessUnit
from surveil.demo.digest import Digest
from surveil.demo.rtsp_client import Client, Stream
from surveil.demo.rtsp_messages import LINE_BYTES

_log = logging.getLogger(__name__)
_HOST = "127.0.0.1"
MOST_CLIENTS = 32
_BUFFER_BYTES = 256 * 1024
_STOP_SECONDS = 5.0


class RtspServer:
    """One stream at rtsp://127.0.0.1:PORT/yard. `send` may be called from any thread, and never blocks.

    Args:
        port: 0 for one that is free; `url` names it after `start`.
        credentials: user name and password that clients must prove; None for none.
    """

    def __init__(self, port: int = 0, credentials: tuple[str, str] | None = None, path: str = "/yard") -> None:
        self._port = port
        self._credentials = credentials
        self._path = path
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._clients: dict[Client, asyncio.Task[None]] = {}
        self._stream: Stream | None = None
        self._socket: socket.socket | None = None
        self._stopping: asyncio.Event | None = None

    @property
    def url(self) -> str:
        """Where the stream is, without credentials."""
        return f"rtsp://{_HOST}:{self._port}{self._path}"

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._clients)

    def start(self) -> None:
        """Listen; raises OSError where the port is taken."""
        self._socket = socket.create_server((_HOST, self._port))
        self._port = int(self._socket.getsockname()[1])
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(self._loop,), name="demo-rtsp", daemon=True)
        self._thread.start()

    def send(self, unit: AccessUnit) -> None:
        """Let all who watch have a picture."""
        loop = self._loop
        if loop is None:
            return
        with contextlib.suppress(RuntimeError):  # it has been stopped meanwhile
            loop.call_soon_threadsafe(self._sent, unit)

    def stop(self) -> None:
        """Hang up on all clients, and wait for the thread's end."""
        if self._loop is None or self._thread is None or not self._thread.is_alive():
            return
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join(_STOP_SECONDS)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.run_until_complete(self._serve())
        finally:
            loop.close()

    async def _serve(self) -> None:
        self._stream, self._stopping = Stream(self._path), asyncio.Event()
        server = await asyncio.start_server(self._connected, sock=self._socket, limit=LINE_BYTES)
        try:
            await self._stopping.wait()
        finally:
            server.close()
            for task in list(self._clients.values()):
                task.cancel()
            await asyncio.gather(*self._clients.values(), return_exceptions=True)

    def _end(self) -> None:
        if self._stopping is not None:
            self._stopping.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if self._stream is None or task is None or len(self._clients) >= MOST_CLIENTS:
            writer.close()
            return
        writer.transport.set_write_buffer_limits(high=_BUFFER_BYTES)
        guard = Digest(*self._credentials) if self._credentials is not None else None
        client = Client(self._stream, guard, writer)
        self._clients[client] = task
        try:
            await client.serve(reader)
        except asyncio.CancelledError:
            _log.debug("a client was hung up on")
        except Exception:  # noqa: BLE001 - one client's fault must never become another's
            _log.exception("a client of the demo's camera could not be served")
        finally:
            del self._clients[client]

    def _sent(self, unit: AccessUnit) -> None:
        if self._stream is None:
            return
        self._stream.learn(unit)
        parts = rtp.payloads(unit)
        for client in self._clients:
            client.put(unit, parts)
