"""A storage folder with incidents of some days ago in it, as the daemon leaves it: real rows, real files."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path

from surveil.config import Config, Storage
from surveil.deliver.wire import Envelope
from surveil.messages import Level, Risk
from surveil.outgoing import Draft, Outgoing
from surveil.store.ballast import Ballast
from surveil.store.database import Database
from surveil.store.evidence import EvidenceFolder
from surveil.store.ledger import AlertLedger
from surveil.store.retention import Retention
from surveil.testing import SimulatedClock
from surveil.trigger.identity import ulid
from tests.deliver.test_wire import ALERT

DAY = 86_400.0
ENVELOPE = Envelope(
    Config.model_validate_json('{"node": "box", "timezone": "UTC", "cameras": {"front": {"source": "rtsp://h/1"}}}')
)


class JumpingClock(SimulatedClock):
    """A SimulatedClock whose wall clock somebody may set."""

    def jump(self, seconds: float) -> None:
        self._offset += seconds


class Stock:
    """What lies in the folder."""

    def __init__(self, folder: Path, ballast: int = 0) -> None:
        self.clock = JumpingClock(wall=1_795_000_000.0)
        self.folder = folder
        self.ballast = Ballast(folder, ballast)
        self.database = Database(folder, self.ballast.give_up)
        self.database.open()
        self.ledger = AlertLedger(self.database, self.clock.wall)
        self._evidence = EvidenceFolder(folder)
        self._numbers = count(1)

    def ident(self, days_ago: float) -> str:
        """Return a new id of so many days ago."""
        return ulid(self.clock.wall() - days_ago * DAY, next(self._numbers).to_bytes(10, "big"))

    def files(self, camera: str, ident: str, size: int = 100) -> list[Path]:
        """Write the evidence of an incident."""
        paths = [self.folder / self._evidence.name(camera, ident, ending) for ending in (".jpg", ".1.jpg", ".mp4")]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x" * size)
        return paths

    def add(
        self, days_ago: float, camera: str = "front", level: Level = Level.medium, state: str = "arrived",
        ended: bool = True, size: int | None = 100, settled: float | None = None,
    ) -> str:  # fmt: skip
        """Add an incident of two messages, whose evidence has files of `size`; it was sent `settled` days ago."""
        ident = self.ident(days_ago)
        began = self.clock.wall() - days_ago * DAY
        if size is not None:
            self.files(camera, ident, size)
        alert = replace(ALERT, id=ident, camera=camera, started=began, updated=began, risk=Risk.of(level, None))
        jpg, mp4 = (self._evidence.name(camera, ident, ending) for ending in (".jpg", ".mp4"))
        last = replace(alert, rev=2, phase="end", ended=began, end_reason="quiet") if ended else replace(alert, rev=2)
        entries = []
        for seq, one in enumerate((alert, last), self.ledger.last() + 1):
            payload = ENVELOPE.message(one, seq, jpg, mp4).line().encode()
            entries.append((Draft(one, lambda _: b"", jpg, mp4), Outgoing(seq, ident, one.rev, camera, payload, jpg)))
        self.ledger.keep(entries)
        seqs = [outgoing.seq for _, outgoing in entries]
        if state != "waiting":
            dead = [(seqs[1], "forbidden")] if state == "dead" else []
            sent = AlertLedger(self.database, lambda: began if settled is None else self.clock.wall() - settled * DAY)
            sent.settle(seqs[: len(seqs) - len(dead)], dead)
        return ident

    def hold(self, ident: str) -> None:
        with self.database.transaction() as connection:
            connection.execute("UPDATE incident SET held = 1 WHERE id = ?", (ident,))

    def retention(self, **limits: float | None) -> Retention:
        """Return what sweeps it, and believes the clock; no limit but those that are named."""
        nothing = dict.fromkeys(("keep_days", "keep_days_low", "keep_gb"))
        storage = Storage.model_validate({"path": str(self.folder), **nothing, **limits})
        retention = Retention(self.database, self.ballast, storage, self.clock)
        retention._believed.now(None)
        return retention

    def rows(self) -> list[str]:
        """Return the ids of all incidents, the oldest first."""
        with self.database.reading() as connection:
            return [row[0] for row in connection.execute("SELECT id FROM incident ORDER BY started, id")]

    def shown(self) -> list[str]:
        """Return the ids that have evidence on disk, the oldest first."""
        return sorted({path.name[:26] for path in self.folder.rglob("*") if len(path.name.split(".")[0]) == 26})


def emptied(retention: Retention, passes: int = 400) -> int:
    """Sweep until nothing more goes; return how many passes took something."""
    for number in range(passes):
        swept = retention.sweep()
        if not swept.incidents and not swept.rows:
            return number
    raise AssertionError("it does not end")
