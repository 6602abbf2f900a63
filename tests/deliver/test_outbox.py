from __future__ import annotations

from surveil.deliver.outbox import Outbox, Outgoing


def message(number: int, camera: str = "a", picture: bytes | None = None) -> Outgoing:
    return Outgoing(str(number), f"{camera}/alert", str(number).encode(), camera, picture)


def sent(outbox: Outbox, packet: int) -> str:
    head = outbox.head()
    assert head is not None
    outbox.sent(packet, head[1])
    return head[0].label


def test_a_row_leaves_only_when_it_has_arrived() -> None:
    outbox = Outbox()
    for number in range(3):
        outbox.append(message(number))
    assert [sent(outbox, 10), sent(outbox, 11)] == ["0", "1"]
    assert len(outbox) == 3
    acknowledged = outbox.acknowledge(10)
    assert acknowledged is not None
    assert acknowledged.label == "0"
    assert outbox.acknowledge(99) is None
    assert len(outbox) == 2


def test_a_broken_connection_puts_the_order_back() -> None:
    outbox = Outbox()
    for number in range(5):
        outbox.append(message(number))
    for packet in (7, 8, 9):
        sent(outbox, packet)
    outbox.acknowledge(8)
    outbox.put_back()
    assert [sent(outbox, packet) for packet in range(4)] == ["0", "2", "3", "4"]


def test_what_is_refused_does_not_hold_up_the_rest_and_is_counted() -> None:
    outbox = Outbox()
    outbox.append(message(0))
    sent(outbox, 1)
    assert outbox.refuse(1) is not None
    assert outbox.refuse(1) is None
    assert (len(outbox), outbox.refused) == (0, 1)


def test_only_the_newest_picture_of_a_camera_is_kept_and_goes_once() -> None:
    outbox = Outbox()
    outbox.append(message(0, "a", b"old"))
    outbox.append(message(1, "b", b"other"))
    outbox.append(message(2, "a", b"new"))
    pictures = []
    for packet in range(3):
        head = outbox.head()
        assert head is not None
        assert head[0].picture is None
        pictures.append(head[1])
        outbox.sent(packet, head[1])
    assert pictures == [b"new", b"other", None]


def test_a_picture_that_comes_while_the_last_is_sent_is_not_lost() -> None:
    outbox = Outbox()
    outbox.append(message(0, "a", b"old"))
    head = outbox.head()
    assert head is not None
    outbox.append(message(1, "a", b"new"))
    outbox.sent(7, head[1])
    assert outbox.head() == (message(1), b"new")
    # And one that went out over a connection that broke goes again, unless there is a newer one.
    outbox.put_back()
    assert outbox.head() == (message(0), b"new")


def test_what_can_never_be_sent_is_counted_and_gone() -> None:
    outbox = Outbox()
    outbox.append(message(0))
    outbox.append(message(1))
    outbox.refuse_head()
    assert (sent(outbox, 1), outbox.refused) == ("1", 1)


def test_a_full_outbox_loses_the_oldest_but_never_the_head_and_counts() -> None:
    outbox = Outbox(capacity=3)
    for number in range(6):
        outbox.append(message(number))
    assert outbox.lost == 3
    assert [sent(outbox, packet) for packet in range(3)] == ["0", "4", "5"]
