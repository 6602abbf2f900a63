"""Windows of the local day, over midnight and over the hours that summer time adds and takes."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from surveil.trigger.schedule import Schedule

VIENNA = ZoneInfo("Europe/Vienna")


def local(text: str, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=VIENNA, fold=fold).timestamp()


@pytest.mark.parametrize(
    ("windows", "clock", "covered"),
    [
        ((), "03:00", True),
        (("08:00-12:00",), "07:59", False),
        (("08:00-12:00",), "08:00", True),
        (("08:00-12:00",), "11:59", True),
        (("08:00-12:00",), "12:00", False),
        (("22:00-06:00",), "23:30", True),
        (("22:00-06:00",), "05:59", True),
        (("22:00-06:00",), "06:00", False),
        (("22:00-06:00",), "21:59", False),
        (("22:00-06:00", "12:00-13:00"), "12:30", True),
        (("22:00-00:00",), "23:59", True),
        (("22:00-00:00",), "00:00", False),
    ],
)
def test_windows_are_those_of_the_clock_on_the_wall(windows: tuple[str, ...], clock: str, covered: bool) -> None:
    assert Schedule(windows, "Europe/Vienna").covers(local(f"2026-11-23T{clock}:00")) is covered


def test_summer_time_moves_no_window() -> None:
    night = Schedule(("02:30-03:30",), "Europe/Vienna")
    # On 2026-03-29 the clock goes from 02:00 to 03:00: of the window only its second half is there.
    spring = [night.covers(local("2026-03-29T01:59:00") + 60 * minute) for minute in range(120)]
    assert sum(spring) == 30
    # On 2026-10-25 it goes from 03:00 back to 02:00: the half hour from 02:30 comes twice.
    autumn = [night.covers(local("2026-10-25T02:00:00") + 60 * minute) for minute in range(180)]
    assert sum(autumn) == 90
