"""The one SQLite database: opened, brought up to date, and shared by whoever has something to keep."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from surveil.interfaces import StorageError

_log = logging.getLogger(__name__)
NAME = "surveil.db"
_BUSY_SECONDS = 5.0
_SPARE_PAGES = 1000
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
# The second one is a full disk as well: what the connections share on disk could not be made larger.
_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})

# Each entry is one step of `user_version`; one that has shipped is never changed, only followed by another.
_MIGRATIONS = (
    """
    CREATE TABLE incident (
        id TEXT PRIMARY KEY, camera TEXT NOT NULL, kind TEXT NOT NULL, started REAL NOT NULL, updated REAL NOT NULL,
        level INTEGER NOT NULL, rev INTEGER NOT NULL, ended INTEGER NOT NULL, snapshot TEXT, clip TEXT,
        answer_by REAL, question TEXT, held INTEGER NOT NULL DEFAULT 0,
        verdict TEXT, verdict_by TEXT, verdict_at REAL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX incident_started ON incident (started);
    CREATE INDEX incident_open ON incident (id) WHERE ended = 0;
    CREATE TABLE revision (
        seq INTEGER PRIMARY KEY, incident TEXT NOT NULL REFERENCES incident ON DELETE CASCADE, rev INTEGER NOT NULL,
        payload BLOB NOT NULL, picture TEXT, state TEXT NOT NULL, settled REAL, why TEXT, UNIQUE (incident, rev)
    ) STRICT;
    CREATE INDEX revision_waiting ON revision (seq) WHERE state = 'waiting';
    CREATE INDEX revision_dead ON revision (seq) WHERE state = 'dead';
    CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO counter VALUES ('seq', 0);
    CREATE TABLE switch (
        camera TEXT NOT NULL, name TEXT NOT NULL, is_on INTEGER NOT NULL, until REAL, PRIMARY KEY (camera, name)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE habits (camera TEXT PRIMARY KEY, learnt TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE word (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    """,
)


class Database:
    """One connection behind one lock: short transactions from any thread, each synced to the disk before it returns.

    Args:
        folder: where it lies.
        on_full: makes some room when the disk is full; called on any thread, and must not use the database. What could
            not be written is not tried again here: a StorageError tells whoever wrote it, and the outbox, for one,
            comes back with all that it keeps.
    """

    def __init__(self, folder: Path, on_full: Callable[[], object] | None = None) -> None:
        self.path = folder / NAME
        self._on_full = on_full
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._seen = 0

    def open(self) -> None:
        """Open it, or begin a new one; a damaged one is set aside. Raises StorageError."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._connection = self._opened()
            except sqlite3.DatabaseError as error:
                if _code(error) in _DAMAGED:
                    self._set_aside(str(error))
                elif not self._relieved(error):
                    raise
                self._connection = self._opened()
            self._seen = _data_version(self._connection)
        except (sqlite3.Error, OSError) as error:
            raise StorageError(f"{self.path} cannot be used: {error}") from None

    def attach(self) -> None:
        """Open the one that is there beside a daemon that may be using it: begin none, and set none aside.

        Raises StorageError.
        """
        try:
            if not self.path.exists():
                raise StorageError(f"{self.path} is not there: no alert was ever kept in this folder")
            connection = _connected_to(self.path, "rw")
            try:
                if _version(connection) == 0:
                    raise StorageError(f"{self.path} is no database of surveil")
                self._seen = _data_version(connection)
            except BaseException:
                connection.close()
                raise
        except (sqlite3.Error, OSError) as error:
            raise StorageError(f"{self.path} cannot be read: {error}") from None
        self._connection = connection

    def close(self) -> None:
        """Let go of it; allowed twice."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write all of what is done inside, or none of it. Raises StorageError."""
        with self._lock:
            connection = self._connected()
            try:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    with contextlib.suppress(sqlite3.Error):  # on a full disk SQLite has rolled back by itself
                        connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                self._relieved(error)
                raise StorageError(f"{self.path}: {error}") from None

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Look something up. Raises StorageError."""
        with self._lock:
            try:
                yield self._connected()
            except sqlite3.Error as error:
                self._relieved(error)
                raise StorageError(f"{self.path}: {error}") from None

    def changed_elsewhere(self) -> bool:
        """Return whether another process has written something since this was asked last, or since it was opened.

        It costs some microseconds. Raises StorageError.
        """
        with self.reading() as connection:
            before, self._seen = self._seen, _data_version(connection)
            return before != self._seen

    def used_bytes(self) -> int:
        """Return how much what is in it takes, without pages that wait to be used again. Raises StorageError."""
        with self.reading() as connection:
            size, pages, free = (
                int(connection.execute(f"PRAGMA {what}").fetchone()[0])
                for what in ("page_size", "page_count", "freelist_count")
            )
        return size * (pages - free)

    def shrink(self) -> None:
        """Give some of the pages back to the disk where many wait to be used again. Raises StorageError.

        Not all, since the next alerts take them; and not many in one go, since those would wait for it. A database
        from before there was retention has no map to move its pages by: it only uses them again.
        """
        with self.reading() as connection:
            free, pages = (
                int(connection.execute(f"PRAGMA {what}").fetchone()[0]) for what in ("freelist_count", "page_count")
            )
            if free > max(_SPARE_PAGES, pages // 10):
                # As a script: execute() takes the first of its steps only, and each gives one page back.
                connection.executescript(f"PRAGMA incremental_vacuum({min(_SPARE_PAGES, free - _SPARE_PAGES)})")

    def _relieved(self, error: sqlite3.Error) -> bool:
        """Return whether this was a full disk, and something was done about it."""
        if _code(error) not in _FULL or self._on_full is None:
            return False
        self._on_full()
        return True

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StorageError(f"{self.path} is closed")
        return self._connection

    def _opened(self) -> sqlite3.Connection:
        connection = _connected_to(self.path, "rwc")
        try:
            if connection.execute("PRAGMA page_count").fetchone()[0] == 0:
                # Said before anything is written, or else it needs a VACUUM, which a disk may have no room for.
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA wal_autocheckpoint = 500")
            connection.execute("PRAGMA journal_size_limit = 4194304")
            self._check(connection)
            _migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, connection: sqlite3.Connection) -> None:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            error = sqlite3.DatabaseError(str(found).splitlines()[-1])
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error

    def _set_aside(self, why: str) -> None:
        """Keep what is damaged beside, for whoever can save something of it."""
        name = f"{self.path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S}"
        _log.error("%s is damaged (%s): it is kept as %s, and a new one begins", self.path, why, name)
        for suffix in ("", "-wal", "-shm"):
            part = self.path.with_name(self.path.name + suffix)
            if part.exists():
                part.rename(self.path.with_name(name + suffix))


def _connected_to(path: Path, mode: Literal["rw", "rwc"]) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file://{quote(str(path.absolute()))}?mode={mode}",
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
        uri=True,
    )
    connection.row_factory = sqlite3.Row
    # FULL: what was committed is on the disk, whatever is switched off next.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _code(error: sqlite3.Error) -> int | None:
    return getattr(error, "sqlite_errorcode", None)


def _data_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def _version(connection: sqlite3.Connection) -> int:
    """Return the step that the tables are at. Raises StorageError for one that this version does not know."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(_MIGRATIONS):
        raise StorageError(f"the database is of a later surveil (version {version}): use that one, or another folder")
    return version


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables up to date, step by step, each whole or not at all. Raises StorageError."""
    version = _version(connection)
    for number, step in enumerate(_MIGRATIONS[version:], version + 1):
        # executescript commits by itself what was begun before it, so that the whole step stands in one script.
        connection.executescript(f"BEGIN IMMEDIATE; {step} PRAGMA user_version = {number}; COMMIT;")
