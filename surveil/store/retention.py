"""What is kept no longer: the oldest evidence, then the oldest alerts, by age and size, a little at a time."""

from __future__ import annotations

import logging
import math
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from surveil.clock import Clock
from surveil.config import Storage
from surveil.interfaces import StorageError
from surveil.logs import Fold
from surveil.store.ballast import Ballast
from surveil.store.believed import BelievedTime
from surveil.store.database import Database
from surveil.store.evidence import day
from surveil.store.shedding import YOUNG_SECONDS, Budget, Reasons, Row, Shortage, date_of
from surveil.store.tree import EvidenceTree, File, Holding, Listing, Shelf
from surveil.store.upkeep import DAY_SECONDS, Upkeep

_log = logging.getLogger(__name__)
_fold = Fold(_log)

PACE_SECONDS = 10.0
"""How often the room on the disk is looked at."""
SOON_SECONDS = 60.0
"""From one pass to the next while one has left something to be done, or the disk is short."""
LATER_SECONDS = 600.0
SHARE = 20
"""No pass takes more than this part of what is kept: whatever is wrong, people have time to see it."""
MOST_FILES = 500
MOST_ROWS = 500
_TOGETHER = 100
"""So many alerts are deleted in one transaction: those that come wait for it."""
SHORT_BYTES = 200_000_000
"""With less room the oldest evidence goes: below 128 MiB clips are given up, and those to come are worth more."""
STRANGE_HOURS = 48
"""A database must have been in use for so long before evidence that it does not know goes for its age."""


@dataclass(slots=True)
class Swept:
    """What one pass took away; `more` when it left something for the next."""

    incidents: int = 0
    bytes: int = 0
    rows: int = 0
    why: set[str] = field(default_factory=set)
    more: bool = False


