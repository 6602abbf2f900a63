from __future__ import annotations

import pytest

from surveil.store.believed import BelievedTime
from tests.store.stock import DAY, JumpingClock

NOW = 1_795_000_000.0


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock(wall=NOW)


def test_a_clock_that_goes_on_is_believed_however_quiet_it_is(clock: JumpingClock) -> None:
    believed = BelievedTime(clock)
    assert believed.now(NOW - 60) == NOW
    for _ in range(30):
        clock.advance(DAY)
        assert believed.now(NOW - 60) == clock.wall()
    clock.jump(3600)  # daylight saving done wrong, a time server after a week without
    assert believed.now(NOW - 60) == clock.wall()


def test_nothing_on_disk_is_nothing_to_doubt_by(clock: JumpingClock) -> None:
    assert BelievedTime(clock).now(None) == NOW


@pytest.mark.parametrize("seconds", [2 * DAY, -2 * DAY, 4000 * DAY])
def test_a_jump_is_believed_when_it_has_held_for_an_hour(clock: JumpingClock, seconds: float) -> None:
    believed = BelievedTime(clock)
    newest = NOW - 5000 * DAY
    believed.now(None)
    clock.jump(seconds)
    assert believed.now(newest) is None
    clock.advance(3599)
    assert believed.now(newest) is None
    clock.advance(1)
    assert believed.now(newest) == clock.wall()


def test_a_clock_that_goes_on_jumping_is_never_believed_and_one_that_comes_back_at_once(clock: JumpingClock) -> None:
    believed = BelievedTime(clock)
    believed.now(None)
    for _ in range(10):
        clock.jump(10 * DAY)
        clock.advance(3000)
        assert believed.now(None) is None
    clock.jump(-100 * DAY)
    assert believed.now(None) == clock.wall()


def test_after_a_start_the_newest_alert_says_when_it_should_be(
    clock: JumpingClock, caplog: pytest.LogCaptureFixture
) -> None:
    believed = BelievedTime(clock)
    assert believed.now(NOW - 3 * DAY) is None
    assert believed.now(NOW) is None  # an alert of this very minute is dated by the clock in doubt
    clock.advance(3600)
    assert believed.now(NOW) == clock.wall()
    assert len(caplog.records) == 1


def test_a_clock_before_the_newest_alert_is_not_believed_and_the_way_out_is_told_once(
    clock: JumpingClock, caplog: pytest.LogCaptureFixture
) -> None:
    believed = BelievedTime(clock)
    assert believed.now(NOW + 1) is None
    assert "erase" not in caplog.text
    believed = BelievedTime(clock)
    for _ in range(100):
        assert believed.now(NOW + 100 * DAY) is None
        clock.advance(600)
    assert caplog.text.count("surveil alerts delete --from") == 1
    assert believed.now(NOW) == clock.wall()
