from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console, RenderableType

from surveil import alerts
from surveil.interfaces import StorageError
from surveil.messages import Level
from surveil.store.archive import Archive, Wanted
from surveil.store.erasure import Plan
from surveil.store.tree import EvidenceTree
from tests.store.stock import Stock

VIENNA = ZoneInfo("Europe/Vienna")


@pytest.fixture
def stock(tmp_path: Path) -> Iterator[Stock]:
    stock = Stock(tmp_path / "data")
    yield stock
    stock.database.close()


def printed(what: RenderableType, width: int = 300) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(what)
    return captured.get()


def test_a_table_says_what_people_look_for(stock: Stock) -> None:
    dead, waiting = stock.add(5, "front", Level.low, "dead"), stock.add(4, "yard", Level.high, "waiting")
    held = stock.add(3)
    stock.hold(held)
    stock.ledger.judge(held, "false", "anna")
    still_open = stock.add(2, ended=False)
    text = printed(alerts.table(Archive(stock.database).incidents(Wanted()), VIENNA))
    heading, *lines = (" ".join(line.split()) for line in text.splitlines())
    assert heading == "began (Europe/Vienna) id camera risk state what"
    assert lines == [
        f"2026-11-16 12:06:40 {still_open} front medium open, arrived person in view for 0.2 s",
        f"2026-11-15 12:06:40 {held} front medium held, called false, arrived person in view for 0.2 s",
        f"2026-11-14 12:06:40 {waiting} yard high 2 waiting person in view for 0.2 s",
        f"2026-11-13 12:06:40 {dead} front low 1 dead person in view for 0.2 s",
    ]
    narrow = printed(alerts.table(Archive(stock.database).incidents(Wanted()), VIENNA), width=80)
    assert held in narrow  # whole, to be copied


def test_what_a_model_or_a_broker_says_does_not_move_the_cursor_or_colour_anything(stock: Stock) -> None:
    ident = stock.add(5, state="dead")
    payload = json.dumps({"reason": "\x1b[2J[red]evil[/red]\r\n\u202e", "phase": ["x"], "risk": 3, "assessment": []})
    with stock.database.transaction() as connection:
        connection.execute("UPDATE revision SET payload = ?, why = ?", (payload.encode(), "no\x1b[31m"))
    archive = Archive(stock.database)
    incident = archive.incident(ident)
    text = printed(alerts.table([incident], VIENNA))
    text += printed(alerts.page(incident, archive.revisions(ident), EvidenceTree(stock.folder), VIENNA))
    assert "[red]evil[/red]" in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    with stock.database.transaction() as connection:
        connection.execute("UPDATE revision SET payload = x'00'")
    assert "its message is damaged" in printed(alerts.table([archive.incident(ident)], VIENNA))


def test_a_page_tells_of_messages_feedback_and_evidence(stock: Stock) -> None:
    ident = stock.add(5, "yard", Level.high, "dead")
    stock.ledger.judge(ident, "true", "anna")
    next(stock.folder.rglob("*.mp4")).unlink()
    archive, tree = Archive(stock.database), EvidenceTree(stock.folder)
    text = printed(alerts.page(archive.incident(ident), archive.revisions(ident), tree, VIENNA))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    place = f"{stock.folder}/yard/2026/11/13/{ident}"
    for line in (
        f"id {ident}", "camera yard", "risk high", "state called true, 1 dead", "reason person in view for 0.2 s",
        "assessment pending", "feedback called true by anna, 2026-11-18 12:06:40",
        f"evidence {place}.1.jpg (0 kB)", f"evidence {place}.jpg (0 kB)", f"evidence {place}.mp4 is gone",
        "1 1 new high arrived 2026-11-13 12:06:40", "2 2 end high dead 2026-11-13 12:06:40: forbidden",
    ):  # fmt: skip
        assert line in lines
    told = alerts.full(archive.incident(ident), archive.revisions(ident), tree)
    assert [revision["state"] for revision in told["revisions"]] == ["arrived", "dead"]
    assert told["files"] == [f"yard/2026/11/13/{ident}{ending}" for ending in (".1.jpg", ".jpg")]


