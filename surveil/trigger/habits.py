"""What one camera has learnt of where and at what hour each label appears.

The picture is a grid of 16 by 9 cells in which things stand with the middle of their lower edge, the day has 24 hours.
For each label, hour and cell it counts the days on which the label was there at that hour, and for each hour the days
on which the camera watched. Days, not sightings: somebody who stands about for an hour, or is lost and found again
twenty times, weighs as much as one who walks by. The share of days that comes out is what people mean by "usual".

Weekdays and weekends are not kept apart: it would more than triple the time until Sundays are known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surveil.messages import Box

HOURS, ROWS, COLUMNS = 24, 9, 16
HALF_LIFE_DAYS = 14.0
"""A day weighs half as much when so many more have been watched: two weeks of new habits are the habits."""
ENOUGH_DAYS = 6.0
"""Days, so weighted, on which an hour must have been watched: a week without a gap is 6.07, and has each weekday."""
ENOUGH_VISITS = 10.0
"""Hours, so weighted, in which a label must have been seen: before, every place is new to it."""
MAX_LABELS = 40
"""Half of COCO's 80; each costs 14 kB. More are not learnt, and never unusual."""
NEXT_HOUR = 0.5
"""What happens an hour earlier or later counts half: people are not on time. Next to a cell counts whole, since a foot
point wanders by a cell."""
_NOTHING = 0.01
"""Weights below this are forgotten: more than three months without another."""
_FORMAT = 1
_DECAY = 0.5 ** (1.0 / HALF_LIFE_DAYS)
_MOST = 1.01 / (1.0 - _DECAY)
"""What a day for ever adds up to, rounding included: 20.7 days."""

_Counts = NDArray[np.float32]
_Place = tuple[int, int, int]


