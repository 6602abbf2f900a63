"""Each rule with its own table: what fires, when, and what does not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from pydantic import TypeAdapter

from surveil.config import RuleSettings
from surveil.messages import Box, Finding, Level, Track
from surveil.testing import observation, track
from surveil.trigger.background import BackgroundModel
from surveil.trigger.rules import Armed, Ground, armed
from surveil.trigger.tracks import TrackBook
from surveil.trigger.zones import Area, Line

YARD = {"yard": Area([((0.0, 0.5), (0.5, 0.5), (0.5, 1.0), (0.0, 1.0))])}
GATE = {
    "gate": Line((0.5, 0.0), (0.5, 1.0))
}  # looked along downwards: `in` is to its right, which is the picture's left


def body(x: float, y: float = 0.8, width: float = 0.1, height: float = 0.3) -> Box:
    """Return the box of somebody whose feet are at a place."""
    return (x - width / 2, y - height, x + width / 2, y)


def ready(**said: Any) -> tuple[Armed, TrackBook]:
    settings: RuleSettings = TypeAdapter(RuleSettings).validate_python(
        {key: tuple(value) if isinstance(value, list) else value for key, value in said.items()}
    )
    ground = Ground(TrackBook(YARD), "Europe/Vienna", YARD, GATE, background=BackgroundModel())
    return armed(settings, ground), ground.book


def fired(moments: Iterable[tuple[float, tuple[Track, ...]]], **said: Any) -> dict[float, Finding]:
    """Return what a rule finds, by the second at which it does."""
    rule, book = ready(**said)
    found = {}
    for at, tracks in moments:
        seen = observation(at, *tracks)
        book.update(seen)
        for finding in rule.rule.evaluate(seen):
            found[round(at, 3)] = finding
    return found


def walk(
    place: Callable[[float], Box], seconds: float, fps: float = 10.0, label: str = "person", number: int = 1
) -> list[tuple[float, tuple[Track, ...]]]:
    """Return somebody whose box is at `place` at each moment."""
    steps = [n / fps for n in range(round(seconds * fps))]
    return [(at, (track(number, label, 0.9, place(at)),)) for at in steps]


def findings(scores: list[float], label: str = "person", **said: Any) -> list[list[Finding]]:
    rule, book = ready(**{"when": "person", **said})
    found = []
    for number, score in enumerate(scores):
        seen = observation(number / 10, track(label=label, confidence=score))
        book.update(seen)
        found.append(rule.rule.evaluate(seen))
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
    rule, book = ready(when="person", severity="high", name="guest")
    for number in range(3):
        seen = observation(number / 10, track(1), track(2, confidence=0.8))
        book.update(seen)
        found = rule.rule.evaluate(seen)
    assert found == [Finding("guest", "person", Level.high, frozenset({1, 2}), "2 persons in view for 0.2 s", 0.2)]


def test_other_labels_are_no_persons() -> None:
    assert not any(findings([0.9] * 10, label="car"))


def test_a_box_that_is_no_body_does_not_count() -> None:
    for box in ((0.0, 0.0, 1.0, 1.0), (0.4, 0.5, 0.41, 0.9), (0.0, 0.5, 0.9, 0.52), (0.3, 0.5, 0.3, 0.9)):
        assert not fired(walk(lambda _, box=box: box, 2.0), when="person")  # type: ignore[misc]
    assert fired(walk(lambda _: (0.4, 0.5, 0.5, 0.9), 2.0), when="person")


@pytest.mark.parametrize(
    ("said", "title", "level"),
    [
        ({"when": "object", "labels": ["car"]}, "object", Level.none),
        ({"when": "person", "zone": "yard"}, "person:yard", Level.low),
        ({"when": "intrusion", "zone": "yard"}, "intrusion:yard", Level.high),
        ({"when": "line", "line": "gate"}, "line:gate", Level.low),
        ({"when": "loiter"}, "loiter", Level.medium),
        ({"when": "crowd", "count": 3}, "crowd", Level.medium),
        ({"when": "speed", "limit": 2.0}, "speed", Level.medium),
        ({"when": "fall"}, "fall", Level.high),
        ({"when": "left_object", "zone": "yard"}, "left_object:yard", Level.medium),
        ({"when": "removed_object"}, "removed_object", Level.medium),
        ({"when": "unusual"}, "unusual", Level.low),
        ({"when": "tamper"}, "tamper", Level.high),
        ({"when": "fall", "name": "grandma", "severity": "critical"}, "grandma", Level.critical),
    ],
)
def test_every_rule_has_a_name_and_a_severity_of_its_own(said: dict[str, Any], title: str, level: Level) -> None:
    rule, _ = ready(**said)
    assert rule.title == title
    assert (
        TypeAdapter(RuleSettings)
        .validate_python({key: tuple(value) if isinstance(value, list) else value for key, value in said.items()})
        .level
        is level
    )
    assert rule.cooldown == (0.0 if level >= Level.high else 60.0)


def test_an_object_counts_until_it_stands_still_and_again_when_it_moves() -> None:
    def parks(at: float) -> Box:
        return body(0.2 + 0.05 * min(at, 4.0) + 0.05 * max(0.0, at - 30.0), width=0.2, height=0.15)

    found = fired(walk(parks, 40.0, label="car"), when="object", labels=["car", "truck"])
    assert min(found) == 0.2
    assert 13.0 <= max(at for at in found if at < 30) <= 15.0
    assert 30.0 < min(at for at in found if at > 25) <= 33.0
    assert found[0.2].kind == "object"
    assert found[3.0].reason == "car in view for 3.0 s"
    assert not fired(walk(parks, 5.0, label="dog"), when="object", labels=["car"])


def test_a_person_who_stands_still_goes_on_counting() -> None:
    found = fired(walk(lambda _: body(0.3), 40.0), when="person")
    assert max(found) > 39


def test_an_intrusion_is_somebody_in_the_zone_for_long_enough() -> None:
    def comes(at: float) -> Box:
        return body(0.9 - 0.1 * at)  # in the yard from four seconds on

    found = fired(walk(comes, 7.0), when="intrusion", zone="yard", **{"for": 1.0})
    assert min(found) == pytest.approx(5.0, abs=0.11)
    assert found[6.0].reason == "person in zone yard for 2.0 s"
    assert found[6.0].severity is Level.high
    away = fired(walk(lambda _: body(0.2, y=0.4), 7.0), when="intrusion", zone="yard")
    assert not away  # above the yard: their feet count, not their heads


def test_who_loiters_stays_too_long_also_behind_a_tree() -> None:
    stays = walk(lambda _: body(0.2), 20.0)
    hidden = [(at, tracks if not 8 <= at < 10 else ()) for at, tracks in stays]
    found = fired(hidden, when="loiter", zone="yard", **{"for": 12.0})
    assert min(found) == pytest.approx(12.0, abs=0.11)
    passes = walk(lambda at: body(0.05 + at * 0.05), 9.0)
    assert not fired(passes, when="loiter", zone="yard", **{"for": 12.0})


def test_a_crowd_is_so_many_at_a_time_and_a_flicker_does_not_break_it_up() -> None:
    def moments(missing: Callable[[float], bool], number: int = 3) -> list[tuple[float, tuple[Track, ...]]]:
        who = [track(n, box=body(0.1 + 0.1 * n)) for n in range(1, number + 1)]
        return [(n / 10, tuple(who[: number - missing(n / 10)])) for n in range(100)]

    assert min(fired(moments(lambda _: False), when="crowd", count=3, **{"for": 3.0})) == pytest.approx(3.2)
    assert min(fired(moments(lambda at: 2.0 <= at < 2.5), when="crowd", count=3, **{"for": 3.0})) == pytest.approx(3.2)
    split = fired(moments(lambda at: 2.0 <= at < 4.0), when="crowd", count=3, **{"for": 3.0})
    assert min(split) == pytest.approx(7.0)
    assert not fired(moments(lambda _: False, number=2), when="crowd", count=3)


@pytest.mark.parametrize(
    ("direction", "leftwards", "fires"),
    [("any", True, True), ("any", False, True), ("in", True, True), ("in", False, False), ("out", False, True)],
)
def test_a_line_is_crossed_once_and_in_a_direction(direction: str, leftwards: bool, fires: bool) -> None:
    def goes(at: float) -> Box:
        return body(0.8 - 0.1 * at if leftwards else 0.2 + 0.1 * at)

    found = fired(walk(goes, 6.0), when="line", line="gate", direction=direction)
    assert len(found) == int(fires)
    if fires:
        ((at, finding),) = found.items()
        assert at == pytest.approx(3.1, abs=0.15)
        assert finding.reason == f"person crossed line gate ({'in' if leftwards else 'out'})"


def test_who_trembles_on_a_line_or_walks_around_its_end_does_not_cross_it() -> None:
    trembles = walk(lambda at: body(0.5 + (0.008 if int(at * 10) % 2 else -0.008)), 5.0)
    assert not fired(trembles, when="line", line="gate")
    short = {"gate": Line((0.5, 0.0), (0.5, 0.3))}
    rule, book = ready(when="line", line="gate")
    rule.rule._line = short["gate"]  # type: ignore[attr-defined]
    for at, tracks in walk(lambda at: body(0.8 - 0.1 * at), 6.0):
        seen = observation(at, *tracks)
        book.update(seen)
        assert rule.rule.evaluate(seen) == []


def test_speed_counts_in_body_heights_wherever_in_the_picture() -> None:
    for size in (0.05, 0.3):  # far away and near: the same runner

        def runs(at: float, size: float = size) -> Box:
            return body(0.1 + at * 2.5 * size * 36 / 64, width=size / 4, height=size)  # testing pictures are 64 by 36

        assert fired(walk(runs, 1.5), when="speed", limit=2.0)
        assert not fired(walk(runs, 1.5), when="speed", limit=3.0)
        found = fired(walk(runs, 1.5), when="speed", limit=2.0)
        assert found[max(found)].reason == "person moves at 2.5 body heights a second"
    shakes = walk(lambda at: body(0.5 + (0.02 if int(at * 10) % 2 else -0.02)), 5.0)
    assert not fired(shakes, when="speed", limit=1.0)


def test_a_fall_is_somebody_who_stood_and_lies_and_stays() -> None:
    def falls(at: float) -> Box:
        return body(0.5) if at < 5 else body(0.5, width=0.25, height=0.12)

    found = fired(walk(falls, 15.0), when="fall", **{"for": 3.0})
    assert min(found) == pytest.approx(8.0, abs=0.11)
    assert found[10.0].reason == "person fell and has been lying for 5.0 s"
    assert not fired(walk(lambda at: body(0.5, width=0.25, height=0.12), 15.0), when="fall")  # was never seen to stand
    assert not fired(walk(lambda at: falls(at) if at < 7 else body(0.5), 15.0), when="fall")  # got up again
    bends = walk(lambda at: body(0.5) if at < 5 else body(0.5, width=0.12, height=0.25), 15.0)
    assert not fired(bends, when="fall")
