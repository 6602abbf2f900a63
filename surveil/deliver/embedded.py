"""The built-in broker: amqtt on a thread of its own, on loopback, for a box that has no other."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from typing import Any

from surveil.interfaces import BrokerError

_log = logging.getLogger(__name__)
HOST = "127.0.0.1"
MAX_CONNECTIONS = 100
_STOP_SECONDS = 3.0
_CLOSING_SECONDS = 0.1
"""What its connections get to close in: it does not wait for them itself."""


class EmbeddedBroker:
    """Owns a broker that speaks MQTT 3.1.1 to whoever is on this machine; used by one thread."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._fault: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = asyncio.Event()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)

    def start(self, timeout: float = 10.0) -> None:
        """Start the broker, and wait until it listens. Raises BrokerError."""
        self._thread.start()
        if not self._up.wait(timeout):
            raise BrokerError(f"the built-in broker did not start within {timeout:.0f} s")
        if self._fault is not None:
            raise BrokerError(f"the built-in broker cannot listen on {HOST}:{self._port}: {_reason(self._fault)}")
        _log.info("the built-in broker listens on %s:%d", HOST, self._port)

    def stop(self, timeout: float = _STOP_SECONDS) -> bool:
        """Hang up on everybody; False when that took longer than `timeout` seconds."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._over.set)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # noqa: BLE001 - whatever the broker raises is told by `start`, or in the log
            if self._up.is_set():
                _log.exception("the built-in broker ended")
            self._fault = error
        finally:
            self._up.set()

    async def _serve(self) -> None:
        from amqtt.broker import Broker

        self._loop = asyncio.get_running_loop()
        broker = Broker(_config(self._port), loop=self._loop)
        await broker.start()
        self._up.set()
        try:
            await self._over.wait()
        finally:
            await asyncio.wait_for(broker.shutdown(), _STOP_SECONDS)
            await asyncio.sleep(_CLOSING_SECONDS)


def _config(port: int) -> dict[str, Any]:
    return {
        "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{port}", "max_connections": MAX_CONNECTIONS}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }


def _reason(fault: BaseException) -> str:
    """Return why it did not start: amqtt wraps what the system said."""
    cause: BaseException | None = fault
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno).lower()
        cause = cause.__cause__ or cause.__context__
    return str(fault).splitlines()[0] if str(fault) else type(fault).__name__
