from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surveil.messages import Box
from surveil.trigger.habits import ENOUGH_DAYS, HALF_LIFE_DAYS, HOURS, MAX_LABELS, Habits, cell

DOOR: Box = (0.45, 0.3, 0.55, 0.9)
GARDEN: Box = (0.05, 0.3, 0.1, 0.5)
MONDAY = datetime(2026, 6, 1, tzinfo=ZoneInfo("Europe/Vienna"))


def live(habits: Habits, days: int, hours: tuple[int, ...] = (8, 12, 17), since: datetime = MONDAY) -> datetime:
    """Let somebody come to the door at these hours of each day; return the midnight after."""
    for day in range(days):
        for hour in range(24):
            now = since + timedelta(days=day, hours=hour)
            habits.watch(now)
            if hour in hours:
                habits.learn("person", DOOR, now)
    after = since + timedelta(days=days)
    habits.watch(after)
    return after


def test_nothing_is_known_in_the_first_week() -> None:
    habits = Habits()
    for day in range(6):
        midnight = live(habits, 1, since=MONDAY + timedelta(days=day))
        assert habits.likelihood("person", GARDEN, midnight + timedelta(hours=3)) is None
    midnight = live(habits, 1, since=MONDAY + timedelta(days=6))
    assert habits.likelihood("person", GARDEN, midnight + timedelta(hours=3)) == 0.0


def test_places_and_hours_are_known_and_their_neighbours() -> None:
    habits = Habits()
    midnight = live(habits, 14)

    def likely(box: Box, hour: int) -> float | None:
        return habits.likelihood("person", box, midnight + timedelta(hours=hour))

    assert likely(DOOR, 12) == pytest.approx(1.0)
    assert likely(DOOR, 13) == pytest.approx(0.5)
    assert likely(DOOR, 3) == 0.0
    assert likely(GARDEN, 12) == 0.0
    beside = (DOOR[0] + 0.07, DOOR[1], DOOR[2] + 0.07, DOOR[3])
    assert cell(beside) != cell(DOOR)
    assert likely(beside, 12) == pytest.approx(1.0)


def test_a_label_that_was_hardly_ever_seen_is_not_known() -> None:
    habits = Habits()
    midnight = live(habits, 20)
    habits.learn("dog", DOOR, midnight)
    midnight = live(habits, 1, since=midnight)
    assert habits.likelihood("dog", GARDEN, midnight) is None
    assert habits.likelihood("giraffe", GARDEN, midnight) is None


def test_an_hour_in_which_the_camera_was_off_is_not_known() -> None:
    habits = Habits()
    for day in range(30):
        for hour in range(7, 19):
            habits.learn("person", DOOR, MONDAY + timedelta(days=day, hours=hour))
    night = MONDAY + timedelta(days=30, hours=2)
    habits.watch(night)
    assert habits.likelihood("person", DOOR, night) is None
    assert habits.likelihood("person", GARDEN, night + timedelta(hours=10)) == 0.0


def test_one_day_counts_once_however_often_and_long() -> None:
    habits = Habits()
    midnight = live(habits, 28)
    for second in range(0, 3600, 5):
        habits.learn("person", GARDEN, midnight + timedelta(hours=3, seconds=second))
    assert habits.likelihood("person", GARDEN, midnight + timedelta(hours=3)) == 0.0  # today teaches tomorrow
    midnight = live(habits, 1, since=midnight)
    after = habits.likelihood("person", GARDEN, midnight + timedelta(hours=3))
    assert after == pytest.approx(1 / 16.3, abs=0.01)


def test_old_habits_fade_by_the_days_that_were_watched() -> None:
    habits = Habits()
    midnight = live(habits, 60)
    midnight = live(habits, round(HALF_LIFE_DAYS), hours=(20,), since=midnight)
    noon = midnight + timedelta(hours=12)
    assert habits.likelihood("person", DOOR, noon) == pytest.approx(0.5, abs=0.05)
    # A year without the camera, or a clock that is wrong by one, is no year of new habits.
    later = midnight + timedelta(days=365)
    habits.watch(later)
    assert habits.likelihood("person", DOOR, later + timedelta(hours=12)) == pytest.approx(0.5, abs=0.05)
    midnight = live(habits, 100, hours=(20,), since=midnight)
    assert habits.likelihood("person", DOOR, midnight + timedelta(hours=12)) == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("since", [datetime(2026, 3, 20), datetime(2026, 10, 16)])
