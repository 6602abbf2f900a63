from __future__ import annotations

import logging

import pytest

from surveil.logs import Fold, LineFormatter


def test_a_line_has_time_level_place_and_text() -> None:
    record = logging.LogRecord("surveil.x", logging.INFO, __file__, 1, "camera=%s is online", ("front",), None)
    record.created, record.msecs = 946728000.0, 7.0
    line = LineFormatter(journald=False).format(record)
    assert line == "2000-01-01T12:00:00.007Z INFO    surveil.x: camera=front is online"


def test_a_flood_becomes_one_line_with_its_number(caplog: pytest.LogCaptureFixture) -> None:
    fold = Fold(logging.getLogger("flood"), every=3600)
    for _ in range(100):
        fold.warn("camera=a a frame was dropped")
    fold.warn("camera=b a frame was dropped")
    assert [record.getMessage() for record in caplog.records] == [
        "camera=a a frame was dropped",
        "camera=b a frame was dropped",
    ]
    now = Fold(logging.getLogger("flood"), every=0)
    now._held["again"] = 41
    now.warn("again")
    assert caplog.records[-1].getMessage() == "again (42 times)"
