from __future__ import annotations

from surveil.trigger.identity import derived_entropy, random_entropy, ulid


def test_a_known_ulid() -> None:
    # The example of the specification's reference implementation: 1469918176385 ms.
    assert ulid(1469918176.385, bytes(10)) == "01ARYZ6S410000000000000000"
    assert ulid(1469918176.385, b"\xff" * 10) == "01ARYZ6S41ZZZZZZZZZZZZZZZZ"


def test_ids_sort_by_time_and_derive_from_it() -> None:
    ids = [ulid(second / 10, derived_entropy("front", second / 10)) for second in range(100)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 100
    assert derived_entropy("front", 1.0) == derived_entropy("front", 1.0) != derived_entropy("back", 1.0)
    assert random_entropy("front", 1.0) != random_entropy("front", 1.0)
