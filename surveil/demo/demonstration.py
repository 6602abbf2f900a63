"""`surveil demo`: the whole main job on one machine, with nothing faked but the yard that the camera films."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from surveil.clock import SystemClock
from surveil.demo import household, weights
from surveil.demo.camera import YardCamera
from surveil.demo.daemon import Daemon
from surveil.demo.rtsp_server import RtspServer
from surveil.demo.screen import Screen
from surveil.demo.subscriber import Message, Subscriber
from surveil.interfaces import StorageError

SEED = 7
FOLDER = Path("surveil-demo")
PATIENCE_SECONDS = 15.0
"""An assessment that is under way when the time is over is waited for this long."""
_LOOK_SECONDS = 0.2


class Demonstration:
    """One run of the demo, from its camera to its subscriber; `run` blocks.

    Args:
        seconds: how long; None until Ctrl-C.
        folder: where the config, the daemon's log and the pictures go.
        tell: is given each alert message as it comes back from the broker, on another thread; None shows a table.
    """

    def __init__(self, seconds: float | None, folder: Path, tell: Callable[[str], None] | None) -> None:
        self._seconds = seconds
        self._folder = folder
        self._tell = tell
        self._clock = SystemClock()

    def run(self) -> bool:
        """Run to the end; return whether at least one alert was assessed. Raises SurveilError."""
        weights.check()
        config = self._prepared()
        with contextlib.ExitStack() as stack:
            port = _free_port()
            server = RtspServer()
            server.start()
            stack.callback(server.stop)
            household.write(config, household.config(server.url, port, self._folder))
            subscriber = Subscriber(port, household.NODE, self._on_alert)
            daemon = Daemon(config, self._folder / "daemon.log")
            stack.callback(subscriber.stop)
            stack.callback(daemon.stop)
            daemon.start()
            subscriber.start()
            camera = YardCamera(SEED, self._clock, server.send)
            camera.start()
            stack.callback(camera.stop)
            with self._screen(subscriber) as screen, contextlib.suppress(KeyboardInterrupt):
                self._watch(daemon, subscriber)
            daemon.stop()  # the broker is in it: what it has still to tell is told before it ends
            if screen is not None:
                screen.farewell(config)
            return subscriber.received.assessed

    def _prepared(self) -> Path:
        """Make the folder; return where the config goes. Raises StorageError."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            config = self._folder / "config.yaml"
            config.touch()
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise StorageError(f"{self._folder} cannot be written: {why}; start the demo where it can") from None
        return config

    @contextlib.contextmanager
    def _screen(self, subscriber: Subscriber) -> Iterator[Screen | None]:
        if self._tell is not None:
            yield None
            return
        with Screen(subscriber.received, (self._folder / "pictures").resolve()) as screen:
            yield screen

    def _watch(self, daemon: Daemon, subscriber: Subscriber) -> None:
        """Wait until the time is over and no assessment is under way. Raises DaemonEnded."""
        began = self._clock.monotonic()
        until = None if self._seconds is None else began + self._seconds
        while True:
            daemon.check()
            over = 0.0 if until is None else self._clock.monotonic() - until
            if over > 0 and (over > PATIENCE_SECONDS or not subscriber.received.pending):
                return
            time.sleep(_LOOK_SECONDS)

    def _on_alert(self, message: Message) -> None:
        if self._tell is not None:
            self._tell(json.dumps(message))


def _free_port() -> int:
    """Return a TCP port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


__all__ = ["FOLDER", "Demonstration"]
