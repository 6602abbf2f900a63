"""One camera's thread: opens it, reads it, and tries again for as long as the daemon runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

from surveil.backoff import Backoff
from surveil.clock import Clock
from surveil.interfaces import AuthFailed, CaptureError, EndOfFile
from surveil.messages import CameraState, CameraStatus

_log = logging.getLogger(__name__)

STALL_SECONDS = 5.0
"""Without a frame for so long a camera is told to be stalled, whatever the library's own time-out does."""
AUTH_RETRY_SECONDS = 60.0
"""Cameras lock out who keeps trying a wrong password."""


T = TypeVar("T")
Item_co = TypeVar("Item_co", covariant=True)


class Source(Protocol[Item_co]):
    """What a FrameSource is, for whatever a camera may give: frames, or packets."""

    def open(self) -> None:
        """Connect, within the source's own time-outs."""

    def frames(self) -> Iterator[Item_co]:
        """Yield everything in order until the source ends or breaks."""

    def close(self) -> None:
        """Let go of the connection; allowed at any time, also twice."""


class Grabber(Generic[T]):
    """Owns one source on one thread: `run` is the retry policy, `run_once` the straight line that raises.

    Args:
        make_source: makes a source for one try; the event tells a source that waits to stop.
        part: what of the camera it reads, for the log, where that is not the camera itself.
    """

    def __init__(
        self,
        camera: str,
        make_source: Callable[[threading.Event], Source[T]],
        on_frame: Callable[[T], None],
        on_status: Callable[[CameraStatus], None],
        clock: Clock,
        part: str = "",
    ) -> None:
        self.camera = camera
        self._make_source = make_source
        self._on_frame = on_frame
        self._on_status = on_status
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self.run, name="-".join(filter(None, ("grab", camera, part))), daemon=True
        )
        self._label = " ".join(filter(None, (f"camera={camera}", part)))
        self._state_lock = threading.Lock()
        self._state: CameraState | None = None
        self._told: tuple[CameraState, str] | None = None
        self._last_frame = 0.0
        self._backoff = Backoff()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; follow with `join`."""
        self._stop.set()

    def join(self, timeout: float) -> bool:
        """Wait for the end; False when a blocked read outlasted `timeout` seconds (the thread is a daemon)."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def check(self) -> CameraStatus | None:
        """Return that the camera stalls, once; asked by the service, since a blocked read cannot tell it itself."""
        with self._state_lock:
            silent = self._clock.monotonic() - self._last_frame
            if self._state != "online" or silent <= STALL_SECONDS:
                return None
        return self._noted("stalled", f"no picture for {silent:.0f} s")

    def run(self) -> None:
        """Read the camera until stopped; only the end of a file ends it before."""
        self._tell("connecting")
        while not self._stop.is_set():
            try:
                self.run_once()
            except EndOfFile as end:
                self._tell("offline", str(end), over=True)
                return
            except AuthFailed as refused:
                self._tell("auth_failed", str(refused))
                self._stop.wait(AUTH_RETRY_SECONDS)
            except CaptureError as fault:
                self._tell("offline", str(fault))
                self._stop.wait(self._backoff.next())
            except Exception:  # noqa: BLE001
                # A fault of ours in one camera's thread must neither end that camera nor touch the others.
                _log.exception("%s: a fault in its thread", self._label)
                self._tell("offline", "a fault of surveil's own; see the log")
                self._stop.wait(self._backoff.next())

    def run_once(self) -> None:
        """Open the source and hand on its frames until it ends or breaks."""
        source = self._make_source(self._stop)
        try:
            source.open()
            for frame in source.frames():
                if self._stop.is_set():
                    return
                self._seen()
                self._on_frame(frame)
        finally:
            source.close()

    def _seen(self) -> None:
        with self._state_lock:
            self._last_frame = self._clock.monotonic()
            came_back = self._state != "online"
        if came_back:
            self._backoff.reset()
            self._tell("online")

    def _tell(self, state: CameraState, detail: str = "", over: bool = False) -> None:
        status = self._noted(state, detail)
        if status is not None:
            self._on_status(replace(status, over=over))

    def _noted(self, state: CameraState, detail: str) -> CameraStatus | None:
        """Log a change and return it; None when there is nothing new."""
        with self._state_lock:
            if (state, detail) == self._told:
                return None
            self._told = (state, detail)
            self._state = state
        if state != "connecting":
            level = logging.INFO if state == "online" else logging.WARNING
            _log.log(level, "%s is %s%s", self._label, state, f": {detail}" if detail else "")
        return CameraStatus(self.camera, state, self._clock.wall(), detail)
