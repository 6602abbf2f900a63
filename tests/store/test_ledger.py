from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from surveil.messages import Level, Risk
from surveil.outgoing import Draft, Outgoing
from surveil.store.database import Database
from surveil.store.ledger import AlertLedger
from surveil.testing import SimulatedClock
from tests.deliver.test_wire import ALERT


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(wall=ALERT.started)


@pytest.fixture
def ledger(tmp_path: Path, clock: SimulatedClock) -> Iterator[AlertLedger]:
    database = Database(tmp_path)
    database.open()
    yield AlertLedger(database, clock.wall)
    database.close()


def kept(ledger: AlertLedger, *drafts: Draft) -> None:
    first = ledger.last() + 1
    entries = [
        (draft, Outgoing(seq, draft.alert.id, draft.alert.rev, draft.alert.camera, draft.message(seq)))
        for seq, draft in enumerate(drafts, first)
    ]
    ledger.keep(entries)


def revision(incident: str, rev: int, **changes: object) -> Draft:
    alert = replace(ALERT, id=f"{incident:0>26}", rev=rev, phase="new" if rev == 1 else "update", **changes)  # type: ignore[arg-type]
    return Draft(alert, lambda seq: f"{incident}{rev}#{seq}".encode())


def test_messages_wait_until_they_are_settled(ledger: AlertLedger) -> None:
    kept(ledger, revision("a", 1), revision("b", 1), revision("a", 2))
    assert [row.payload for row in ledger.waiting(0, 10)] == [b"a1#1", b"b1#2", b"a2#3"]
    assert [row.seq for row in ledger.waiting(1, 1)] == [2]
    assert ledger.counts() == (3, 0)
    ledger.settle([1], [(2, "forbidden")])
    assert ([row.seq for row in ledger.waiting(0, 10)], ledger.counts(), ledger.last()) == ([3], (1, 1), 3)


def test_what_arrived_goes_out_again_on_request_and_dead_letters_by_name(ledger: AlertLedger) -> None:
    kept(ledger, revision("a", 1), revision("b", 1), revision("c", 1))
    ledger.settle([1, 2], [(3, "forbidden")])
    assert ledger.send_again(after=1) == 1
    assert [row.seq for row in ledger.waiting(0, 10)] == [2]
    assert ledger.revive(f"{'b':0>26}") == 0
    assert ledger.revive(None) == 1
    assert [row.seq for row in ledger.waiting(0, 10)] == [2, 3]
    assert ledger.counts() == (2, 0)


def test_what_the_last_run_left_open_is_known(ledger: AlertLedger, clock: SimulatedClock) -> None:
    end = replace(revision("b", 2).alert, phase="end", ended=clock.wall(), end_reason="quiet")
    kept(ledger, revision("a", 1), revision("a", 2), revision("b", 1), Draft(end, lambda _seq: b"b2"))
    ledger.asked(f"{'a':0>26}", clock.wall() + 20, '{"question": 1}')
    (left,) = ledger.left_open(since=clock.wall())
    assert (left.payload, left.answer_by, left.question) == (b"a2#2", clock.wall() + 20, '{"question": 1}')
    assert [one.payload for one in ledger.left_open(since=clock.wall() - 60)] == [b"a2#2", b"b2"]


def test_the_highest_level_of_an_incident_is_remembered(ledger: AlertLedger) -> None:
    high = Risk.of(Level.low, 70)
    kept(ledger, revision("a", 1), revision("a", 2, risk=high), revision("a", 3))
    with ledger._database.reading() as connection:
        assert tuple(connection.execute("SELECT level, rev FROM incident").fetchone()) == (60, 3)


def test_feedback_is_stored_where_there_is_such_an_incident(ledger: AlertLedger) -> None:
    kept(ledger, revision("a", 1))
    assert ledger.judge(f"{'a':0>26}", "false", "anna")
    assert not ledger.judge("unknown", "true", None)
    with ledger._database.reading() as connection:
        assert tuple(connection.execute("SELECT verdict, verdict_by FROM incident").fetchone()) == ("false", "anna")
