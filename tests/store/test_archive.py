from __future__ import annotations

import json
from pathlib import Path

import pytest

from surveil.deliver.outbox import Outbox
from surveil.messages import Level
from surveil.store.archive import Archive, NoSuchAlert, Wanted
from surveil.store.database import Database
from tests.store.stock import DAY, Stock


def ids(archive: Archive, **wanted: object) -> list[str]:
    found = [incident.id for incident in archive.incidents(Wanted(**wanted))]  # type: ignore[arg-type]
    assert archive.count(Wanted(**wanted)) == len(found)  # type: ignore[arg-type]
    return found


def test_incidents_are_found_by_all_that_people_ask_for(stock: Stock) -> None:
    archive, now = Archive(stock.database), stock.clock.wall()
    old = stock.add(9, "front", Level.low, "dead")
    middle = stock.add(5, "yard", Level.high, "waiting")
    new = stock.add(1, "front", Level.critical)
    stock.ledger.judge(new, "false", "anna")
    assert ids(archive) == [new, middle, old]  # the newest first
    assert ids(archive, cameras=("front",)) == [new, old]
    assert ids(archive, cameras=("front", "yard"), level=Level.high) == [new, middle]
    assert ids(archive, since=now - 6 * DAY) == [new, middle]
    assert ids(archive, until=now - 5 * DAY) == [middle, old]
    assert ids(archive, since=now - 6 * DAY, until=now - 2 * DAY) == [middle]
    assert ids(archive, feedback="false") == [new]
    assert ids(archive, feedback="true") == []
    assert ids(archive, feedback="none") == [middle, old]
    assert (ids(archive, state="dead"), ids(archive, state="waiting")) == ([old], [middle])
    assert ids(archive, incidents=(old, new)) == [new, old]
    assert ids(archive, cameras=("x' OR 1 --",)) == ids(archive, incidents=("%",)) == []


def test_an_incident_is_meant_by_any_moment_at_which_it_was_there(stock: Stock) -> None:
    ident = stock.add(5)
    with stock.database.transaction() as connection:
        connection.execute("UPDATE incident SET updated = updated + 3600")
    began = stock.clock.wall() - 5 * DAY
    archive = Archive(stock.database)
    assert ids(archive, since=began + 1800, until=began + 7200) == [ident]
    assert ids(archive, since=began - 1800, until=began + 60) == [ident]
    assert ids(archive, since=began + 3601) == ids(archive, until=began - 1) == []


def test_many_are_given_in_pages_and_none_twice(stock: Stock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("surveil.store.archive._PAGE", 3)
    everything = [stock.add(9 - number // 2, size=None) for number in range(13)]  # two at a time have one moment
    assert ids(Archive(stock.database)) == sorted(everything, reverse=True)


def test_all_is_told_of_one(stock: Stock) -> None:
    archive = Archive(stock.database)
    ident = stock.add(5, "yard", Level.high, "dead")
    stock.ledger.judge(ident, "true", None)
    incident = archive.incident(ident)
    told = json.loads(json.dumps(incident.as_dict()))
    message = told.pop("message")
    assert (message["id"], message["rev"], message["phase"]) == (ident, 2, "end")
    assert told == {
        "id": ident, "camera": "yard", "kind": "person", "started": "2026-11-13T11:06:40.000Z",
        "updated": "2026-11-13T11:06:40.000Z", "level": "high", "rev": 2, "ended": True, "held": False,
        "feedback": {"verdict": "true", "by": None, "at": "2026-11-18T11:06:40.000Z"},
        "delivery": {"waiting": 0, "arrived": 1, "dead": 1},
        "snapshot": f"yard/2026/11/13/{ident}.jpg", "clip": f"yard/2026/11/13/{ident}.mp4",
    }  # fmt: skip
    first, second = archive.revisions(ident)
    assert (first.rev, first.state, first.why) == (1, "arrived", None)
    assert (second.rev, second.state, second.why) == (2, "dead", "forbidden")
    assert second.as_dict()["settled"] == "2026-11-13T11:06:40.000Z"
    with pytest.raises(NoSuchAlert, match="there is no alert 'nothing' in"):
        archive.incident("nothing")


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_damaged_message_is_none(stock: Stock, payload: bytes) -> None:
    ident = stock.add(5)
    with stock.database.transaction() as connection:
        connection.execute("UPDATE revision SET payload = ?", (payload,))
    archive = Archive(stock.database)
    assert archive.incident(ident).message is None
    assert [revision.message for revision in archive.revisions(ident)] == [None, None]


def test_what_is_held_is_held_until_it_is_released(stock: Stock) -> None:
    archive, ident = Archive(stock.database), stock.add(100)
    archive.hold(ident, held=True)
    stock.retention(keep_gb=1e-9, keep_days=1).sweep()
    assert archive.incident(ident).held
    archive.hold(ident, held=False)
    stock.retention(keep_gb=1e-9, keep_days=1).sweep()
    with pytest.raises(NoSuchAlert):
        archive.hold(ident, held=True)


def test_an_outbox_learns_of_what_another_process_lets_go_out_again(stock: Stock, tmp_path: Path) -> None:
    dead, other = stock.add(2, state="dead"), stock.add(1, state="dead")
    outbox = Outbox(stock.ledger, stock.clock)
    outbox.open()
    assert (outbox.head(), outbox.dead) == (None, 2)
    assert not stock.database.changed_elsewhere()
    beside = Database(stock.folder)
    beside.attach()
    assert Archive(beside).resend(dead) == 1
    assert Archive(beside).resend(dead) == 0
    with pytest.raises(NoSuchAlert):
        Archive(beside).resend("nothing")
    assert stock.database.changed_elsewhere()
    outbox.look_again()
    head = outbox.head()
    assert head is not None
    assert (head.incident, head.rev, len(outbox), outbox.dead) == (dead, 2, 1, 1)
    assert Archive(beside).resend(None) == 1
    beside.close()
    outbox.look_again()
    assert (len(outbox), outbox.dead) == (2, 0)
    assert {row.incident for row in stock.ledger.waiting(0, 9)} == {dead, other}
