from __future__ import annotations

from pathlib import Path

import pytest

from surveil.interfaces import StorageError
from surveil.store.archive import Wanted
from surveil.store.database import NAME
from surveil.store.erasure import Eraser, Plan
from surveil.store.tree import EvidenceTree, File, Shelf
from tests.store.stock import DAY, Stock


def erased(stock: Stock, wanted: Wanted, force: bool = False) -> Plan:
    eraser = Eraser(stock.database, EvidenceTree(stock.folder), stock.clock)
    plan = eraser.plan(wanted, force)
    before = (stock.rows(), stock.shown())
    assert before == (stock.rows(), stock.shown())  # a plan touches nothing
    eraser.erase(plan)
    return plan


def test_what_is_meant_goes_with_all_that_shows_it(stock: Stock) -> None:
    kept = [stock.add(9, "yard"), stock.add(9, "front"), stock.add(1, "front")]
    gone = [stock.add(5, "front"), stock.add(4, "front", size=None), stock.add(4, "yard")]
    now = stock.clock.wall()
    plan = erased(stock, Wanted(since=now - 6 * DAY, until=now - 3 * DAY))
    assert (len(plan.incidents), plan.files, plan.bytes, plan.is_whole) == (3, 6, 600, True)
    assert stock.rows() == kept
    assert stock.shown() == sorted(kept)
    assert erased(stock, Wanted(cameras=("front",))).files == 6
    assert stock.rows() == stock.shown() == kept[:1]
    assert erased(stock, Wanted(incidents=tuple(gone))).is_empty


def test_their_words_are_gone_from_the_file_too(stock: Stock) -> None:
    ident, other = stock.add(5), stock.add(4)
    with stock.database.transaction() as connection:
        connection.execute("UPDATE revision SET payload = ? WHERE incident = ?", (b"a red scarf" * 900, ident))
    erased(stock, Wanted(incidents=(ident,)))
    stored = b"".join(path.read_bytes() for path in stock.folder.glob(f"{NAME}*"))
    assert b"red scarf" not in stored
    assert ident.encode() not in stored
    assert other.encode() in stored


def test_what_is_open_stays_and_what_waits_or_is_held_goes_by_force_only(stock: Stock) -> None:
    still_open, waiting, held = stock.add(3, ended=False), stock.add(2, state="waiting"), stock.add(1)
    stock.hold(held)
    plan = erased(stock, Wanted(cameras=("front",)))
    assert (plan.open, plan.waiting, plan.held, plan.is_empty, plan.is_whole) == (1, 1, 1, True, False)
    assert stock.rows() == stock.shown() == [still_open, waiting, held]
    plan = erased(stock, Wanted(cameras=("front",)), force=True)
    assert (plan.open, plan.is_whole) == (1, False)
    assert stock.rows() == stock.shown() == [still_open]


def test_evidence_that_the_database_does_not_know_goes_as_well(stock: Stock) -> None:
    strangers = [stock.ident(5), stock.ident(2)]
    for ident in strangers:
        stock.files("front", ident)
    stock.files("yard", stock.ident(5))
    just_now = stock.ident(0)  # its alert may be on its way to the database
    stock.files("front", just_now)
    plan = erased(stock, Wanted(cameras=("front",), until=stock.clock.wall() - 3 * DAY))
    assert [ident for ident, _ in plan.strangers] == strangers[:1]
    assert len(erased(stock, Wanted(cameras=("front",))).strangers) == 1
    assert len(stock.shown()) == 2
    assert just_now in stock.shown()


def test_links_are_told_and_never_followed(stock: Stock, tmp_path: Path) -> None:
    ident, _ = stock.add(5, "front"), stock.add(5, "front")
    (stock.folder / "front").rename(tmp_path / "elsewhere")
    (stock.folder / "front").symlink_to(tmp_path / "elsewhere")
    for wanted in (Wanted(incidents=(ident,)), Wanted(cameras=("front",))):
        plan = erased(stock, wanted)
        assert (plan.links, plan.is_whole, plan.files) == (["front"], False, 0)
    assert stock.rows() == []
    assert len([path for path in (tmp_path / "elsewhere").rglob("*") if path.is_file()]) == 6
    assert erased(stock, Wanted(cameras=("yard",))).links == []


def test_what_is_cut_off_is_found_again(stock: Stock, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = stock.add(5), stock.add(4)
    remove = EvidenceTree.remove

    def fails(self: EvidenceTree, shelf: Shelf, files: list[File]) -> None:
        if any(file.name.startswith(second) for file in files):
            raise PermissionError(1, "Operation not permitted")
        remove(self, shelf, files)

    with monkeypatch.context() as patched:
        patched.setattr(EvidenceTree, "remove", fails)
        with pytest.raises(StorageError, match=f"the evidence of {second} cannot be erased: Operation"):
            erased(stock, Wanted(cameras=("front",)))
    assert stock.rows() == [first, second]
    assert stock.shown() == [second]
    assert erased(stock, Wanted(cameras=("front",))).is_whole
    assert stock.rows() == stock.shown() == []
