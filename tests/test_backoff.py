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
