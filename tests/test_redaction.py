from __future__ import annotations

import logging
from urllib.parse import quote

import pytest

from surveil.logs import LineFormatter
from surveil.redaction import MASK, redact, register

SHAPES = ["simple-word", "p@ss:w/rd#1", "per%cent?x=1", "with space", "ümläut-ß", "a&b=c;d", "quo'te\"s", "back\\slash"]


@pytest.mark.parametrize("secret", SHAPES)
def test_every_form_of_a_secret_is_masked(secret: str) -> None:
    register(secret)
    for form in (secret, quote(secret), quote(secret, safe="")):
        assert redact(f"rtsp://user:{form}@host/cam failed") == f"rtsp://user:{MASK}@host/cam failed"


def test_an_empty_secret_masks_nothing() -> None:
    register("")
    assert redact("abc") == "abc"


def test_logs_and_tracebacks_are_masked() -> None:
    register("hunter2-in-a-trace")
    try:
        raise ValueError("cannot open rtsp://u:hunter2-in-a-trace@h/1")
    except ValueError:
        import sys

        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "oh: %s", ("hunter2-in-a-trace",), sys.exc_info())
    line = LineFormatter(journald=True).format(record)
    assert "hunter2" not in line
    assert line.startswith("<3>")
    assert "Traceback" in line
