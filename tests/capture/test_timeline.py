from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from surveil.capture.packets import CodedPacket, Coding
from surveil.capture.timeline import STEP, TICKS, DecodeTimes, Timeline, completed

CODING = Coding("h264", None, Fraction(1, 1000), 320, 240)


def packet(at: float, pts: int | None, is_key: bool = False) -> CodedPacket:
    return CodedPacket(b"", is_key, pts, pts, at, at)


def line(*packets: CodedPacket, coding: Coding = CODING) -> list[float | None]:
    """Return the seconds at which packets of one connection are shown."""
    times = Timeline()
    placed = [times.shown(coding, one) for one in packets]
    return [None if when is None else when / TICKS for when in placed]


def test_a_camera_is_believed_its_own_times() -> None:
    # They come in bursts, and are shown at their pace.
    assert line(packet(5.0, 700, True), packet(5.1, 740), packet(5.1, 780), packet(5.1, 820)) == [0, 0.04, 0.08, 0.12]


def test_reordered_pictures_keep_their_times() -> None:
    assert line(packet(0, 0, True), packet(0.04, 160), packet(0.08, 80), packet(0.12, 40)) == [0, 0.16, 0.08, 0.04]


def test_a_picture_before_the_first_key_picture_is_not_shown() -> None:
    assert line(packet(0, 1000, True), packet(0.04, 960), packet(0.08, 1040)) == [0, None, 0.04]


def test_a_pause_within_a_connection_has_its_true_length() -> None:
    assert line(packet(0, 0, True), packet(9.0, 9000), packet(9.1, 9100)) == [0, 9.0, 9.1]


def test_a_clock_that_jumps_ahead_is_taken_up_anew() -> None:
    assert line(packet(0, 0, True), packet(0.1, 100), packet(0.2, 99_000), packet(0.3, 99_100)) == [0, 0.1, 0.2, 0.3]


def test_a_key_picture_from_the_past_begins_anew() -> None:
    assert line(packet(0, 500, True), packet(0.1, 600), packet(0.2, 10, True), packet(0.3, 110)) == [0, 0.1, 0.2, 0.3]


def test_two_connections_do_not_overlap() -> None:
    times = Timeline()
    again = replace(CODING)
    placed = [
        times.shown(CODING, packet(0.0, 0, True)),
        times.shown(CODING, packet(0.1, 100)),
        times.shown(again, packet(0.1, 7, True)),
        times.shown(again, packet(0.2, 107)),
    ]
    assert placed == [0, 9000, 9000 + STEP, 18_000 + STEP]


def test_the_first_times_that_are_missing_follow_from_the_others() -> None:
    first = [packet(0, None, True), packet(0, 160), packet(0, 80), packet(0, 40), packet(0, 120), packet(0, 200)]
    assert [one.pts for one in completed(CODING, first)] == [0, 160, 80, 40, 120, 200]
    assert [one.pts for one in completed(CODING, [packet(0, None, True), packet(0, 90)])] == [50, 90]
    bare = [packet(0, None, True), packet(0, None)]
    assert completed(CODING, bare) == bare


@given(st.lists(st.integers(1, 20_000), min_size=1, max_size=120), st.randoms(), st.integers(1, 5), st.integers(1, 64))
def test_decoding_always_rises_and_comes_before_showing(
    steps: list[int], dice: object, disorder: int, seen: int
) -> None:
    whens = [0, *itertools.accumulate(steps)]
    for begin in range(1, len(whens), disorder):  # groups whose order is anyhow
        group = whens[begin : begin + disorder]
        dice.shuffle(group)  # type: ignore[attr-defined]
        whens[begin : begin + disorder] = group
    times = DecodeTimes(whens[:seen])
    placed = [times.next(when) for when in whens]
    decoded = [one for one, _ in placed]
    assert all(before < after for before, after in itertools.pairwise(decoded))
    assert all(one <= when for one, when in placed)
    assert decoded[0] + times.lead >= 0
    if seen >= len(whens):  # all was known: nothing is shown at another time than it wants to be
        assert [when for _, when in placed] == whens


def test_without_reordering_a_picture_is_decoded_when_it_is_shown() -> None:
    times = DecodeTimes([0, 10, 20])
    assert times.lead == 0
    assert [times.next(when) for when in (0, 10, 20, 30)] == [(0, 0), (10, 10), (20, 20), (30, 30)]


def test_deeper_reordering_than_at_first_costs_a_moment_and_then_nothing() -> None:
    times = DecodeTimes([0, 10, 20])
    placed = [times.next(when) for when in (0, 10, 20, 50, 30, 40, 80, 60, 70, 110, 90, 100)]
    assert placed[4:6] == [(51, 51), (52, 52)]
    assert [when for _, when in placed[6:]] == [80, 60, 70, 110, 90, 100]
