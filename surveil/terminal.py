"""What every verb of the command line shares: results on stdout, words on stderr, and a config for those without."""

from __future__ import annotations

import contextlib
import os
import sys

from surveil.config import Config
from surveil.interfaces import SurveilError
from surveil.redaction import redact

EX_FAULT = 1


class OutputError(SurveilError):
    """Results cannot be written to stdout."""


def write(text: str) -> None:
    """Write one result to stdout, at once: whoever reads along sees an alert when it is there."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except OSError as error:
        # What could not be written stays in Python's buffer, and would be tried again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutputError(f"the results cannot be written: {(error.strerror or str(error)).lower()}") from None


def say(text: str) -> None:
    """Write one line to stderr, cleaned of secrets."""
    with contextlib.suppress(OSError):  # nobody is left to hear it
        sys.stderr.write(f"{redact(text)}\n")


def bare_config() -> Config:
    """Return the defaults, for verbs that need no camera."""
    return Config.model_validate_json('{"cameras": {"bench": {"source": "bench"}}}')
