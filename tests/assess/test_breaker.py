from __future__ import annotations

from surveil.assess.breaker import FAULTS_IN_A_ROW, FIRST_REST_SECONDS, LONGEST_REST_SECONDS, Breaker
from surveil.testing import SimulatedClock


def opened(clock: SimulatedClock) -> Breaker:
    breaker = Breaker(clock)
    assert [breaker.failed("it is away") for _ in range(FAULTS_IN_A_ROW)] == [False, False, True]
    return breaker


def told(breaker: Breaker) -> tuple[bool, str | None]:
    return breaker.open, breaker.fault


def test_a_few_faults_in_a_row_open_it_and_it_says_why_and_for_how_long() -> None:
    clock = SimulatedClock()
    assert told(Breaker(clock)) == (False, None)
    breaker = opened(clock)
    assert told(breaker) == (True, "it is away; tried again in 15 s")
    clock.advance(FIRST_REST_SECONDS - 1)
    assert told(breaker) == (True, "it is away; tried again in 1 s")
    clock.advance(1)
    assert told(breaker) == (False, None)


def test_faults_with_a_success_between_them_do_not_open_it() -> None:
    breaker = Breaker(SimulatedClock())
    for _ in range(10):
        assert [breaker.failed("once") for _ in range(FAULTS_IN_A_ROW - 1)] == [False, False]
        breaker.worked()
    assert not breaker.open


def test_after_a_rest_one_fault_begins_the_next_which_is_twice_as_long_up_to_the_longest() -> None:
    clock = SimulatedClock()
    breaker = opened(clock)
    rests = []
    for _ in range(7):
        began = clock.at
        while breaker.open:
            clock.advance(1)
        rests.append(clock.at - began)
        assert breaker.failed("still away")
    assert rests == [15, 30, 60, 120, 240, LONGEST_REST_SECONDS, LONGEST_REST_SECONDS]


def test_what_fails_late_during_a_rest_neither_lengthens_nor_doubles_it() -> None:
    clock = SimulatedClock()
    breaker = opened(clock)
    clock.advance(10)
    assert not any(breaker.failed("it was asked before") for _ in range(20))
    clock.advance(FIRST_REST_SECONDS - 10)
    assert not breaker.open
    breaker.failed("still away")
    assert breaker.fault == "still away; tried again in 30 s"


def test_a_success_forgets_all_faults_and_the_long_rests() -> None:
    clock = SimulatedClock()
    breaker = opened(clock)
    clock.advance(FIRST_REST_SECONDS)
    breaker.failed("still away")
    clock.advance(2 * FIRST_REST_SECONDS)
    breaker.worked()
    assert [breaker.failed("away again") for _ in range(FAULTS_IN_A_ROW)] == [False, False, True]
    assert breaker.fault == "away again; tried again in 15 s"


def test_a_success_during_a_rest_ends_it() -> None:
    breaker = opened(SimulatedClock())
    breaker.worked()
    assert told(breaker) == (False, None)


def test_it_is_on_trial_from_the_end_of_a_rest_until_something_works() -> None:
    clock = SimulatedClock()
    breaker = opened(clock)
    trials = [breaker.on_trial]
    clock.advance(FIRST_REST_SECONDS)
    trials.append(breaker.on_trial)
    breaker.failed("still away")
    trials.append(breaker.on_trial)
    clock.advance(2 * FIRST_REST_SECONDS)
    trials.append(breaker.on_trial)
    breaker.worked()
    trials.append(breaker.on_trial)
    assert trials == [False, True, False, True, False]
