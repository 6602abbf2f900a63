"""What goes and what stays: real rows, real files, and clocks that jump."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from surveil.config import Storage
from surveil.interfaces import StorageError
from surveil.messages import Level
from surveil.store import retention as module
from surveil.store.retention import Retention
from surveil.store.tree import EvidenceTree, File, Shelf
from surveil.store.upkeep import Upkeep
from tests.real.components import wait_for
from tests.store.stock import DAY, Stock, emptied

LIMITS = {"keep_days": 14, "keep_days_low": 3}


def test_evidence_goes_by_age_and_level_and_alerts_after_it(stock: Stock) -> None:
    ancient = stock.add(20, level=Level.high)
    old_low, old = stock.add(5, level=Level.low), stock.add(5, level=Level.medium)
    fresh = stock.add(1, level=Level.none)
    emptied(stock.retention(**LIMITS))
    assert stock.shown() == [old, fresh]
    assert stock.rows() == [old_low, old, fresh]
    assert ancient not in stock.rows()
    with stock.database.reading() as connection:
        named = "SELECT snapshot IS NULL, clip IS NULL FROM incident WHERE id = ?"
        assert tuple(connection.execute(named, (old_low,)).fetchone()) == (1, 1)
        assert tuple(connection.execute(named, (old,)).fetchone()) == (0, 0)
        pictures = [row[0] for row in connection.execute("SELECT picture FROM revision WHERE incident = ?", (old_low,))]
    assert pictures == [None, None]


def test_evidence_goes_before_its_row(stock: Stock) -> None:
    everything = [stock.add(30 - number / 10, size=None if number < 2 else 100) for number in range(20)]
    retention = stock.retention(**LIMITS)
    assert (retention.sweep().rows, stock.rows(), stock.shown()) == (1, everything[1:], everything[3:])
    with stock.database.transaction() as connection:
        connection.execute("DELETE FROM incident WHERE id < ?", (everything[2],))
    assert (retention.sweep().rows, stock.rows()[0], stock.shown()[0]) == (1, everything[3], everything[4])


def test_no_limit_is_no_limit(stock: Stock) -> None:
    ident = stock.add(3000, level=Level.none)
    stock.clock.jump(-1)
    assert emptied(stock.retention()) == 0
    assert stock.shown() == stock.rows() == [ident]


def test_what_is_held_or_open_stays_whatever_the_limits(stock: Stock) -> None:
    held, still_open = stock.add(100), stock.add(90, ended=False)
    stock.hold(held)
    stock.add(80)
    emptied(stock.retention(keep_gb=1e-9, **LIMITS))
    assert stock.shown() == stock.rows() == [held, still_open]


def test_what_the_broker_has_not_got_stays_and_its_pictures_go_for_room_only(stock: Stock) -> None:
    waiting = stock.add(100, state="waiting")
    emptied(stock.retention(**LIMITS))
    assert stock.shown() == stock.rows() == [waiting]
    emptied(stock.retention(keep_gb=1e-9))
    assert stock.rows() == [waiting]
    assert stock.shown() == []
    assert stock.ledger.waiting(0, 9)[0].picture is None


def test_dead_letters_stay_for_keep_days_and_what_was_sent_for_a_day(stock: Stock) -> None:
    stock.add(100, state="dead", settled=20)
    dead = stock.add(100, state="dead", settled=10)
    sent = stock.add(100, settled=0.5)
    stock.add(100, settled=1.5)
    emptied(stock.retention(**LIMITS))
    assert stock.rows() == sorted([dead, sent])


def test_no_pass_takes_more_than_a_twentieth(stock: Stock) -> None:
    everything = [stock.add(100 - number / 10) for number in range(100)]
    retention = stock.retention(**LIMITS)
    swept = retention.sweep()
    assert (swept.incidents, swept.rows, swept.more) == (5, 5, True)
    assert stock.shown() == stock.rows() == everything[5:]
    assert retention.sweep().incidents == 4
    emptied(retention)
    assert stock.rows() == []


def test_no_pass_takes_more_than_a_twentieth_of_the_bytes_or_very_many_files(
    stock: Stock, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = stock.add(100, size=100_000)
    stock.add(99, size=90_000)
    for number in range(60):
        stock.add(98 - number / 10)
    retention = stock.retention(**LIMITS)
    assert retention.sweep().incidents == 1  # larger than its share, and yet it must go some day
    assert large not in stock.shown()
    assert retention.sweep().incidents == 1
    monkeypatch.setattr(module, "MOST_FILES", 7)
    assert retention.sweep().incidents == 2


def test_the_oldest_evidence_of_all_cameras_goes_for_keep_gb(stock: Stock) -> None:
    stock.add(9, "yard", size=1_000_000)
    stock.files("gone", stock.ident(8), 1_000_000)  # a camera that left, in a database that is no more
    stock.add(7, "front", Level.high, size=1_000_000)
    kept = [stock.add(days, size=1_000_000) for days in (6, 5)]
    limit = (6_900_000 + stock.database.used_bytes()) / 1e9
    swept = [stock.retention(keep_gb=limit).sweep().why for _ in range(4)]
    assert swept == [{"keep_gb"}, {"keep_gb"}, {"keep_gb"}, set()]
    assert stock.shown() == kept
    assert len(stock.rows()) == 4


def test_alerts_go_for_keep_gb_where_they_alone_are_too_many(stock: Stock) -> None:
    for number in range(30):
        stock.add(9 - number / 10)
    young = stock.add(0.5)
    emptied(stock.retention(keep_gb=1e-9))
    assert stock.rows() == [young]
    assert stock.shown() == []


def test_a_clock_that_jumps_deletes_nothing_before_it_has_held_for_an_hour(
    stock: Stock, caplog: pytest.LogCaptureFixture
) -> None:
    ident = stock.add(1)
    retention = stock.retention(**LIMITS)
    for seconds in (40 * DAY, -40 * DAY, -400 * DAY, 400 * DAY):  # away and back, in both directions
        stock.clock.jump(seconds)
        for _ in range(5):
            retention.sweep()
            stock.clock.advance(600)
    assert stock.shown() == stock.rows() == [ident]
    stock.clock.jump(40 * DAY)
    young = stock.add(0, size=None)  # what the wrong clock has dated does not vouch for it
    assert retention.sweep().incidents == 0
    stock.clock.advance(3500)
    assert retention.sweep().incidents == 0
    stock.clock.advance(100)
    assert retention.sweep().incidents == 1
    assert stock.rows() == [young]
    assert "which is not where it should be" in caplog.text


def test_after_a_long_pause_the_first_hour_passes_in_doubt(stock: Stock) -> None:
    stock.add(40)
    storage = Storage(path=str(stock.folder))
    retention = Retention(stock.database, stock.ballast, storage, stock.clock)
    assert retention.sweep().incidents == 0
    stock.clock.advance(3601)
    assert retention.sweep().incidents == 1


def test_evidence_that_a_new_database_does_not_know_stays_for_two_days_of_use(stock: Stock) -> None:
    idents = [stock.ident(100 + number) for number in range(40)]
    for ident in idents:
        stock.files("front", ident)
    stock.add(0, size=None)
    retention = stock.retention(**LIMITS)
    stock.clock.jump(300 * DAY)  # no clock makes a database older
    for _ in range(47):
        stock.clock.advance(3600)
        assert retention.sweep().incidents == 0
    stock.clock.advance(3600)
    assert retention.sweep().incidents == 2  # a twentieth, as always
    assert len(stock.shown()) == 38
    young = stock.ident(0)
    stock.files("front", young)
    emptied(retention)
    assert stock.shown() == [young]


def test_nothing_outside_is_touched_and_nothing_that_is_not_ours(stock: Stock, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    ident, linked = stock.add(100), stock.ident(100)
    shelf = next(stock.folder.rglob(f"{ident}.jpg")).parent
    for name in (f"{linked}.jpg", "notes.txt"):
        (outside / name).write_text("precious")
    # A file, a day, a whole camera: each a link that leads outside, under a name that is ours.
    (shelf / f"{ident}.2.jpg").symlink_to(outside / f"{linked}.jpg")
    (shelf.parent / "01").symlink_to(outside)
    (stock.folder / "away").symlink_to(outside)
    (outside / "2026/08").mkdir(parents=True)
    (outside / "2026/08/15").symlink_to(outside)
    ours = ["notes.txt", "1.jpg", f"{linked[:-1]}.jpg", f"{ident}.txt", f"{stock.ident(3)}.jpg"]
    for name in ours:
        (shelf / name).write_text("not by the daemon, or not here")
    (shelf / f"{stock.ident(100)}.jpg").mkdir()
    before = sorted(path for path in outside.rglob("*"))
    emptied(stock.retention(keep_gb=1e-9, **LIMITS))
    assert stock.rows() == []
    assert sorted(path for path in outside.rglob("*")) == before
    assert (outside / f"{linked}.jpg").read_text() == "precious"
    assert {path.name for path in shelf.iterdir() if path.is_file()} == set(ours)
    assert not (shelf / f"{ident}.2.jpg").is_symlink()


def test_folders_go_when_they_are_empty_but_not_those_of_now(stock: Stock) -> None:
    old, new = (next(stock.folder.rglob(f"{stock.add(days)}.jpg")).parent for days in (400, 0.1))
    emptied(stock.retention(keep_gb=1e-9))
    assert stock.shown() == []
    assert not old.parents[1].exists()
    assert old.parents[2].exists()
    assert new.exists()


def test_what_cannot_be_removed_does_not_keep_the_rest(
    stock: Stock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stuck, free = stock.add(101, "yard"), stock.add(100)
    remove = EvidenceTree.remove

    def stubborn(self: EvidenceTree, shelf: Shelf, files: list[File]) -> None:
        if shelf.camera == "yard":
            raise PermissionError(1, "Operation not permitted")
        remove(self, shelf, files)

    monkeypatch.setattr(EvidenceTree, "remove", stubborn)
    emptied(stock.retention(**LIMITS))
    assert stock.shown() == stock.rows() == [stuck]
    assert free not in stock.rows()
    assert "cannot be deleted: Operation not permitted" in caplog.text


def test_what_the_database_could_not_be_told_is_told_later(stock: Stock, monkeypatch: pytest.MonkeyPatch) -> None:
    ident = stock.add(5, level=Level.low)
    retention = stock.retention(**LIMITS)

    def full(*_: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(Upkeep, "without_evidence", full)
        with pytest.raises(StorageError, match="full"):
            retention.sweep()
    assert stock.shown() == []
    retention.sweep()
    with stock.database.reading() as connection:
        assert connection.execute("SELECT snapshot FROM incident WHERE id = ?", (ident,)).fetchone()[0] is None


def test_it_sweeps_now_and_then_and_soon_again_while_there_is_more(stock: Stock) -> None:
    for number in range(40):
        stock.add(100 - number / 10)
    retention = stock.retention(**LIMITS)
    left = []
    for _ in range(20):
        stock.clock.advance(60)
        retention.run_once()
        left.append(len(stock.shown()))
    assert left[8:13] == [40, 38, 37, 36, 35]


def test_a_fault_is_told_and_ends_nothing(
    stock: Stock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stock.add(100)
    retention = stock.retention(**LIMITS)
    stock.clock.advance(600)
    stock.database.close()
    retention.run_once()
    assert "is closed" in caplog.text
    stock.database.open()
    stock.clock.advance(600)

    def read_only() -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(stock.ballast, "tend", read_only)
    retention.run_once()
    assert "no room can be kept back for a full disk: [Errno 30]" in caplog.text
    assert stock.shown() == []


def test_its_thread_sweeps_and_ends(stock: Stock, monkeypatch: pytest.MonkeyPatch) -> None:
    stock.add(100)
    monkeypatch.setattr(module, "PACE_SECONDS", 0.01)
    monkeypatch.setattr(module, "LATER_SECONDS", 0.0)
    retention = stock.retention(keep_gb=1e-9)
    retention.start()
    wait_for(lambda: not stock.shown(), 20, "it sweeps")
    assert retention.stop(20)
    assert "retention" not in {thread.name for thread in threading.enumerate()}
    assert not retention.sweep().more
