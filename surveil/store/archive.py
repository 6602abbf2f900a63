"""What the database holds, for people who ask: found by camera, time, risk and feedback; held, and sent again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from surveil.clock import utc_text
from surveil.interfaces import SurveilError
from surveil.messages import Level
from surveil.store.database import Database
from surveil.store.ledger import AlertLedger

_PAGE = 500
Feedback = Literal["true", "false", "none"]
State = Literal["waiting", "arrived", "dead"]


class NoSuchAlert(SurveilError):
    """There is no alert of that id."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which incidents are meant; what is None, or empty, leaves all.

    Args:
        cameras: those of these.
        since, until: UNIX seconds; incidents that were there at some moment between them.
        level: which reached this at least.
        feedback: what people say of them; `none` for those that nobody has judged.
        state: with a message that stands so.
        incidents: those of these ids.
    """

    cameras: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None
    level: Level | None = None
    feedback: Feedback | None = None
    state: State | None = None
    incidents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident as it stands, with its newest message; `level` is the highest it ever had."""

    id: str
    camera: str
    kind: str
    started: float
    updated: float
    level: Level
    rev: int
    ended: bool
    held: bool
    snapshot: str | None
    clip: str | None
    verdict: str | None
    verdict_by: str | None
    verdict_at: float | None
    waiting: int
    arrived: int
    dead: int
    payload: bytes

    @property
    def message(self) -> dict[str, Any] | None:
        """The newest message; None where it is damaged."""
        return _message(self.payload)

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON says of it."""
        feedback = None
        if self.verdict is not None and self.verdict_at is not None:
            feedback = {"verdict": self.verdict, "by": self.verdict_by, "at": utc_text(self.verdict_at)}
        return {
            "id": self.id,
            "camera": self.camera,
            "kind": self.kind,
            "started": utc_text(self.started),
            "updated": utc_text(self.updated),
            "level": self.level.name,
            "rev": self.rev,
            "ended": self.ended,
            "held": self.held,
            "feedback": feedback,
            "delivery": {"waiting": self.waiting, "arrived": self.arrived, "dead": self.dead},
            "snapshot": self.snapshot,
            "clip": self.clip,
            "message": self.message,
        }


@dataclass(frozen=True, slots=True)
class Revision:
    """One message of an incident, and what became of it; `settled` is UNIX seconds, `why` is told of dead letters."""

    seq: int
    rev: int
    state: State
    settled: float | None
    why: str | None
    payload: bytes

    @property
    def message(self) -> dict[str, Any] | None:
        """The message; None where it is damaged."""
        return _message(self.payload)

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON says of it."""
        settled = None if self.settled is None else utc_text(self.settled)
        return {
            "seq": self.seq,
            "rev": self.rev,
            "state": self.state,
            "settled": settled,
            "why": self.why,
            "message": self.message,
        }


class Archive:
    """Answers questions on incidents, beside a daemon or without one. Any thread; everything raises StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def incidents(self, wanted: Wanted) -> Iterator[Incident]:
        """Yield the incidents that are meant, the newest first; what changes meanwhile may be seen or not."""
        where, values = _where(wanted)
        after: tuple[float, str] | None = None
        while True:
            paged = where if after is None else f"{where} AND (started, incident.id) < (:after_started, :after_id)"
            more = {} if after is None else {"after_started": after[0], "after_id": after[1]}
            with self._database.reading() as connection:
                rows = connection.execute(
                    f"{_SELECT} WHERE {paged} ORDER BY started DESC, incident.id DESC LIMIT {_PAGE}",
                    {**values, **more},
                ).fetchall()
            yield from map(_incident, rows)
            if len(rows) < _PAGE:
                return
            after = rows[-1]["started"], rows[-1]["id"]

    def count(self, wanted: Wanted) -> int:
        """Return how many are meant."""
        where, values = _where(wanted)
        with self._database.reading() as connection:
            return int(connection.execute(f"SELECT count(*) FROM incident WHERE {where}", values).fetchone()[0])  # noqa: S608

    def incident(self, ident: str) -> Incident:
        """Return one incident. Raises NoSuchAlert."""
        for incident in self.incidents(Wanted(incidents=(ident,))):
            return incident
        raise NoSuchAlert(f"there is no alert {ident[:60]!r} in {self._database.path}")

    def revisions(self, ident: str) -> list[Revision]:
        """Return all messages of an incident, the first one first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT seq, rev, state, settled, why, payload FROM revision WHERE incident = ? ORDER BY rev", (ident,)
            ).fetchall()
        return [Revision(*row) for row in rows]

    def hold(self, ident: str, held: bool) -> None:
        """Keep an incident and its evidence past all limits, or no longer. Raises NoSuchAlert."""
        with self._database.transaction() as connection:
            found = connection.execute("UPDATE incident SET held = ? WHERE id = ?", (int(held), ident)).rowcount
        if not found:
            raise NoSuchAlert(f"there is no alert {ident[:60]!r} in {self._database.path}")

    def resend(self, ident: str | None) -> int:
        """Let dead letters go out again, of one incident or of all; return how many. Raises NoSuchAlert.

        A daemon that runs learns of it by `Database.changed_elsewhere`.
        """
        if ident is not None:
            self.incident(ident)
        return AlertLedger(self._database).revive(ident)


_SELECT = """
    SELECT incident.id, camera, kind, started, updated, level, incident.rev, ended, held, snapshot, clip,
        verdict, verdict_by, verdict_at,
        (SELECT count(*) FROM revision WHERE incident = incident.id AND state = 'waiting') AS waiting,
        (SELECT count(*) FROM revision WHERE incident = incident.id AND state = 'arrived') AS arrived,
        (SELECT count(*) FROM revision WHERE incident = incident.id AND state = 'dead') AS dead,
        coalesce(payload, x'') AS payload
    FROM incident LEFT JOIN revision ON revision.incident = incident.id AND revision.rev = incident.rev
"""


def _where(wanted: Wanted) -> tuple[str, dict[str, Any]]:
    """Return the condition and its values: what is asked for is only ever a value."""
    feedback = "verdict IS NULL" if wanted.feedback == "none" else "verdict = :feedback"
    conditions = {
        "camera IN (SELECT value FROM json_each(:cameras))": wanted.cameras,
        "incident.id IN (SELECT value FROM json_each(:incidents))": wanted.incidents,
        "updated >= :since": wanted.since is not None,
        "started <= :until": wanted.until is not None,
        "level >= :level": wanted.level is not None,
        feedback: wanted.feedback is not None,
        "EXISTS (SELECT 1 FROM revision WHERE revision.incident = incident.id AND state = :state)": wanted.state,
    }
    values = {
        "cameras": json.dumps(wanted.cameras),
        "incidents": json.dumps(wanted.incidents),
        "since": wanted.since,
        "until": wanted.until,
        "level": None if wanted.level is None else int(wanted.level),
        "feedback": wanted.feedback,
        "state": wanted.state,
    }
    return " AND ".join(["1", *(condition for condition, asked in conditions.items() if asked)]), values


def _incident(row: Any) -> Incident:
    told = dict(row)
    return Incident(
        **{**told, "level": Level.of(told["level"]), "ended": bool(told["ended"]), "held": bool(told["held"])}
    )


def _message(payload: bytes) -> dict[str, Any] | None:
    try:
        message = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None
