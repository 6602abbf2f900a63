from __future__ import annotations

import pytest

from surveil.messages import Box
from surveil.testing import observation, track, visit
from surveil.trigger.tracks import FORGET_SECONDS, HEIR_SECONDS, RECENT, STILL_SECONDS, TrackBook, overlap
from surveil.trigger.zones import Area

LEFT_HALF = {"left": Area([((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))])}


def body(x: float, y: float = 0.8) -> Box:
    """Return the box of a person whose feet are at a place."""
    return (x - 0.05, y - 0.3, x + 0.05, y)


def test_a_record_knows_how_long_and_how_sure() -> None:
    book = TrackBook()
    for seen in visit(10.0, 15.0):
        book.update(seen)
    assert round(book.record(1).dwell, 3) == 5.0
    (record,) = book.seen_now(observation(15.0, track()))
    assert len(record.scores) == RECENT
    assert (record.first_at, record.last_at) == (10.0, 15.0)


def test_forgotten_tracks_do_not_pile_up() -> None:
    book = TrackBook()
    for number in range(2000):
        book.update(observation(float(number), track(number)))
    assert len(book) <= 2 * FORGET_SECONDS + 2


def test_a_box_that_trembles_at_the_edge_of_a_zone_is_in_it_once_and_for_all() -> None:
    book = TrackBook(LEFT_HALF)
    inside = []
    for n in range(30):
        book.update(observation(n / 10, track(box=body(0.49 if n % 2 else 0.51))))
        inside.append(book.record(1).dwell_in("left"))
    assert inside[:5] == [None] * 5  # not before it stood there in three frames
    assert inside[-1] == pytest.approx(2.8)
    for n in range(30, 50):
        book.update(observation(n / 10, track(box=body(0.7))))
    assert book.record(1).zones == ()
    assert book.record(1).dwell_in("left") is None
    assert book.record(1).dwell_in(None) == pytest.approx(4.9)


@pytest.mark.parametrize(
    ("gap", "away", "label", "goes_on"),
    [
        (1.0, 0.05, "person", True),
        (HEIR_SECONDS - 0.2, 0.05, "person", True),
        (HEIR_SECONDS + 0.5, 0.05, "person", False),
        (1.0, 0.5, "person", False),
        (1.0, 0.05, "dog", False),
    ],
)
def test_who_comes_out_from_behind_a_tree_is_the_same(gap: float, away: float, label: str, goes_on: bool) -> None:
    book = TrackBook(LEFT_HALF)
    for n in range(50):
        book.update(observation(n / 10, track(1, box=body(0.2))))
    begun = 4.9 + gap
    for n in range(5):
        book.update(observation(begun + n / 10, track(2, label, box=body(0.2 + away))))
    later = book.record(2)
    assert (later.first_at == 0.0) is goes_on
    if away < 0.3:
        assert later.dwell_in("left") == pytest.approx(begun + 0.4 if goes_on else 0.4)


def test_two_that_are_there_together_do_not_go_on_for_each_other() -> None:
    book = TrackBook()
    for n in range(20):
        book.update(observation(n / 10, track(1, box=body(0.3))))
    book.update(observation(2.0, track(1, box=body(0.3)), track(2, box=body(0.32))))
    assert book.record(2).first_at == 2.0


def test_what_does_not_move_stands_still() -> None:
    book = TrackBook()
    for n in range(int(STILL_SECONDS) + 2):
        book.update(observation(float(n), track(1, box=body(0.3)), track(2, box=body(0.1 + n / 50))))
    assert book.record(1).still
    assert not book.record(2).still


def test_overlap_is_intersection_over_union() -> None:
    assert overlap((0, 0, 1, 1), (0, 0, 1, 1)) == 1.0
    assert overlap((0, 0, 1, 1), (0.5, 0, 1.5, 1)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 1, 1), (1, 0, 2, 1)) == 0.0
    assert overlap((0, 0, 0, 0), (0, 0, 0, 0)) == 0.0


def test_only_confirmed_tracks_that_are_there_are_counted() -> None:
    book = TrackBook()
    for number in range(10):
        at = number / 10
        seen = [track(1), track(2, confidence=0.3)]
        if number >= 8:
            seen.append(track(3, label="dog", box=(0.7, 0.7, 0.8, 0.8)))
        book.update(observation(at, *seen))
    assert book.counts(0.9) == {"person": 1}
    book.update(observation(1.0, track(3, label="dog", box=(0.7, 0.7, 0.8, 0.8))))
    assert book.counts(1.0) == {"dog": 1, "person": 1}
    assert book.counts(1.95) == {"dog": 1}
    assert book.counts(5.0) == {}
