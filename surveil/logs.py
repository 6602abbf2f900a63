"""One line an event on stderr, cleaned of secrets; with priorities where journald reads along."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time

from surveil.redaction import redact

_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}

_CHATTY = (
    "amqtt", "asyncio", "httpcore", "httpx", "huggingface_hub", "matplotlib", "transformers", "transitions",
    "ultralytics",
)  # fmt: skip


class LineFormatter(logging.Formatter):
    """Formats a record as one redacted line; a traceback follows only where a fault is ours."""

    def __init__(self, journald: bool) -> None:
        stamp = "" if journald else "%(asctime)s.%(msecs)03dZ "
        super().__init__(stamp + "%(levelname)-7s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
        self._journald = journald
        self.converter = time.gmtime  # UTC, like every time we tell

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; journald gets its priority as a prefix (sd-daemon(3))."""
        line = redact(super().format(record))
        return f"<{_PRIORITY.get(record.levelno, 6)}>{line}" if self._journald else line


def set_up(level: int = logging.INFO) -> None:
    """Send all logs of this process to stderr; called once, by the command line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(journald="JOURNAL_STREAM" in os.environ))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(logging.ERROR)


class Fold:
    """Folds a flood of like events into one line a second, with their number."""

    def __init__(self, log: logging.Logger, every: float = 1.0) -> None:
        self._log = log
        self._every = every
        self._lock = threading.Lock()
        self._held: dict[str, int] = {}
        self._last: dict[str, float] = {}

    def warn(self, text: str) -> None:
        """Count one event; log `text` with the count unless it was logged within the last second."""
        self._tell(logging.WARNING, text)

    def error(self, text: str) -> None:
        """Do as `warn` does, for what is an error."""
        self._tell(logging.ERROR, text)

    def _tell(self, level: int, text: str) -> None:
        now = time.monotonic()
        with self._lock:
            held = self._held.get(text, 0) + 1
            if now - self._last.get(text, -self._every) < self._every:
                self._held[text] = held
                return
            self._held[text] = 0
            self._last[text] = now
        self._log.log(level, "%s (%d times)" if held > 1 else "%s", *((text, held) if held > 1 else (text,)))