class Habits:
    """One camera's habits. Every call brings the camera's local time; the same calls give the same habits.

    What is learnt today counts from tomorrow on, so nothing that is being told makes itself usual. A day ends when
    another date is seen, whichever: a clock that leaps a year costs one day's weight, not the year's.
    """

    def __init__(self) -> None:
        self._day: date | None = None
        self._watched = np.zeros(HOURS, np.float32)
        self._seen: dict[str, _Counts] = {}
        self._watched_today: set[int] = set()
        self._seen_today: dict[str, set[_Place]] = {}
        self._usual: dict[str, _Counts | None] = {}

    def watch(self, now: datetime) -> None:
        """Say that the camera is watched at this local time."""
        if now.date() != self._day:
            self._end_day()
            self._day = now.date()
        self._watched_today.add(now.hour)

    def learn(self, label: str, box: Box, now: datetime) -> None:
        """Say that a label is there; often is no more than once an hour."""
        self.watch(now)
        places = self._seen_today.get(label)
        if places is None:
            if label not in self._seen and len(self._seen_today.keys() | self._seen.keys()) >= MAX_LABELS:
                return
            places = self._seen_today[label] = set()
        places.add((now.hour, *cell(box)))

    def likelihood(self, label: str, box: Box, now: datetime) -> float | None:
        """Return the share of days, 0 to 1, on which the label is about there at about this hour; None: unknown yet."""
        watched = float(self._watched[now.hour])
        usual = self._usual_places(label)
        if usual is None or watched < ENOUGH_DAYS:
            return None
        return min(1.0, float(usual[now.hour, *cell(box)]) / watched)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as what JSON can hold."""
        return {
            "format": _FORMAT,
            "grid": [HOURS, ROWS, COLUMNS],
            "day": self._day.isoformat() if self._day else None,
            "watched": [round(float(value), 4) for value in self._watched],
            "watched_today": sorted(self._watched_today),
            "seen": {label: _rows(counts) for label, counts in sorted(self._seen.items())},
            "seen_today": {label: [list(p) for p in sorted(seen)] for label, seen in sorted(self._seen_today.items())},
        }

    @classmethod
    def from_dict(cls, data: object) -> Habits:
        """Return what `to_dict` gave; raises ValueError over anything else."""
        content = _mapping(data)
        if content.get("format") != _FORMAT or content.get("grid") != [HOURS, ROWS, COLUMNS]:
            raise ValueError("habits of another format")
        habits = cls()
        day = content.get("day")
        habits._day = None if day is None else date.fromisoformat(_text(day))
        watched = [_weight(value) for value in _items(content.get("watched"), HOURS)]
        if len(watched) != HOURS:
            raise ValueError(f"habits of {len(watched)} hours")
        habits._watched = np.array(watched, np.float32)
        habits._watched_today = {_index(hour, HOURS) for hour in _items(content.get("watched_today"), HOURS)}
        for label, rows in _labels(content.get("seen")):
            counts = habits._seen[label] = np.zeros((HOURS, ROWS, COLUMNS), np.float32)
            for row in rows:
                place = _place(_items(row, 4)[:-1])
                counts[place] = _weight(row[-1])
        for label, rows in _labels(content.get("seen_today")):
            habits._seen_today[label] = {_place(_items(row, 3)) for row in rows}
        if len(habits._seen.keys() | habits._seen_today.keys()) > MAX_LABELS:
            raise ValueError("habits of too many labels")
        return habits

    def _usual_places(self, label: str) -> _Counts | None:
        """Return the days on which a label was about there at about that hour; None where it was seen too seldom."""
        if label not in self._usual:
            seen = self._seen.get(label)
            # The most frequented cell of an hour stands for the days on which that hour had it anywhere.
            enough = seen is not None and float(seen.max(axis=(1, 2)).sum()) >= ENOUGH_VISITS
            self._usual[label] = _spread(seen) if seen is not None and enough else None
        return self._usual[label]

    def _end_day(self) -> None:
        if not self._watched_today:
            return
        self._usual.clear()
        self._watched *= np.float32(_DECAY)
        self._watched[list(self._watched_today)] += 1.0
        self._seen = {label: counts * np.float32(_DECAY) for label, counts in self._seen.items()}
        for label, places in self._seen_today.items():
            counts = self._seen.setdefault(label, np.zeros((HOURS, ROWS, COLUMNS), np.float32))
            for place in places:
                counts[place] += 1.0
        for label, counts in list(self._seen.items()):
            counts[counts < _NOTHING] = 0.0
            if not counts.any():
                del self._seen[label]
        self._watched_today.clear()
        self._seen_today.clear()


def cell(box: Box) -> tuple[int, int]:
    """Return the row and column of the cell in which a box stands."""
    x, y = (box[0] + box[2]) / 2, box[3]
    return min(ROWS - 1, max(0, int(y * ROWS))), min(COLUMNS - 1, max(0, int(x * COLUMNS)))


def _spread(counts: _Counts) -> _Counts:
    """Return the counts with those of the cells around added, and half of those an hour before and after."""
    around = np.pad(counts, ((0, 0), (1, 1), (1, 1)))
    near = np.zeros_like(counts)
    for down in range(3):
        for right in range(3):
            near += around[:, down : down + ROWS, right : right + COLUMNS]
    return near + np.float32(NEXT_HOUR) * (np.roll(near, 1, axis=0) + np.roll(near, -1, axis=0))


def _rows(counts: _Counts) -> list[list[float]]:
    """Return hour, row, column and weight of each cell that has any."""
    return [
        [int(hour), int(row), int(column), round(float(counts[hour, row, column]), 4)]
        for hour, row, column in np.argwhere(counts)
    ]


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("habits must be a mapping")  # noqa: TRY004 - one error for all that is damaged
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 64:
        raise ValueError("habits with a label or date that is none")
    return value


def _items(value: object, most: int) -> Sequence[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise ValueError("habits with a list that is none or too long")
    return value


def _labels(value: object) -> list[tuple[str, Sequence[Any]]]:
    content = _mapping(value)
    if len(content) > MAX_LABELS:
        raise ValueError("habits of too many labels")
    return [(_text(label), _items(rows, HOURS * ROWS * COLUMNS)) for label, rows in content.items()]


def _index(value: object, end: int) -> int:
    if type(value) is not int or not 0 <= value < end:
        raise ValueError("habits with an hour or cell that is none")
    return value


def _place(value: Sequence[Any]) -> _Place:
    if len(value) != 3:
        raise ValueError("habits with a place that is none")
    return _index(value[0], HOURS), _index(value[1], ROWS), _index(value[2], COLUMNS)


def _weight(value: object) -> float:
    """Return a weight: finite, not negative, and no more than a day counted for ever adds up to."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= _MOST:
        raise ValueError("habits with a weight that is none")
    return float(value)
