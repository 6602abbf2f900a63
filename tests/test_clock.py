from __future__ import annotations

import time

import pytest

from surveil.clock import SystemClock, utc_text


@pytest.mark.parametrize(
    ("wall", "text"),
    [(0, "1970-01-01T00:00:00.000Z"), (946728000.12, "2000-01-01T12:00:00.120Z"),
     (1763845451.9996, "2025-11-22T21:04:12.000Z")],
)  # fmt: skip
def test_utc_text_is_rfc_3339_with_milliseconds(wall: float, text: str) -> None:
    assert utc_text(wall) == text


def test_the_system_clock_is_the_systems() -> None:
    clock = SystemClock()
    assert abs(clock.monotonic() - time.monotonic()) < 1
    assert abs(clock.wall() - time.time()) < 1