def test_an_export_holds_lines_and_evidence_of_what_is_meant(stock: Stock, tmp_path: Path) -> None:
    first, second = stock.add(5, "yard"), stock.add(4, "front", size=3_000_000)
    stock.add(3, "door")
    for name in (f"{second}.mp4.part", f"{second}.part", "notes.txt"):
        (next(stock.folder.rglob(f"{second}.jpg")).parent / name).touch()
    file = tmp_path / "out.zip"
    archive, tree = Archive(stock.database), EvidenceTree(stock.folder)
    done = alerts.export(archive, tree, Wanted(cameras=("yard", "front")), file)
    assert (done.incidents, done.files, done.bytes, done.lost) == (2, 6, 9_000_300, 0)
    with zipfile.ZipFile(file) as packed:
        assert packed.testzip() is None
        names = packed.namelist()
        told = [json.loads(line) for line in packed.read(alerts.LINES).splitlines()]
        assert packed.read(f"front/2026/11/14/{second}.mp4") == b"x" * 3_000_000
        assert packed.getinfo(f"front/2026/11/14/{second}.mp4").date_time == (2026, 11, 14, 11, 6, 40)
        assert packed.getinfo(f"front/2026/11/14/{second}.mp4").external_attr >> 16 == 0o644
    assert [line["id"] for line in told] == [second, first]
    assert sorted([*told[0]["files"], *told[1]["files"], alerts.LINES]) == sorted(names)
    assert [revision["message"]["rev"] for revision in told[1]["revisions"]] == [1, 2]
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["out.zip"]


def test_an_export_follows_no_link_and_writes_over_nothing(stock: Stock, tmp_path: Path) -> None:
    ident = stock.add(5)
    secret = tmp_path / "secret"
    secret.write_text("secret")
    jpg = next(stock.folder.rglob(f"{ident}.jpg"))
    jpg.unlink()
    jpg.symlink_to(secret)
    archive, tree = Archive(stock.database), EvidenceTree(stock.folder)
    done = alerts.export(archive, tree, Wanted(), tmp_path / "out.zip")
    assert (done.files, done.lost) == (2, 1)
    assert b"secret" not in (tmp_path / "out.zip").read_bytes()
    for name in ("out.zip", "link.zip", "other.zip"):
        if name == "link.zip":
            (tmp_path / name).symlink_to(tmp_path / "made-through-a-link")
        if name == "other.zip":
            (tmp_path / "other.zip.part").symlink_to(secret)
        with pytest.raises(StorageError, match=r"there already|cannot be written: file exists"):
            alerts.export(archive, tree, Wanted(), tmp_path / name)
    assert secret.read_text() == "secret"
    assert not (tmp_path / "made-through-a-link").exists()
    assert (tmp_path / "other.zip.part").is_symlink()


def test_an_export_that_fails_leaves_nothing(stock: Stock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stock.add(5)
    archive, tree = Archive(stock.database), EvidenceTree(stock.folder)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(alerts, "_pack", full)
    with pytest.raises(StorageError, match="cannot be written: no space left on device"):
        alerts.export(archive, tree, Wanted(), tmp_path / "out.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    with pytest.raises(StorageError, match="cannot be written: no such file"):
        alerts.export(archive, tree, Wanted(), tmp_path / "none" / "out.zip")


def test_a_plan_is_told_in_words() -> None:
    plan = Plan(incidents=[("front", "x")] * 3, files=9, bytes=4_500_000, open=1, waiting=2, held=3, links=["front"])
    assert alerts.summary(plan) == "3 alerts: 9 files, 4.5 MB"
    assert alerts.remains(plan) == [
        "1 alert open: erase it again when it has ended",
        "2 alerts waiting for the broker: --force erases it too, and nobody is told of it",
        "3 alerts held: --force erases it too",
        "front is a link, and what lies behind it stays",
    ]
    assert alerts.remains(Plan()) == []
