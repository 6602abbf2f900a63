"""The house on the yard's left: its wall with a door, a window and a lamp, seen along its length."""

from __future__ import annotations

import cv2
import numpy as np

from surveil.demo.canvas import Canvas, Colour, toned
from surveil.demo.lens import HEIGHT, WIDTH, Points, spot
from surveil.demo.texture import clouds

_WALL_X = -5.2
_END_Z = 13.5
LAMP = spot(_WALL_X, 2.55, 9.75)
"""Where the lamp over the door is, in pixels."""


def _panel(z: tuple[float, float], y: tuple[float, float]) -> Points:
    """Return the corners, (4, 3) metres, of an upright rectangle on the wall."""
    (near, far), (low, high) = z, y
    return np.array([[_WALL_X, low, near], [_WALL_X, low, far], [_WALL_X, high, far], [_WALL_X, high, near]])


WINDOW = _panel((11.15, 12.45), (1.05, 2.25))
"""The pane of its window, (4, 3) metres."""


def draw(canvas: Canvas, dice: np.random.Generator) -> None:
    """Draw the wall and all that is on it."""
    plaster: Colour = toned((168, 190, 204), dice.uniform(0.85, 1.08))
    canvas.plane(_panel((5.0, _END_Z), (0.0, 7.0)), plaster)
    _weather(canvas, dice)
    canvas.plane(_panel((5.0, _END_Z), (0.0, 0.35)), (112, 118, 122))
    canvas.plane(_panel((5.0, _END_Z), (3.3, 3.38)), toned(plaster, 0.8))
    door: Colour = toned((64, 82, 58), dice.uniform(0.8, 1.3))
    canvas.plane(_panel((9.15, 10.35), (0.0, 2.25)), (188, 196, 200))
    canvas.plane(_panel((9.25, 10.25), (0.0, 2.15)), door)
    for low, high in ((0.25, 0.95), (1.15, 1.9)):
        for near, far in ((9.37, 9.7), (9.8, 10.13)):
            canvas.plane(_panel((near, far), (low, high)), toned(door, 0.78))
    canvas.ball(np.array([_WALL_X + 0.06, 1.05, 9.35]), 0.035, (120, 190, 210))
    canvas.plane(_panel((11.0, 12.6), (0.9, 2.4)), (222, 226, 228))
    canvas.plane(WINDOW, (118, 104, 88))
    canvas.plane(_panel((11.15, 11.75), (1.65, 2.25)), (150, 138, 122))
    canvas.plane(_panel((11.77, 11.83), (1.05, 2.25)), (222, 226, 228))
    canvas.plane(_panel((10.9, 12.7), (0.82, 0.92)), (196, 200, 202))
    canvas.ball(np.array([_WALL_X + 0.12, 2.55, 9.75]), 0.11, (205, 220, 226))
    canvas.limb(np.array([_WALL_X + 0.05, 0, 13.3]), np.array([_WALL_X + 0.05, 7, 13.3]), (0.05, 0.05), (96, 100, 104))


def _weather(canvas: Canvas, dice: np.random.Generator) -> None:
    """Give the plaster its stains: of what the canvas holds so far only the wall is the house's."""
    stains = clouds(dice, (HEIGHT, WIDTH), 64, 6)
    down = np.linspace(0.05, -0.06, HEIGHT, dtype=np.float32)[:, None]
    varied = canvas.picture * (1 + 0.055 * stains + down)[..., None]
    cv2.copyTo(np.clip(varied, 0, 255).astype(np.uint8), canvas.owner, canvas.picture)
