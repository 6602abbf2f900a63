from __future__ import annotations

from surveil.backoff import EAGER_FOR, Backoff


def test_waits_are_jittered_bounded_and_patient_only_after_long_trouble() -> None:
    for _ in range(50):
        backoff = Backoff()
        eager: list[float] = []
        while sum(eager) < EAGER_FOR:
            eager.append(backoff.next())
        assert max(eager) <= 4.0
        patient = [backoff.next() for _ in range(40)]
        assert max(patient) <= 30.0
        assert max(patient) > 4.0
        assert len(set(eager + patient)) == len(eager) + len(patient)
        backoff.reset()
        assert backoff.next() <= 1.0


def test_the_one_server_that_is_ours_is_never_waited_for_longer_than_a_few_seconds() -> None:
    backoff = Backoff(patient=False)
    assert max(backoff.next() for _ in range(200)) <= 4.0
