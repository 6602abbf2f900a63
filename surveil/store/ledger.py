"""Alert messages on disk: numbered and kept in one transaction, until the broker has them and some time longer."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from surveil.outgoing import Draft, Entry, Outgoing
from surveil.store.database import Database

REPLAY_MOST = 10_000
"""How many messages one wish for a replay sends again at most."""


@dataclass(frozen=True, slots=True)
class LeftOpen:
    """An incident as the last run left it: its newest message, and what the VLM was asked, of use until `answer_by`.

    `snapshot` is where its picture lies, below the storage path.
    """

    payload: bytes
    answer_by: float | None
    question: str | None
    snapshot: str | None


class AlertLedger:
    """A Ledger, and what else is to be known of incidents. Any thread.

    Args:
        wall: UNIX seconds.
    """

    def __init__(self, database: Database, wall: Callable[[], float] = time.time) -> None:
        self._database = database
        self._wall = wall

    def last(self) -> int:
        """Return the highest `seq` that was ever given; raises StorageError."""
        with self._database.reading() as connection:
            return int(connection.execute("SELECT value FROM counter WHERE name = 'seq'").fetchone()[0])

    def keep(self, entries: Sequence[Entry]) -> None:
        """Keep all of these, or none; raises StorageError."""
        with self._database.transaction() as connection:
            for draft, outgoing in entries:
                _keep(connection, draft, outgoing)
            connection.execute(
                "UPDATE counter SET value = max(value, ?) WHERE name = 'seq'",
                (max((outgoing.seq for _, outgoing in entries), default=0),),
            )

    def waiting(self, after: int, most: int) -> list[Outgoing]:
        """Return the first messages after a `seq` that the broker has not acknowledged; raises StorageError."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT seq, incident, revision.rev, camera, payload, picture FROM revision "
                "JOIN incident ON incident.id = incident WHERE state = 'waiting' AND seq > ? ORDER BY seq LIMIT ?",
                (after, most),
            ).fetchall()
        return [Outgoing(*row) for row in rows]

    def settle(self, arrived: Sequence[int], dead: Sequence[tuple[int, str]]) -> None:
        """Note which have arrived, by `seq`, and which never will, with why; raises StorageError."""
        now = self._wall()
        with self._database.transaction() as connection:
            connection.executemany(
                "UPDATE revision SET state = 'arrived', settled = ?, why = NULL WHERE seq = ?",
                [(now, seq) for seq in arrived],
            )
            connection.executemany(
                "UPDATE revision SET state = 'dead', settled = ?, why = ? WHERE seq = ?",
                [(now, why, seq) for seq, why in dead],
            )

    def counts(self) -> tuple[int, int]:
        """Return how many wait, and how many are dead letters; raises StorageError."""
        with self._database.reading() as connection:
            waiting, dead = (
                int(connection.execute("SELECT count(*) FROM revision WHERE state = ?", (state,)).fetchone()[0])
                for state in ("waiting", "dead")
            )
        return waiting, dead

    def send_again(self, after: int) -> int:
        """Let what arrived after a `seq`, and is still kept, go out again; return how much. Raises StorageError."""
        with self._database.transaction() as connection:
            return connection.execute(
                "UPDATE revision SET state = 'waiting' WHERE seq IN ("
                "SELECT seq FROM revision WHERE state = 'arrived' AND seq > ? ORDER BY seq LIMIT ?)",
                (after, REPLAY_MOST),
            ).rowcount

    def revive(self, incident: str | None) -> int:
        """Let dead letters go out again, of one incident or of all; return how many. Raises StorageError."""
        with self._database.transaction() as connection:
            return connection.execute(
                "UPDATE revision SET state = 'waiting', why = NULL WHERE state = 'dead' AND ? IN (incident, '')",
                (incident or "",),
            ).rowcount

    def asked(self, incident: str, answer_by: float, question: str) -> None:
        """Keep what the VLM was asked, so that it can be asked again after a crash. Raises StorageError."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE incident SET answer_by = ?, question = ? WHERE id = ?", (answer_by, question, incident)
            )

    def left_open(self, since: float) -> list[LeftOpen]:
        """Return the incidents whose last message is still to come, and those that ended `since`, UNIX seconds.

        The oldest first. Raises StorageError.
        """
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT payload, answer_by, question, snapshot FROM incident JOIN revision "
                "ON revision.incident = incident.id AND revision.rev = incident.rev "
                "WHERE ended = 0 OR updated > ? ORDER BY started",
                (since,),
            ).fetchall()
        return [LeftOpen(*row) for row in rows]

    def judge(self, incident: str, verdict: str, by: str | None) -> bool:
        """Note what a person says of an incident; False where there is no such. Raises StorageError."""
        with self._database.transaction() as connection:
            return bool(
                connection.execute(
                    "UPDATE incident SET verdict = ?, verdict_by = ?, verdict_at = ? WHERE id = ?",
                    (verdict, by, self._wall(), incident),
                ).rowcount
            )


def _keep(connection: sqlite3.Connection, draft: Draft, outgoing: Outgoing) -> None:
    alert = draft.alert
    connection.execute(
        "INSERT INTO incident (id, camera, kind, started, updated, level, rev, ended, snapshot, clip) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, "
        "updated = excluded.updated, level = max(level, excluded.level), rev = excluded.rev, ended = excluded.ended, "
        "snapshot = coalesce(excluded.snapshot, snapshot), clip = coalesce(excluded.clip, clip)",
        (
            *(alert.id, alert.camera, alert.kind, alert.started, alert.updated, int(alert.risk.level), alert.rev),
            *(int(alert.phase == "end"), draft.snapshot, draft.clip),
        ),
    )
    connection.execute(
        "INSERT INTO revision (seq, incident, rev, payload, picture, state) VALUES (?, ?, ?, ?, ?, 'waiting')",
        (outgoing.seq, alert.id, alert.rev, outgoing.payload, outgoing.picture),
    )
