from __future__ import annotations

import pytest

from surveil.config import PersonSettings
from surveil.messages import Finding, Level
from surveil.testing import observation, track
from surveil.trigger.rules import PersonRule
from surveil.trigger.tracks import TrackBook


def findings(scores: list[float], label: str = "person", **settings: float) -> list[list[Finding]]:
    book = TrackBook()
    rule = PersonRule(PersonSettings(**settings), book)  # type: ignore[arg-type]
    found = []
    for number, score in enumerate(scores):
        seen = observation(number / 10, track(label=label, confidence=score))
        book.update(seen)
        found.append(rule.evaluate(seen))
    return found


@pytest.mark.parametrize(
    ("scores", "fires_at"),
    [
        ([0.9, 0.9, 0.9], 2),  # three good frames
        ([0.9, 0.9], None),  # two are a flicker
        ([0.55] * 20, None),  # good enough to count, never good enough to believe
        ([0.3, 0.9, 0.3, 0.9, 0.9], 4),  # the median decides, not the best
        ([0.4] * 10 + [0.9] * 10, 15),  # a distant figure comes near: the last ten count
        ([0.9, 0.95, 0.99, 0.3, 0.9], 2),
    ],
)
def test_a_track_is_believed_by_the_median_of_its_last_scores(scores: list[float], fires_at: int | None) -> None:
    fired = [number for number, found in enumerate(findings(scores)) if found]
    assert (fired[0] if fired else None) == fires_at


def test_a_believed_track_counts_whenever_it_is_seen_well_enough() -> None:
    fired = [bool(found) for found in findings([0.9, 0.9, 0.9, 0.6, 0.45, 0.6])]
    assert fired == [False, False, True, True, False, True]


def test_thresholds_and_severity_come_from_the_config() -> None:
    assert not any(findings([0.9] * 10, threshold=0.95))
    assert any(findings([0.4] * 10, threshold=0.35, min_score=0.3))
    book = TrackBook()
    rule = PersonRule(PersonSettings(severity="high", name="guest"), book)
    for number in range(3):
        seen = observation(number / 10, track(1), track(2, confidence=0.8))
        book.update(seen)
        found = rule.evaluate(seen)
    assert found == [Finding("guest", "person", Level.high, frozenset({1, 2}), "2 persons in view for 0.2 s", 0.2)]


def test_other_labels_are_no_persons() -> None:
    assert not any(findings([0.9] * 10, label="car"))
