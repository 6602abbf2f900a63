"""What may go, and how much of it in one pass: decided without touching anything."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from datetime import UTC, datetime

_log = logging.getLogger(__name__)
YOUNG_SECONDS = 3600.0
"""Evidence without an alert may be of one that is still on its way to the database."""


@dataclass(frozen=True, slots=True)
class Row:
    """What the database knows of an incident; `low` is below medium, `waiting` is for the broker."""

    updated: float
    low: bool
    ended: bool
    held: bool
    waiting: bool


@dataclass(slots=True)
class Reasons:
    """Why evidence goes: it is of before a moment, UNIX seconds, or there are `excess` bytes too many.

    `low_before` is for incidents below medium, `strange_before` for what the database does not know; of the latter
    nothing goes that is not older than `young`.
    """

    young: float
    excess: float
    excess_is: str
    before: float = -math.inf
    low_before: float = -math.inf
    strange_before: float = -math.inf

    def may_concern(self, date: str) -> bool:
        """Return whether evidence of a day such as `2026/11/22`, or of one after it, may have to go."""
        newest = max(self.before, self.low_before, self.strange_before)
        return self.excess > 0 or (newest > 0 and date <= date_of(newest))

    def to_go(self, began: float, row: Row | None) -> str | None:
        """Return why the evidence of an incident goes, in a word; None where it stays."""
        if row is None:
            if began < self.strange_before:
                return "age"
            return self.excess_is if self.excess > 0 and began < self.young else None
        if row.held or not row.ended:
            return None
        if not row.waiting and row.updated < (self.low_before if row.low else self.before):
            return "age"
        return self.excess_is if self.excess > 0 else None


@dataclass(slots=True)
class Budget:
    """What one pass may still take; the first thing always, or else what is large would never go."""

    incidents: int
    bytes: int
    files: int
    untouched: bool = True

    def allows(self, size: int, files: int) -> bool:
        """Return whether an incident of so many bytes and files may go."""
        return self.untouched or (self.incidents >= 1 and self.bytes >= size and self.files >= files)

    def take(self, size: int, files: int) -> None:
        """Count one that has gone."""
        self.untouched = False
        self.incidents, self.bytes, self.files = self.incidents - 1, self.bytes - size, self.files - files


class Shortage:
    """While the disk has too little room, evidence goes for it: never more than half of what there was.

    Where that does not help, something else fills the disk, and what is left is worth more than its room.
    """

    def __init__(self) -> None:
        self._began_with: int | None = None

    def to_shed(self, missing: float, there: int) -> float:
        """Return how many bytes go of the `there` that are kept, where `missing` are; at most 0: none."""
        if missing <= 0:
            self._began_with = None
            return missing
        if self._began_with is None:
            self._began_with = there
        left = there - self._began_with / 2
        if left <= 0:
            _log.error(
                "the disk lacks %.0f MB, and half of the evidence has gone for it: something else fills it",
                missing / 1e6,
            )
        else:
            _log.warning("the disk lacks %.0f MB: the oldest evidence goes", missing / 1e6)
        return min(missing, left)


def date_of(wall: float) -> str:
    """Return the day of UNIX seconds, UTC, as evidence lies under it."""
    return f"{datetime.fromtimestamp(wall, UTC):%Y/%m/%d}"
