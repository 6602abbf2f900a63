from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from surveil.deliver import outbox as module
from surveil.deliver.outbox import PAUSES, UNSAVED, Outbox
from surveil.outgoing import Draft
from surveil.store.database import Database
from surveil.store.ledger import AlertLedger
from surveil.testing import SimulatedClock
from tests.deliver.boxes import boxed, draft


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def outbox(tmp_path: Path, clock: SimulatedClock) -> Iterator[Outbox]:
    with boxed(tmp_path, clock) as made:
        yield made


def sent(outbox: Outbox, packet: int) -> str | None:
    head = outbox.head()
    if head is None:
        return None
    outbox.sent(packet, head)
    return head.payload.decode()


def drained(outbox: Outbox) -> list[str]:
    told = []
    while (payload := sent(outbox, 1)) is not None:
        outbox.acknowledge(1)
        told.append(payload)
    outbox.settle()
    return told


def test_a_message_leaves_only_when_it_has_arrived_and_numbers_have_no_gap(outbox: Outbox) -> None:
    seqs: list[int] = []

    def numbered(name: str) -> Draft:
        made = draft(name)
        return Draft(made.alert, lambda seq: seqs.append(seq) or made.message(seq))  # type: ignore[func-returns-value]

    outbox.append([numbered("a"), numbered("b")])
    outbox.append([numbered("c")])
    assert seqs == [1, 2, 3]
    assert [sent(outbox, 10), sent(outbox, 11)] == ["a", "b"]
    assert len(outbox) == 3
    acknowledged = outbox.acknowledge(10)
    assert acknowledged is not None
    assert (acknowledged.seq, acknowledged.rev) == (1, 1)
    assert outbox.acknowledge(99) is None
    assert len(outbox) == 2


def test_the_next_run_goes_on_with_what_has_not_arrived(tmp_path: Path, clock: SimulatedClock) -> None:
    with boxed(tmp_path, clock) as first:
        first.append([draft(number) for number in range(5)])
        for packet in range(3):
            sent(first, packet)
        first.acknowledge(1)
        first.settle()
    with boxed(tmp_path, clock) as second:
        assert len(second) == 4
        second.append([draft(5)])
        assert drained(second) == ["0", "2", "3", "4", "5"]
    with boxed(tmp_path, clock) as third:
        assert (len(third), drained(third)) == (0, [])


def test_a_broken_connection_puts_the_order_back(outbox: Outbox) -> None:
    outbox.append([draft(number) for number in range(5)])
    for packet in (7, 8, 9):
        sent(outbox, packet)
    outbox.acknowledge(8)
    outbox.put_back()
    assert drained(outbox) == ["0", "2", "3", "4"]


def test_of_one_incident_no_revision_overtakes_another(outbox: Outbox, clock: SimulatedClock) -> None:
    outbox.append([draft("x", payload=b"x1"), draft("x", payload=b"x2", rev=2), draft("y"), draft("z")])
    assert [sent(outbox, packet) for packet in range(3)] == ["x1", "y", "z"]
    assert outbox.head() is None
    outbox.refuse(0, "quota exceeded", for_good=False)
    assert outbox.head() is None
    clock.advance(PAUSES[0])
    assert sent(outbox, 4) == "x1"
    outbox.acknowledge(4)
    assert sent(outbox, 5) == "x2"


def test_what_is_refused_again_and_again_is_a_dead_letter_and_holds_up_nobody(
    outbox: Outbox, clock: SimulatedClock, caplog: pytest.LogCaptureFixture
) -> None:
    outbox.append([draft("poison"), *(draft(number) for number in range(3))])
    told = []
    for pause in (*PAUSES, 0):
        assert sent(outbox, 1) == "poison"
        outbox.refuse(1, "refused by the broker: not authorized", for_good=False)
        told += [sent(outbox, 2)]
        outbox.acknowledge(2)
        clock.advance(pause)
    assert told == ["0", "1", "2", None]
    assert (len(outbox), outbox.dead) == (0, 1)
    assert "is a dead letter (surveil alerts resend): refused by the broker: not authorized" in caplog.text
    outbox.settle()
    outbox.look_again()
    assert (outbox.head(), len(outbox), outbox.dead) == (None, 0, 1)


