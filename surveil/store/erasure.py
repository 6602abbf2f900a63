"""Alerts and evidence erased because a person asks for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from surveil.clock import Clock
from surveil.interfaces import StorageError
from surveil.store.archive import Archive, Wanted
from surveil.store.database import Database
from surveil.store.evidence import day
from surveil.store.shedding import YOUNG_SECONDS
from surveil.store.tree import EvidenceTree, File, Listing, Shelf
from surveil.store.upkeep import Upkeep

_TOGETHER = 100


@dataclass(slots=True)
class Plan:
    """What is to be erased, and how much of what is meant stays, for which reason.

    `incidents` are camera and id; `strangers` is evidence whose alert is not in the database; `links` are in the place
    of folders, and what lies behind them is not touched.
    """

    incidents: list[tuple[str, str]] = field(default_factory=list)
    strangers: list[tuple[str, Shelf]] = field(default_factory=list)
    files: int = 0
    bytes: int = 0
    open: int = 0
    waiting: int = 0
    held: int = 0
    links: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Return whether there is nothing to erase."""
        return not self.incidents and not self.strangers

    @property
    def is_whole(self) -> bool:
        """Return whether nothing that is meant stays."""
        return not (self.open or self.waiting or self.held or self.links)


class Eraser:
    """Erases incidents, beside a daemon or without one. One thread; everything raises StorageError.

    What is open stays: the daemon is still writing it. What waits for the broker, and what is held, goes by force only.
    """

    def __init__(self, database: Database, tree: EvidenceTree, clock: Clock) -> None:
        self._database = database
        self._archive = Archive(database)
        self._upkeep = Upkeep(database, clock.monotonic())
        self._tree = tree
        self._clock = clock
        self._listed: tuple[Shelf, Listing] | None = None

    def plan(self, wanted: Wanted, force: bool) -> Plan:
        """Return what would be erased; nothing is touched."""
        plan = Plan()
        for found in self._archive.incidents(wanted):
            if not found.ended:
                plan.open += 1
            elif found.waiting and not force:
                plan.waiting += 1
            elif found.held and not force:
                plan.held += 1
            else:
                plan.incidents.append((found.camera, found.id))
        plan.incidents.sort()  # so that each folder is looked through once
        try:
            for camera, incident in plan.incidents:
                self._measure(plan, incident, self._tree.shelf(camera, incident))
            self._find_strangers(plan, wanted)
        except OSError as error:
            raise StorageError(f"{self._tree.root} cannot be looked through: {error.strerror}") from None
        return plan

    def _find_strangers(self, plan: Plan, wanted: Wanted) -> None:
        """Add the evidence whose alerts a database knew that is not there any more: people mean it as well."""
        cameras = set(wanted.cameras)
        if wanted.incidents:
            cameras = {camera for camera, _ in plan.incidents}
        everywhere = not cameras and not wanted.incidents
        shelves = [shelf for shelf in self._tree.shelves() if everywhere or shelf.camera in cameras]
        plan.links = [link for link in sorted(self._tree.links) if everywhere or link.split("/")[0] in cameras]
        if wanted.incidents:
            return
        since = wanted.since or 0.0
        until = min(self._clock.wall() - YOUNG_SECONDS, wanted.until or self._clock.wall())
        for shelf in shelves:
            listing = self._listing(shelf)
            known = self._upkeep.rows(list(listing))
            for incident in listing:
                if incident not in known and since <= day(incident).timestamp() <= until:
                    plan.strangers.append((incident, shelf))
                    self._measure(plan, incident, shelf)

    def erase(self, plan: Plan) -> None:
        """Erase it, evidence first: what is cut off is found again by the next try."""
        self._listed = None  # a person has thought about it, and much may have come meanwhile
        # Else the words of an alert stay readable in the file until something is written over them.
        with self._database.reading() as connection:
            connection.execute("PRAGMA secure_delete = ON")
        for incident, shelf in plan.strangers:
            self._remove(incident, shelf)
        for begin in range(0, len(plan.incidents), _TOGETHER):
            some = plan.incidents[begin : begin + _TOGETHER]
            for camera, incident in some:
                self._remove(incident, self._tree.shelf(camera, incident))
            self._upkeep.delete([incident for _, incident in some])
        with self._database.reading() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()  # the journal still has their words

    def _remove(self, incident: str, shelf: Shelf | None) -> None:
        if shelf is None:
            return
        try:
            files = self._files(incident, shelf)
            if files:
                self._tree.remove(shelf, files)
        except OSError as error:
            where = "/".join((str(self._tree.root), *shelf.parts))
            raise StorageError(f"{where}: the evidence of {incident} cannot be erased: {error.strerror}") from None

    def _measure(self, plan: Plan, incident: str, shelf: Shelf | None) -> None:
        files = [] if shelf is None else self._files(incident, shelf)
        plan.files += len(files)
        plan.bytes += sum(file.bytes for file in files)

    def _files(self, incident: str, shelf: Shelf) -> list[File]:
        return self._listing(shelf).get(incident, [])

    def _listing(self, shelf: Shelf) -> Listing:
        if self._listed is None or self._listed[0] != shelf:
            self._listed = shelf, self._tree.listing(shelf)
        return self._listed[1]
