"""What is done about a disk with too little room, on one that is really full."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

import pytest

from surveil.deliver.outbox import Outbox
from surveil.interfaces import StorageError
from tests.deliver.boxes import draft
from tests.store.stock import Stock, emptied


def test_the_disks_room_is_kept_at_the_cost_of_half_the_evidence_at_most(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stock = Stock(small_disk / "data")
    (small_disk / "others").write_bytes(bytes(51 * 1024 * 1024))  # somebody else's
    idents = [stock.add(9 - number / 10, size=100_000) for number in range(24)]
    retention = stock.retention(keep_days=14)
    with caplog.at_level(logging.INFO):
        swept = retention.sweep()
    assert (swept.incidents, swept.why, swept.more) == (1, {"the disk is nearly full"}, True)
    assert stock.shown() == idents[1:]
    assert "the oldest evidence goes" in caplog.text
    emptied(retention)
    left = len(stock.shown())
    assert 12 < left < 24  # until there is room again
    (small_disk / "more").write_bytes(bytes(5 * 1024 * 1024))
    emptied(retention)
    assert len(stock.shown()) == left // 2
    assert "something else fills it" in caplog.text
    stock.database.close()


def fill(file: Path) -> None:
    with file.open("wb", buffering=0) as opened, contextlib.suppress(OSError):
        while True:
            opened.write(bytes(4096))


def add_many(stock: Stock) -> None:
    for number in range(2000):
        stock.add(number / 1000, size=None)


def test_a_full_disk_can_be_cleaned(small_disk: Path) -> None:
    stock = Stock(small_disk / "data", ballast=8 * 1024 * 1024)
    for number in range(20):
        stock.add(40 - number / 10, size=100_000)
    kept = stock.add(1, size=100_000)
    retention = stock.retention(keep_days=14)
    retention.run_once()
    ballast = stock.folder / ".ballast"
    assert ballast.stat().st_size == 8 * 1024 * 1024
    fill(small_disk / "others")
    with pytest.raises(StorageError, match="full"):
        add_many(stock)
    assert not ballast.exists()
    added = len(stock.rows()) - 21
    fill(small_disk / "others")  # and again, whoever it is
    for _ in range(60):
        stock.clock.advance(60)
        retention.run_once()
    assert stock.shown() == [kept]
    assert len(stock.rows()) == added + 1
    (small_disk / "others").unlink()
    retention.run_once()
    assert ballast.exists()
    stock.database.close()


def test_an_alert_that_finds_the_disk_full_is_stored_by_the_next_try(small_disk: Path) -> None:
    stock = Stock(small_disk / "data", ballast=8 * 1024 * 1024)
    stock.retention().run_once()
    outbox = Outbox(stock.ledger, stock.clock)
    outbox.open()
    fill(small_disk / "others")
    number = 0
    while (stock.folder / ".ballast").exists():
        number += 1
        outbox.append([draft(number, payload=bytes(10_000))])
    assert len(stock.ledger.waiting(0, 9999)) < number
    outbox.save()
    assert len(stock.ledger.waiting(0, 9999)) == len(outbox) == number
    assert outbox.lost == 0
    stock.database.close()
