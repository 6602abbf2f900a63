"""What retention asks of the database, and deletes there."""

from __future__ import annotations

import json
from collections.abc import Sequence

from surveil.messages import Level
from surveil.store.database import Database
from surveil.store.shedding import Row

DAY_SECONDS = 86_400.0
_HOUR_SECONDS = 3600.0


class Upkeep:
    """Knows which incidents are over and done with. One thread. Everything raises StorageError."""

    def __init__(self, database: Database, at: float) -> None:
        self._database = database
        self._counted_at = at

    def rows(self, incidents: Sequence[str]) -> dict[str, Row]:
        """Return what is known of incidents, by id."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT id, updated, level, ended, held, EXISTS (SELECT 1 FROM revision "
                "WHERE revision.incident = incident.id AND state = 'waiting') "
                "FROM incident WHERE id IN (SELECT value FROM json_each(?))",
                (json.dumps(incidents),),
            ).fetchall()
        return {row[0]: Row(row[1], row[2] < Level.medium, bool(row[3]), bool(row[4]), bool(row[5])) for row in rows}

    def without_evidence(self, incidents: Sequence[str]) -> None:
        """Note whose evidence is gone."""
        named = [(incident,) for incident in incidents]
        with self._database.transaction() as connection:
            connection.executemany(
                "UPDATE incident SET snapshot = NULL, clip = NULL, question = NULL, answer_by = NULL WHERE id = ?",
                named,
            )
            connection.executemany("UPDATE revision SET picture = NULL WHERE incident = ?", named)

    def over(self, before: float, dead_before: float, now: float, most: int) -> list[tuple[str, str]]:
        """Return id and camera of the oldest incidents from before a time that all is over with.

        None is held or waits for the broker, has a dead letter of after `dead_before`, or was sent within a day: a
        subscriber asks for what it missed.
        """
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT id, camera FROM incident WHERE started < :before AND updated < :before "
                "AND ended = 1 AND held = 0 "
                "AND NOT EXISTS (SELECT 1 FROM revision WHERE revision.incident = incident.id AND (state = 'waiting' "
                "OR (state = 'dead' AND settled >= :dead) OR (state = 'arrived' AND settled >= :sent))) "
                "ORDER BY started LIMIT :most",
                {"before": before, "dead": dead_before, "sent": now - DAY_SECONDS, "most": most},
            ).fetchall()
        return [(row[0], row[1]) for row in rows]

    def delete(self, incidents: Sequence[str]) -> None:
        """Delete incidents with their revisions."""
        with self._database.transaction() as connection:
            connection.executemany("DELETE FROM incident WHERE id = ?", [(incident,) for incident in incidents])

    def count(self) -> int:
        """Return how many incidents there are."""
        with self._database.reading() as connection:
            return int(connection.execute("SELECT count(*) FROM incident").fetchone()[0])

    def newest(self) -> float | None:
        """Return when the newest incident began, UNIX seconds; None where there is none."""
        with self._database.reading() as connection:
            newest: float | None = connection.execute("SELECT max(started) FROM incident").fetchone()[0]
        return newest

    def hours(self, at: float) -> int:
        """Return for how many hours the database has been in use; `at` is monotonic, and this is asked now and then.

        They are counted, not reckoned from its date: that would be only as good as the clock.
        """
        if at - self._counted_at >= _HOUR_SECONDS:
            self._counted_at = at
            with self._database.transaction() as connection:
                connection.execute(
                    "INSERT INTO counter VALUES ('hours', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1"
                )
        with self._database.reading() as connection:
            row = connection.execute("SELECT value FROM counter WHERE name = 'hours'").fetchone()
        return 0 if row is None else int(row[0])