def test_the_hours_are_those_of_the_clock_on_the_wall_over_a_change_of_it(since: datetime) -> None:
    zone = ZoneInfo("Europe/Vienna")
    habits = Habits()
    start = since.replace(tzinfo=zone).timestamp()
    for minute in range(0, 20 * 24 * 60, 10):
        now = datetime.fromtimestamp(start + 60 * minute, zone)
        if now.hour == 12:
            habits.learn("person", DOOR, now)
        habits.watch(now)
    assert habits.likelihood("person", DOOR, now.replace(hour=12)) == pytest.approx(1.0)
    assert habits.likelihood("person", DOOR, now.replace(hour=10)) == 0.0
    # The hour that came twice counts once, the one that did not come not at all.
    watched = habits.to_dict()["watched"]
    assert max(watched) - min(watched) < 1.0
    assert watched[2] <= watched[3]


def test_labels_are_bounded_and_those_long_gone_make_room() -> None:
    habits = Habits()
    for number in range(3 * MAX_LABELS):
        habits.learn(f"label {number}", DOOR, MONDAY)
    after = live(habits, 1, since=MONDAY + timedelta(days=1))
    assert len(habits.to_dict()["seen"]) == MAX_LABELS
    live(habits, 150, since=after)
    assert list(habits.to_dict()["seen"]) == ["person"]


def test_what_was_learnt_goes_through_json_and_on_from_there() -> None:
    habits = Habits()
    midnight = live(habits, 25)
    habits.learn("person", GARDEN, midnight)
    text = json.dumps(habits.to_dict(), allow_nan=False)
    again = Habits.from_dict(json.loads(text))
    assert again.to_dict() == habits.to_dict()
    for one in (habits, again):
        live(one, 2, since=midnight)
    for hour in range(HOURS):
        now = midnight + timedelta(days=2, hours=hour)
        for box in (DOOR, GARDEN):
            assert again.likelihood("person", box, now) == pytest.approx(
                habits.likelihood("person", box, now), abs=1e-3
            )


def test_a_camera_that_was_full_for_ever_can_be_read_again() -> None:
    habits = Habits()
    live(habits, 400, hours=tuple(range(24)))
    assert Habits.from_dict(habits.to_dict()).to_dict() == habits.to_dict()
    assert habits.to_dict()["watched"][0] > ENOUGH_DAYS


GOOD = Habits().to_dict()


@pytest.mark.parametrize(
    "damage",
    [
        {"format": 2},
        {"grid": [24, 9, 8]},
        {"day": "yesterday"},
        {"day": 5},
        {"watched": [0.0] * 23},
        {"watched": [float("nan")] + [0.0] * 23},
        {"watched": [-1.0] + [0.0] * 23},
        {"watched": [10**400] + [0.0] * 23},
        {"watched": [True] + [0.0] * 23},
        {"watched_today": [24]},
        {"watched_today": [1.0]},
        {"seen": []},
        {"seen": {"person": [[0, 0, 0, float("inf")]]}},
        {"seen": {"person": [[0, 9, 0, 1.0]]}},
        {"seen": {"person": [[0, 0, 1]]}},
        {"seen": {"person": [[]]}},
        {"seen": {"person": [[0, 0, 0, 1.0, 1.0]]}},
        {"seen": {"": []}},
        {"seen": {f"label {n}": [] for n in range(MAX_LABELS + 1)}},
        {"seen_today": {"person": [[0, 0]]}},
        {"seen_today": None},
    ],
)
def test_what_is_damaged_is_refused(damage: dict[str, Any]) -> None:
    assert Habits.from_dict(GOOD).to_dict() == GOOD
    with pytest.raises(ValueError, match=r"habits|Invalid isoformat"):
        Habits.from_dict(GOOD | damage)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
_ROWS = st.lists(st.lists(st.integers(-2, 30) | st.floats(), max_size=5), max_size=4)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([*GOOD, "other"]), _JSON | _ROWS | st.dictionaries(st.text(max_size=3), _ROWS, max_size=3))
def test_anything_at_all_is_refused_or_gives_habits_that_work(key: str, value: Any) -> None:
    try:
        habits = Habits.from_dict(GOOD | {key: value})
    except ValueError:
        return
    midnight = live(habits, 8)
    likely = habits.likelihood("person", DOOR, midnight + timedelta(hours=12))
    assert likely is None or 0.0 <= likely <= 1.0
    json.dumps(habits.to_dict(), allow_nan=False)


@settings(max_examples=100, deadline=None)
@given(_JSON)
def test_what_is_no_mapping_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="habits"):
        Habits.from_dict(value)
