from __future__ import annotations

import pytest

from surveil.trigger.zones import Area, Line, foot

L_SHAPE = [((0.0, 0.0), (1.0, 0.0), (1.0, 0.5), (0.5, 0.5), (0.5, 1.0), (0.0, 1.0))]


def at(x: float, y: float) -> tuple[float, float, float, float]:
    return (x - 0.05, y - 0.2, x + 0.05, y)


@pytest.mark.parametrize(
    ("x", "y", "inside"),
    [(0.25, 0.75, True), (0.75, 0.25, True), (0.75, 0.75, False), (0.5, 0.75, True), (0.6, 1.0, False)],
)
def test_somebody_is_where_their_feet_are(x: float, y: float, inside: bool) -> None:
    assert foot(at(x, y)) == pytest.approx((x, y))
    assert Area(L_SHAPE).holds(at(x, y)) is inside


def test_no_polygon_holds_nothing() -> None:
    assert not Area().holds(at(0.5, 0.5))


def test_a_line_has_a_right_and_a_left() -> None:
    up = Line((0.5, 1.0), (0.5, 0.0))  # looking up the picture, right is right
    assert up.side((0.7, 0.5)) == pytest.approx(0.2)
    assert up.side((0.2, 0.5)) == pytest.approx(-0.3)
    assert up.crossed((0.4, 0.5), (0.6, 0.5))
    assert not up.crossed((0.4, 0.5), (0.45, 0.5))
