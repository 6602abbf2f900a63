"""What was switched, and the mode, on disk, so that a restart changes neither."""

from __future__ import annotations

from dataclasses import dataclass

from surveil.store.database import Database


@dataclass(frozen=True, slots=True)
class Switched:
    """How a switch stands; `until` is UNIX seconds, None for no end."""

    camera: str
    name: str
    on: bool
    until: float | None


class SwitchTable:
    """Keeps the switches that somebody has moved, and the mode. Any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, switched: Switched) -> None:
        """Keep how a switch stands. Raises StorageError."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO switch (camera, name, is_on, until) VALUES (?, ?, ?, ?)",
                (switched.camera, switched.name, int(switched.on), switched.until),
            )

    def all(self) -> list[Switched]:
        """Return every switch that was ever moved. Raises StorageError."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT camera, name, is_on, until FROM switch").fetchall()
        return [Switched(camera, name, bool(on), until) for camera, name, on, until in rows]

    def save_mode(self, mode: str) -> None:
        """Keep the mode. Raises StorageError."""
        with self._database.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO word (name, value) VALUES ('mode', ?)", (mode,))

    def mode(self) -> str | None:
        """Return the mode that was set last; None where none was. Raises StorageError."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT value FROM word WHERE name = 'mode'").fetchone()
        return None if row is None else str(row[0])
