from __future__ import annotations

from surveil.testing import observation, track, visit
from surveil.trigger.tracks import FORGET_SECONDS, RECENT, TrackBook


def test_a_record_knows_how_long_and_how_sure() -> None:
    book = TrackBook()
    for seen in visit(10.0, 15.0):
        book.update(seen)
    assert round(book.dwell(1), 3) == 5.0
    (record,) = book.seen_now(observation(15.0, track()))
    assert len(record.scores) == RECENT
    assert (record.first_at, record.last_at) == (10.0, 15.0)


def test_forgotten_tracks_do_not_pile_up() -> None:
    book = TrackBook()
    for number in range(2000):
        book.update(observation(float(number), track(number)))
    assert len(book) <= 2 * FORGET_SECONDS + 2
