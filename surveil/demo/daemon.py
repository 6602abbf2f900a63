"""The demo's daemon: `surveil run` as a process of its own, as systemd would start it, with its log in a file."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from pathlib import Path

from surveil.interfaces import StorageError, SurveilError

STOP_SECONDS = 15.0


class DaemonEnded(SurveilError):
    """The daemon ended by itself; its log says why."""


class Daemon:
    """Runs from `start` to `stop`; used by one thread."""

    def __init__(self, config: Path, log: Path) -> None:
        self._config = config
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it. Raises StorageError where its log cannot be written."""
        command = [sys.executable, "-m", "surveil", "run", "--config", str(self._config)]
        try:
            with self._log.open("wb") as log:
                # A session of its own: a Ctrl-C is for the demo, which then stops the daemon as systemd would.
                self._process = subprocess.Popen(  # noqa: S603 - our own program
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
        except OSError as error:
            raise StorageError(f"{self._log} cannot be written: {(error.strerror or str(error)).lower()}") from None

    def check(self) -> None:
        """Raise DaemonEnded, with the last line of its log, where it runs no more."""
        if self._process is not None and self._process.poll() is not None:
            raise DaemonEnded(f"the daemon ended: {self._last_line()} ({self._log})")

    def stop(self) -> None:
        """Stop it with SIGTERM; one that does not listen is killed."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)

    def _last_line(self) -> str:
        with contextlib.suppress(OSError):
            lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            if lines:
                return lines[-1][:300]
        return "it said nothing"
