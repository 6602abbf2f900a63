from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from surveil.interfaces import StorageError
from surveil.store.database import NAME, Database
from tests.store.conftest import DISK_BYTES


def opened(folder: Path) -> Database:
    database = Database(folder)
    database.open()
    return database


def test_what_is_committed_is_synced_and_there_again(tmp_path: Path) -> None:
    database = opened(tmp_path)
    with database.transaction() as connection:
        connection.execute("INSERT INTO word VALUES ('mode', 'away')")
    with database.reading() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
        assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1
    database.close()
    database.close()
    with pytest.raises(StorageError, match="is closed"), database.reading():
        pass
    with opened(tmp_path).reading() as connection:
        assert connection.execute("SELECT value FROM word").fetchone()[0] == "away"


def test_a_transaction_is_whole_or_not_at_all(tmp_path: Path) -> None:
    database = opened(tmp_path)
    insert = "INSERT INTO word VALUES ('a', ?)"

    def cut_off() -> None:
        with database.transaction() as connection:
            connection.execute(insert, ("1",))
            raise RuntimeError

    def twice() -> None:
        with database.transaction() as connection:
            connection.executemany(insert, [("1",), ("2",)])

    with pytest.raises(RuntimeError):
        cut_off()
    with pytest.raises(StorageError, match="UNIQUE"):
        twice()
    with database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM word").fetchone()[0] == 0
    with database.transaction() as connection:
        connection.execute(insert, ("1",))


def test_many_threads_share_it(tmp_path: Path) -> None:
    database = opened(tmp_path)

    def work(name: int) -> None:
        for number in range(20):
            with database.transaction() as connection:
                connection.execute("INSERT INTO word VALUES (?, '')", (f"{name}-{number}",))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM word").fetchone()[0] == 160


@pytest.mark.parametrize("damage", [b"this is no database, but long enough to be looked at as one" * 20, None])
def test_a_damaged_one_is_set_aside_and_a_new_one_begins(
    tmp_path: Path, damage: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    database = opened(tmp_path)
    with database.transaction() as connection:
        for number in range(500):
            connection.execute("INSERT INTO word VALUES (?, ?)", (str(number), "x" * 100))
    database.close()
    if damage is None:  # pages in the middle
        whole = (tmp_path / NAME).read_bytes()
        damage = whole[:9000] + bytes(21000) + whole[30000:]
    (tmp_path / NAME).write_bytes(damage)
    with opened(tmp_path).reading() as connection:
        assert connection.execute("SELECT count(*) FROM word").fetchone()[0] == 0
    (aside,) = tmp_path.glob(f"{NAME}.damaged-*")
    assert aside.read_bytes() == damage
    assert "is damaged" in caplog.text


def test_a_database_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    database = opened(tmp_path)
    database.close()
    with sqlite3.connect(tmp_path / NAME) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StorageError, match=r"of a later surveil \(version 99\)"):
        opened(tmp_path)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file is in the way")
    with pytest.raises(StorageError, match="cannot be used"):
        opened(tmp_path / "data")


def test_what_another_process_writes_is_noticed_once(tmp_path: Path) -> None:
    database = opened(tmp_path)
    beside = Database(tmp_path)
    beside.attach()
    with database.transaction() as connection:
        connection.execute("INSERT INTO word VALUES ('a', '')")
    assert not database.changed_elsewhere()
    with beside.transaction() as connection:
        connection.execute("INSERT INTO word VALUES ('b', '')")
    assert [database.changed_elsewhere() for _ in range(3)] == [True, False, False]
    with beside.reading() as connection:
        assert connection.execute("SELECT count(*) FROM word").fetchone()[0] == 2
    assert not database.changed_elsewhere()
    for one in (beside, database):
        one.close()


def test_a_database_is_attached_to_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="is not there"):
        Database(tmp_path / "none").attach()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / NAME).touch()
    with pytest.raises(StorageError, match="is no database of surveil"):
        Database(tmp_path).attach()
    (tmp_path / NAME).write_bytes(b"this is no database, but long enough to be looked at as one" * 20)
    with pytest.raises(StorageError, match="cannot be read: file is not a database"):
        Database(tmp_path).attach()
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    (tmp_path / NAME).unlink()
    odd = tmp_path / "100% #1 ?"  # what means something in a URI
    opened(odd).close()
    attached = Database(odd)
    attached.attach()
    attached.close()
    assert (odd / NAME).exists()
    with sqlite3.connect(odd / NAME) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StorageError, match="of a later surveil"):
        attached.attach()


def test_its_file_shrinks_some_when_much_is_deleted(tmp_path: Path) -> None:
    database = opened(tmp_path)
    with database.transaction() as connection:
        connection.executemany("INSERT INTO word VALUES (?, ?)", ((str(n), "x" * 1000) for n in range(20_000)))
    used = database.used_bytes()
    database.shrink()
    with database.transaction() as connection:
        connection.execute("DELETE FROM word")
    assert database.used_bytes() < used / 100
    pages = []
    for _ in range(30):
        with database.reading() as connection:
            pages.append(connection.execute("PRAGMA page_count").fetchone()[0])
        database.shrink()
    database.close()
    assert 1000 <= pages[0] - pages[1] < 1010
    assert pages[-1] == pages[-2] > 1000  # some are left for what comes
    assert (tmp_path / NAME).stat().st_size == pages[-1] * 4096


def test_a_full_disk_is_told_to_whoever_can_make_room(small_disk: Path) -> None:
    told: list[str] = []
    others = small_disk / "others"

    def relieve() -> None:
        told.append("full")
        others.unlink(missing_ok=True)

    database = Database(small_disk, relieve)
    others.write_bytes(bytes(DISK_BYTES))
    database.open()  # the second try has room
    assert told == ["full"]
    insert = "INSERT INTO word VALUES (?, ?)"
    with database.transaction() as connection:
        connection.execute(insert, ("a", "kept"))
    others.write_bytes(bytes(DISK_BYTES - 2**20))

    def much() -> None:
        with database.transaction() as connection:
            connection.executemany(insert, ((str(number), "x" * 1000) for number in range(4000)))

    with pytest.raises(StorageError, match="disk is full"):
        much()
    assert told == ["full", "full"]
    much()
    with database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM word").fetchone()[0] == 4001
    database.close()