class Retention:
    """Sweeps the storage folder on a thread of its own, since deleting may block.

    Nothing is taken of an incident that is open or held, no alert that the broker has not got, and for its age no
    picture of one.

    Args:
        database: where alerts are kept.
        ballast: is tended here.
        storage: where all lies, and for how long.
        clock: both times.
    """

    def __init__(self, database: Database, ballast: Ballast, storage: Storage, clock: Clock) -> None:
        self._database = database
        self._ballast = ballast
        self._storage = storage
        self._clock = clock
        self._folder = Path(storage.path)
        self._tree = EvidenceTree(self._folder)
        self._upkeep = Upkeep(database, clock.monotonic())
        self._believed = BelievedTime(clock)
        self._shortage = Shortage()
        self._swept_at = clock.monotonic()
        self._more = False
        self._gone: list[str] = []
        self._linked: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.run, name="retention", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        try:
            # Before the first alert of this run: one that a wrong clock has dated must not vouch for it.
            self._believed.now(self._upkeep.newest())
        except StorageError as error:
            _log.warning("how far the clock may be believed is seen later: %s", error)
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """End it after the incident that it is at, at most `timeout` seconds; False when it did not."""
        self._stop.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def run(self) -> None:
        """Look after the disk until stopped."""
        while not self._stop.wait(PACE_SECONDS):
            self.run_once()

    def run_once(self) -> None:
        """Tend the ballast; sweep when it is time, or sooner where the disk is short."""
        try:
            self._ballast.tend()
        except OSError as error:
            _fold.warn(f"no room can be kept back for a full disk: {error}")
        try:
            ago = self._clock.monotonic() - self._swept_at
            if ago >= LATER_SECONDS or (ago >= SOON_SECONDS and (self._more or self._missing_bytes() > 0)):
                self._swept_at = self._clock.monotonic()
                self._more = self.sweep().more
        except (OSError, StorageError) as error:
            _fold.warn(f"what is old cannot be looked through or deleted: {error}")
        except Exception:  # noqa: BLE001 - the disk must be looked after again in a moment
            _log.exception("a fault in retention")

    def sweep(self) -> Swept:
        """Take away what is too old or too much, within the bounds of one pass. Raises StorageError, OSError."""
        self._note_gone()
        shelves = self._tree.shelves()
        self._tell_links()
        there = sum(map(self._tree.holding, shelves), Holding())
        now = self._believed.now(self._upkeep.newest())
        reasons = self._reasons(there, now)
        swept = Swept()
        try:
            self._sweep_evidence(shelves, reasons, there, swept)
        finally:
            self._note_gone()
        if now is not None:
            self._sweep_rows(now, swept)
        self._database.shrink()
        if swept.incidents or swept.rows:
            _log.info(
                "the evidence of %d incidents, %.1f MB, and %d alerts are deleted: %s",
                *(swept.incidents, swept.bytes / 1e6, swept.rows, ", ".join(sorted(swept.why))),
            )
        return swept

    def _reasons(self, there: Holding, now: float | None) -> Reasons:
        storage, limit = self._storage, self._most_bytes()
        too_much = there.bytes + self._database.used_bytes() - limit
        shed = self._shortage.to_shed(self._missing_bytes(), there.bytes)
        excess_is = "keep_gb" if too_much >= shed else "the disk is nearly full"
        reasons = Reasons(self._clock.wall() - YOUNG_SECONDS, max(too_much, shed), excess_is)
        hours = self._upkeep.hours(self._clock.monotonic())
        if now is not None:
            days = storage.keep_days or math.inf
            reasons.before = now - days * DAY_SECONDS
            reasons.low_before = now - min(days, storage.keep_days_low or math.inf) * DAY_SECONDS
            reasons.strange_before = reasons.before if hours >= STRANGE_HOURS else -math.inf
        return reasons

    def _most_bytes(self) -> float:
        return math.inf if self._storage.keep_gb is None else self._storage.keep_gb * 1e9

    def _missing_bytes(self) -> float:
        """Return how much room the disk lacks; at most 0 where there is enough."""
        usage = shutil.disk_usage(self._folder)
        return min(SHORT_BYTES, usage.total / 10) - usage.free

    def _tell_links(self) -> None:
        for link in sorted(self._tree.links - self._linked):
            _log.warning("%s/%s is a link: what lies there is neither counted nor deleted", self._folder, link)
        self._linked |= self._tree.links

    # Evidence.

    def _sweep_evidence(self, shelves: list[Shelf], reasons: Reasons, there: Holding, swept: Swept) -> None:
        budget = Budget(max(1, there.incidents // SHARE), there.bytes // SHARE, MOST_FILES)
        tidy_before = date_of(self._clock.wall() - 2 * DAY_SECONDS)
        for date, of_day in groupby(shelves, lambda shelf: shelf.date):
            if not reasons.may_concern(date):
                return
            shelves_of_day = list(of_day)
            for incident, shelf, files, row in self._oldest(shelves_of_day):
                why = reasons.to_go(day(incident).timestamp(), row)
                if why is None:
                    continue
                size = sum(file.bytes for file in files)
                if self._stop.is_set() or not budget.allows(size, len(files)):
                    swept.more = True
                    return
                if self._removed(shelf, files):
                    budget.take(size, len(files))
                    reasons.excess -= size
                    self._gone.append(incident)
                    swept.incidents, swept.bytes = swept.incidents + 1, swept.bytes + size
                    swept.why.add(why)
            for shelf in shelves_of_day:
                self._tree.tidy(shelf, tidy_before)

    def _oldest(self, shelves: list[Shelf]) -> Iterator[tuple[str, Shelf, list[File], Row | None]]:
        """Yield what lies on one day's shelves, in the order in which it began, with what the database knows."""
        found = sorted(
            ((incident, shelf, files) for shelf in shelves for incident, files in self._tree.listing(shelf).items()),
            key=lambda one: one[:2],
        )
        for begin in range(0, len(found), _TOGETHER):
            some = found[begin : begin + _TOGETHER]
            rows = self._upkeep.rows([incident for incident, _, _ in some])
            for incident, shelf, files in some:
                yield incident, shelf, files, rows.get(incident)

    def _removed(self, shelf: Shelf, files: list[File]) -> bool:
        try:
            self._tree.remove(shelf, files)
        except OSError as error:
            _fold.warn(f"old evidence in {self._folder}/{'/'.join(shelf.parts)} cannot be deleted: {error.strerror}")
            return False
        return True

    def _note_gone(self) -> None:
        """Let the database know what is gone; after a crash before that, rows name files that are not there."""
        if self._gone:
            self._upkeep.without_evidence(self._gone)
            self._gone.clear()

    # Alerts.

    def _sweep_rows(self, now: float, swept: Swept) -> None:
        """Delete alerts that are too old, once their evidence has gone; where they alone are too much, the oldest."""
        kept_after = now - (self._storage.keep_days or math.inf) * DAY_SECONDS
        before, why = kept_after, "age"
        if self._database.used_bytes() > self._most_bytes():
            before, why = now - DAY_SECONDS, "keep_gb"
        most = min(MOST_ROWS, max(1, self._upkeep.count() // SHARE))
        due = self._bare(self._upkeep.over(before, kept_after, now, 4 * MOST_ROWS))
        swept.more = swept.more or len(due) > most
        for begin in range(0, min(most, len(due)), _TOGETHER):
            if self._stop.is_set():
                return
            some = due[begin : min(most, begin + _TOGETHER)]
            self._upkeep.delete(some)
            swept.rows += len(some)
            swept.why.add(why)

    def _bare(self, incidents: list[tuple[str, str]]) -> list[str]:
        """Return those whose evidence has gone: as long as there is some, its row says what it is."""
        listings: dict[Shelf, Listing] = {}
        bare = []
        for incident, camera in incidents:
            shelf = self._tree.shelf(camera, incident)
            if shelf is not None and shelf not in listings:
                listings[shelf] = self._tree.listing(shelf)
            if shelf is None or incident not in listings[shelf]:
                bare.append(incident)
        return bare
