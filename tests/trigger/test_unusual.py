from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from surveil.interfaces import Rule
from surveil.messages import Box, Finding, Level, Observation, Track
from surveil.testing import frame, track
from surveil.trigger.habits import Habits
from surveil.trigger.unusual import UNUSUAL_SECONDS, UnusualRule

ZONE = "Europe/Vienna"
DOOR: Box = (0.45, 0.3, 0.55, 0.9)
GARDEN: Box = (0.05, 0.3, 0.1, 0.5)
START = datetime(2026, 3, 1, tzinfo=ZoneInfo(ZONE)).timestamp()
DAY = 86_400.0


def everybody(observation: Observation) -> Iterable[Track]:
    return observation.tracks


def rule(habits: Habits, *labels: str) -> Rule:
    return UnusualRule("unusual", Level.low, labels, everybody, habits, ZONE)


def seen(seconds: float, *tracks: Track) -> Observation:
    """Return what was seen so many seconds after the start, on both clocks."""
    return Observation(replace(frame(seconds), wall=START + seconds), tracks)


def watch(watched: Rule, begin: float, tracks: tuple[Track, ...], seconds: float = 5.0) -> list[Finding]:
    return [f for n in range(int(seconds * 5)) for f in watched.evaluate(seen(begin + n / 5, *tracks))]


def live(watched: Rule, days: int, hour: float = 12.0, since: int = 0) -> list[Finding]:
    """Let somebody pass the door once a day; the camera is on all day."""
    found = []
    for day in range(since, since + days):
        for quarter in range(96):
            found += watched.evaluate(seen(day * DAY + quarter * 900))
            if quarter == int(hour * 4):
                found += watch(watched, day * DAY + hour * 3600 + 60, (track(day, box=DOOR),), 3.0)
    return found


def test_weeks_of_habit_say_nothing_and_what_breaks_them_is_told() -> None:
    habits = Habits()
    watched = rule(habits)
    assert not live(watched, 21)
    assert not watch(watched, 21 * DAY + 12.5 * 3600, (track(900, box=DOOR),))

    found = watch(watched, 21 * DAY + 2.25 * 3600, (track(901, box=DOOR),))
    assert len(found) == 5 * 5 - UNUSUAL_SECONDS * 5
    assert found[0].reason == "a person where none has been seen at this hour (02:15)"
    assert (found[0].rule, found[0].kind, found[0].severity) == ("unusual", "anomaly", Level.low)
    assert found[0].tracks == {901}
    assert found[0].seconds == UNUSUAL_SECONDS

    (first, *_) = watch(watched, 21 * DAY + 12.5 * 3600, (track(902, box=GARDEN),))
    assert first.reason == "a person where none has been seen at this hour (12:30)"


def test_nothing_is_told_before_enough_is_known() -> None:
    watched = rule(Habits())
    assert not watch(watched, 0.0, (track(1, box=GARDEN),))
    live(watched, 5)
    assert not watch(watched, 5 * DAY + 7200, (track(901, box=GARDEN),))


def test_what_is_told_of_does_not_make_itself_usual() -> None:
    watched = rule(Habits())
    live(watched, 21)
    night = 21 * DAY + 23 * 3600
    # From eleven over midnight, when what happened today begins to count, to one: it is one and the same visit.
    found = [watched.evaluate(seen(night + 10 * n, track(901, box=GARDEN))) for n in range(720)]
    assert all(found[1:])
    # It comes on the next nights too: one is not a habit, and in time it is.
    told = [
        day for day in range(22, 32)
        if live(watched, 1, since=day) is not None
        and watch(watched, day * DAY + 23.4 * 3600, (track(1000 + day, box=GARDEN),))
    ]  # fmt: skip
    assert told[0] == 22
    assert told[-1] < 26


def test_seldom_is_another_word_than_never() -> None:
    watched = rule(Habits())
    live(watched, 21)
    watch(watched, 21 * DAY + 3600, (track(901, box=GARDEN),))
    live(watched, 1, since=22)
    (first, *_) = watch(watched, 23 * DAY + 3600, (track(902, box=GARDEN),))
    assert first.reason == "a person where one is seldom seen at this hour (01:00)"


def test_only_its_labels_are_learnt_and_told() -> None:
    habits = Habits()
    watched = rule(habits, "car")
    live(watched, 21)
    assert not watch(watched, 21 * DAY, (track(901, box=GARDEN),))
    assert not habits.to_dict()["seen"]


def test_a_box_that_is_out_of_place_for_a_moment_is_not_told() -> None:
    watched = rule(Habits())
    live(watched, 21)
    found = []
    for n in range(50):
        box = (0.45, 0.1, 0.55, 0.3) if n % 5 == 4 else DOOR
        found += watched.evaluate(seen(21 * DAY + 12 * 3600 + n / 5, track(901, box=box)))
    assert not found


def test_habits_that_were_kept_go_on_where_they_were() -> None:
    habits = Habits()
    live(rule(habits), 21)
    again = rule(Habits.from_dict(habits.to_dict()))
    assert watch(again, 21 * DAY + 7200, (track(901, box=GARDEN),))
    assert not watch(again, 21 * DAY + 12 * 3600, (track(902, box=DOOR),))


def test_the_hour_is_the_clocks_on_the_wall_after_it_was_changed() -> None:
    watched = rule(Habits())
    live(watched, 28)  # until the night of 29 March 2026, in which the clock goes from two to three
    assert not live(watched, 7, hour=11.0, since=28)  # noon on the wall is an hour earlier since
    (first, *_) = watch(watched, 35 * DAY + 3600, (track(901, box=DOOR),))
    assert first.reason.endswith("(02:00)")
