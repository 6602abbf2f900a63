"""Secrets are values, never text: every value is known here, and cleaned from whatever leaves the process."""

from __future__ import annotations

import threading
from urllib.parse import quote

MASK = "***"

_lock = threading.Lock()
_values: set[str] = set()


def register(value: str) -> None:
    """Make `value`, and the forms it takes inside a URL, unspeakable in all output of this process."""
    if value:
        with _lock:
            _values.update({value, quote(value), quote(value, safe="")})


def redact(text: str) -> str:
    """Return `text` with every registered value masked, the longest first."""
    with _lock:
        values = sorted(_values, key=len, reverse=True)
    for value in values:
        text = text.replace(value, MASK)
    return text
