from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from surveil.commands import SwitchCommand
from surveil.store.database import Database
from surveil.store.switches import SwitchTable
from surveil.switches import Switches
from surveil.testing import SimulatedClock

Run = Callable[[], Switches]


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def run(tmp_path: Path, clock: SimulatedClock) -> Run:
    """Return what begins another run on the same database."""

    def begin() -> Switches:
        database = Database(tmp_path)
        database.open()
        switches = Switches(["front", "back"], SwitchTable(database), clock)
        switches.load({"party"})
        return switches

    return begin


def test_what_is_off_stays_off_over_a_restart(run: Run) -> None:
    first = run()
    assert (first.off("front"), first.mode) == ([], "home")
    first.turn(SwitchCommand("front", "alerts", on=False))
    first.turn(SwitchCommand("front", "detect", on=False))
    first.turn(SwitchCommand("front", "detect", on=True))
    first.go_into("party")
    second = run()
    assert (second.off("front"), second.off("back"), second.mode) == (["alerts"], [], "party")


def test_off_for_a_time_ends_also_over_a_restart(run: Run, clock: SimulatedClock) -> None:
    run().turn(SwitchCommand("back", "assess", on=False, seconds=60))
    clock.advance(40)
    second = run()
    assert (second.off("back"), second.over()) == (["assess"], [])
    clock.advance(20)
    assert second.over() == [SwitchCommand("back", "assess", on=True)]
    assert run().off("back") == []


def test_a_clock_that_is_set_does_not_move_the_end_of_a_time(run: Run, clock: SimulatedClock) -> None:
    switches = run()
    switches.turn(SwitchCommand("back", "assess", on=False, seconds=60))
    clock._offset += 86_400
    clock.advance(30)
    assert switches.over() == []


def test_a_disk_that_takes_nothing_is_told_and_the_switch_turned(
    tmp_path: Path, clock: SimulatedClock, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(tmp_path)
    database.open()
    database.close()
    switches = Switches(["front"], SwitchTable(database), clock)
    switches.turn(SwitchCommand("front", "alerts", on=False))
    switches.go_into("away")
    assert (switches.off("front"), switches.mode) == (["alerts"], "away")
    assert "would not outlive a restart" in caplog.text