def test_what_can_never_be_sent_is_a_dead_letter_at_once(outbox: Outbox) -> None:
    outbox.append([draft(0), draft(1)])
    head = outbox.head()
    assert head is not None
    outbox.refuse_unsent(head, "it is too large")
    assert (drained(outbox), outbox.dead) == (["1"], 1)


def test_a_message_that_is_never_acknowledged_counts_as_refused_when_others_are(
    outbox: Outbox, clock: SimulatedClock
) -> None:
    outbox.append([draft("poison"), draft("b")])
    sent(outbox, 1)
    clock.advance(20)
    # Nothing else was acknowledged: the broker may be slow.
    assert outbox.overdue(15, strike=True)
    outbox.put_back()
    assert sent(outbox, 1) == "poison"
    clock.advance(1)
    assert sent(outbox, 2) == "b"
    outbox.acknowledge(2)
    assert not outbox.overdue(15, strike=True)
    clock.advance(20)
    assert outbox.overdue(15, strike=True)
    assert outbox.head() is None
    clock.advance(PAUSES[0])
    assert sent(outbox, 3) == "poison"


def test_more_than_fits_into_memory_waits_on_disk_in_order(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WINDOW", 10)
    for first in range(0, 60, 6):
        outbox.append([draft(number) for number in range(first, first + 6)])
    assert len(outbox) == 60
    assert drained(outbox) == [str(number) for number in range(60)]


def test_a_message_that_cannot_be_made_costs_no_number_and_nobody_else(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Draft(draft("broken").alert, lambda _seq: (_ for _ in ()).throw(ValueError("no")))
    outbox.append([draft("a"), broken, draft("b")])
    heads = [outbox.head()]
    assert heads[0] is not None
    assert drained(outbox) == ["a", "b"]
    assert "could not be made into a message" in caplog.text


def test_what_the_disk_does_not_take_goes_out_and_is_kept_when_it_does(
    tmp_path: Path, clock: SimulatedClock, caplog: pytest.LogCaptureFixture
) -> None:
    with boxed(tmp_path, clock) as outbox:
        outbox.append([draft("a")])
        _limit(outbox, 1)
        outbox.append([draft(number, payload=bytes(10_000)) for number in range(5)])
        assert "are in memory only, and go out from there" in caplog.text
        assert sent(outbox, 1) == "a"
        head = outbox.head()
        assert head is not None
        assert (head.incident, head.seq) == (f"{0:026}", 2)
        outbox.sent(2, head)
        outbox.acknowledge(2)
        outbox.settle()
        _limit(outbox, None)
        outbox.save()
        outbox.settle()
    with boxed(tmp_path, clock) as again:
        assert len(again) == 5
        head = again.head()
        assert head is not None
        assert head.payload == b"a"
        again.append([draft("next")])
        assert [row.seq for row in again._ledger.waiting(0, 100)] == [1, 3, 4, 5, 6, 7]


def _limit(outbox: Outbox, pages: int | None) -> None:
    """Let the database grow no more, as on a full disk; None: let it grow again."""
    ledger = outbox._ledger
    assert isinstance(ledger, AlertLedger)
    with ledger._database.reading() as connection:
        connection.execute(f"PRAGMA max_page_count = {pages or 1_000_000}")


def test_while_disk_and_broker_are_both_away_the_oldest_go_and_are_counted(
    tmp_path: Path, clock: SimulatedClock
) -> None:
    database = Database(tmp_path)
    database.open()
    outbox = Outbox(AlertLedger(database), clock)
    outbox.open()
    database.close()
    for number in range(UNSAVED + 20):
        outbox.append([draft(number)])
    assert (outbox.lost, len(outbox)) == (20, UNSAVED)
    assert sent(outbox, 1) == "20"


def test_looking_again_counts_what_has_arrived_but_is_not_noted_yet(outbox: Outbox) -> None:
    outbox.append([draft(number) for number in range(3)])
    counts = outbox._ledger.counts
    sent(outbox, 1)

    def acknowledged_meanwhile() -> tuple[int, int]:
        told = counts()
        outbox.acknowledge(1)
        return told

    outbox._ledger.counts = acknowledged_meanwhile  # type: ignore[method-assign]
    outbox.look_again()
    assert len(outbox) == 2
    assert drained(outbox) == ["1", "2"]
    assert len(outbox) == 0
