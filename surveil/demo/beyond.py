"""What lies beyond the road, too far to matter: sky, houses, hedge and trees."""

from __future__ import annotations

import cv2
import numpy as np

from surveil.demo.canvas import Canvas, Colour, toned
from surveil.demo.lens import HEIGHT, WIDTH, Points, pixels_a_metre, spot
from surveil.demo.texture import clouds, leaves
from surveil.messages import Image

_STREET_Z = 31.0
_HOUSES = (
    (-15.5, -7.0, 5.2, (150, 176, 196)),
    (-4.2, 3.6, 4.6, (138, 150, 186)),
    (7.4, 15.5, 5.6, (176, 184, 188)),
)
"""Left, right, height up to the eaves in metres, and plaster."""


def _upright(left: float, right: float, low: float, high: float) -> Points:
    return np.array(
        [[left, low, _STREET_Z], [right, low, _STREET_Z], [right, high, _STREET_Z], [left, high, _STREET_Z]]
    )


def _windows() -> tuple[Points, ...]:
    panes = []
    for left, right, high, _ in _HOUSES:
        count = int((right - left) / 2)
        for x in left + (np.arange(count) + 0.5) * (right - left) / count:
            panes += [_upright(x - 0.45, x + 0.45, y, y + 1.25) for y in (high - 1.9,)]
    return tuple(panes)


WINDOWS = _windows()
"""The upper windows of the houses beyond the road, each (4, 3) metres: the lower ones are behind the hedge."""


def paint_sky(picture: Image, dice: np.random.Generator) -> None:
    """Paint the sky, paler towards the horizon, with some clouds in it."""
    rows = np.linspace(0, 1, HEIGHT, dtype=np.float32)[:, None, None] * HEIGHT / 190
    high, low = np.array([214, 170, 116], np.float32), np.array([232, 222, 206], np.float32)
    blue = high + (low - high) * np.clip(rows, 0, 1)
    drift = cv2.resize(clouds(dice, (HEIGHT, WIDTH // 3), 48, 5), (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    white = np.clip((drift - dice.uniform(-0.1, 0.8)) * 0.9, 0, 1)[..., None]
    picture[:] = np.clip(blue + (244 - blue) * white * 0.85, 0, 255).astype(np.uint8)


def paint_street(picture: Image, dice: np.random.Generator) -> None:
    """Paint the houses, the trees among them, and the hedge along the road."""
    canvas = Canvas(picture)
    for x in dice.uniform(-19, 19, 9):
        _tree(canvas, dice, float(x), _STREET_Z + 3)
    for left, right, high, colour in _HOUSES:
        _house(canvas, (left, right), high, toned(colour, dice.uniform(0.9, 1.08)))
    for window in WINDOWS:
        canvas.plane(window, toned((112, 98, 84), dice.uniform(0.8, 1.2)))
    for x in (-5.6, 5.4, 17.0):
        _tree(canvas, dice, x + float(dice.uniform(-0.6, 0.6)), _STREET_Z - 1)
    for x in np.arange(-19, 19.5, 0.9):
        metre = pixels_a_metre(26.5)
        middle = spot(float(x) + dice.uniform(-0.2, 0.2), 0.75, 26.5)
        leaves(canvas, dice, middle, (metre * 0.75, metre * dice.uniform(0.75, 0.95)), (44, 92, 62))


def _house(canvas: Canvas, span: tuple[float, float], high: float, colour: Colour) -> None:
    left, right = span
    canvas.plane(_upright(left, right, 0, high), colour)
    roof = _upright(left - 0.4, right + 0.4, high, high + 2.0)
    roof[2:, 0] += np.array([-1.6, 1.6])
    canvas.plane(roof, (72, 82, 126))
    canvas.plane(_upright(left - 0.4, right + 0.4, high - 0.1, high), (90, 98, 120))
    canvas.plane(_upright(right - 2.4, right - 1.8, high + 1.0, high + 2.6), (84, 92, 128))


def _tree(canvas: Canvas, dice: np.random.Generator, x: float, z: float) -> None:
    metre = pixels_a_metre(z)
    canvas.limb(np.array([x, 0, z]), np.array([x, 4, z]), (0.18, 0.1), (60, 76, 90))
    for _ in range(4):
        middle = spot(x + dice.uniform(-0.9, 0.9), dice.uniform(3.6, 6.4), z)
        green: Colour = toned((62, 118, 84), dice.uniform(0.8, 1.15))
        leaves(canvas, dice, middle, (metre * dice.uniform(1.1, 1.7), metre * dice.uniform(0.9, 1.4)), green)
