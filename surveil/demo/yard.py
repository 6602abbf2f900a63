"""The yard itself, which never moves: lawn, house wall, fence, footpath, road, what lies beyond, and its lamps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from surveil.demo import beyond, house
from surveil.demo.canvas import Canvas, Colour, toned
from surveil.demo.lens import HEIGHT, WIDTH, Points, ground, pixels_a_metre, seen, spot
from surveil.demo.moment import FENCE_HIGH, FENCE_Z
from surveil.demo.texture import Field, leaves, on_ground, paint, tile
from surveil.messages import Image

GATE = (2.0, 3.3)
LAMP = (-1.4, 17.55)
TREE = (5.5, 11.6)


@dataclass(frozen=True, slots=True, eq=False)
class CutOut:
    """Something that never moves and hides what is farther away than `z`: its pixels, and where they are."""

    z: float
    left: int
    top: int
    picture: Image
    mask: NDArray[np.uint8]

    def lay(self, canvas: Canvas) -> None:
        """Draw it over what is on the canvas."""
        height, width = self.mask.shape
        here = (slice(self.top, self.top + height), slice(self.left, self.left + width))
        cv2.copyTo(self.picture, self.mask, canvas.picture[here])
        canvas.owner[here][self.mask > 0] = 0


@dataclass(frozen=True, slots=True, eq=False)
class Yard:
    """One yard by one seed.

    Args:
        day: the empty yard by full daylight, uint8 (540, 960, 3).
        cut_outs: what hides others, the farthest first.
        lamps: what a night's light leaves of each pixel, uint8 (540, 960, 3), 255 for all of it.
        glow: what shines by itself at night, uint8 (540, 960, 3).
    """

    day: Image
    cut_outs: tuple[CutOut, ...]
    lamps: Image
    glow: Image


def built(seed: int) -> Yard:
    """Return the yard of a seed: always the same plan, with its own grass, colours, leaves, lamps and moonlight."""
    dice = np.random.default_rng([seed, 7])
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    beyond.paint_sky(picture, dice)
    _paint_ground(picture, dice)
    beyond.paint_street(picture, dice)
    cut_outs = (
        _cut_out(picture, LAMP[1], _draw_lamp),
        _cut_out(picture, FENCE_Z, lambda canvas: _draw_fence(canvas, dice)),
        _cut_out(picture, FENCE_Z - 0.5, lambda canvas: house.draw(canvas, dice)),
        _cut_out(picture, TREE[1], lambda canvas: _draw_tree(canvas, dice)),
    )
    return Yard(picture, cut_outs, _lamplight(dice), _glow(dice, cut_outs))


def _paint_ground(picture: Image, dice: np.random.Generator) -> None:
    x, z = ground()
    below = np.arange(HEIGHT)[:, None] > 190
    fine, coarse = tile(dice, 4), tile(dice, 64)
    near = np.clip(9 / z, 0.25, 1.3)
    green = dice.uniform(0.9, 1.1)
    mown = np.sign(np.sin(x * 3)).astype(np.float32)
    lawn = 0.13 * near * on_ground(fine, x, z, 60) + 0.1 * on_ground(coarse, x, z, 24) + 0.04 * mown
    paint(picture, below & (z < 30), (58 * green, 122, 92 * green), lawn)
    slabs = _slabs(x, z)
    joint = np.maximum(np.cos(x * 7.5) > 0.985, np.cos(z * 7.5) > 0.985) * -0.25
    paint(picture, slabs, (150, 158, 165), 0.07 * on_ground(coarse, x, z, 30) + 0.04 * near * lawn + joint)
    walk = (z > 14.8) & (z < 17.4)
    seam = (np.cos(x * 5.2) > 0.99) * -0.18
    paint(picture, walk, (148, 152, 156), 0.06 * on_ground(coarse, x, z, 20) + seam)
    paint(picture, (z >= 17.4) & (z < 17.7), (178, 182, 184), 0.03)
    road = (z >= 17.7) & (z < 25.2)
    paint(picture, road, (86, 84, 82), 0.09 * on_ground(coarse, x, z, 14) + 0.05 * on_ground(fine, x, z, 20))
    dashes = (np.abs(z - 21.4) < 0.1) & (x % 3.4 < 1.7)
    paint(picture, dashes, (205, 208, 208), 0.04 * on_ground(fine, x, z, 20))


def _slabs(x: Field, z: Field) -> NDArray[np.bool_]:
    """Return where the flagged way from the gate to the house door lies, bool (540, 960)."""
    start, end = np.array([2.65, 14.0]), np.array([-5.0, 9.7])
    along = ((x - start[0]) * (end[0] - start[0]) + (z - start[1]) * (end[1] - start[1])) / ((end - start) ** 2).sum()
    bend = 0.9 * np.sin(np.clip(along, 0, 1) * np.pi)
    away = np.hypot(x - start[0] - along * (end - start)[0], z - start[1] - along * (end - start)[1] + bend)
    slabs: NDArray[np.bool_] = (along > -0.02) & (along < 1) & (away < 0.62)
    return slabs


def _cut_out(picture: Image, z: float, draw: Callable[[Canvas], None]) -> CutOut:
    """Draw something that stands in the yard onto the picture, and return it as what hides things behind it."""
    canvas = Canvas(picture, thing=1)
    draw(canvas)
    left, top, width, height = cv2.boundingRect(canvas.owner)
    here = (slice(top, top + height), slice(left, left + width))
    return CutOut(z, left, top, picture[here].copy(), canvas.owner[here] * np.uint8(255))


def _draw_lamp(canvas: Canvas) -> None:
    x, z = LAMP
    grey = (70, 74, 76)
    canvas.limb(np.array([x, 0, z]), np.array([x, 4.4, z]), (0.07, 0.045), grey)
    canvas.limb(np.array([x, 4.4, z]), np.array([x + 0.6, 4.6, z]), (0.04, 0.04), grey)
    canvas.limb(np.array([x + 0.5, 4.58, z]), np.array([x + 0.95, 4.62, z]), (0.09, 0.09), (215, 225, 228))


def _draw_fence(canvas: Canvas, dice: np.random.Generator) -> None:
    """Iron railings between brick posts, with a gate: who stands behind them is seen through them."""
    iron, brick = toned((52, 50, 46), dice.uniform(0.7, 1.3)), toned((78, 92, 140), dice.uniform(0.9, 1.1))
    for x in np.arange(-5.2, 9.2, 0.2):
        if not GATE[0] < x < GATE[1]:
            canvas.limb(np.array([x, 0.08, FENCE_Z]), np.array([x, FENCE_HIGH, FENCE_Z]), (0.013, 0.013), iron)
    for x in np.arange(GATE[0] + 0.08, GATE[1], 0.12):
        canvas.limb(np.array([x, 0.1, FENCE_Z]), np.array([x, 1.5, FENCE_Z]), (0.015, 0.015), iron)
    for left, right, y in ((-5.2, 9.2, 0.25), (-5.2, 9.2, 1.18), (*GATE, 1.45)):
        canvas.limb(np.array([left, y, FENCE_Z]), np.array([right, y, FENCE_Z]), (0.022, 0.022), iron)
    for x in (-2.8, -0.4, *GATE, 5.6, 8.0):
        _draw_post(canvas, x, brick, dice)
    for x in (6.6, 7.3, 8.3, -3.7):
        middle = spot(x, 0.35, FENCE_Z - 0.3)
        leaves(canvas, dice, middle, (dice.uniform(22, 34), dice.uniform(18, 26)), (52, 104, 70))


def _draw_post(canvas: Canvas, x: float, brick: Colour, dice: np.random.Generator) -> None:
    z, wide = FENCE_Z, 0.17
    for course, y in enumerate(np.arange(0, 1.5, 0.125)):
        corners = np.array([[x - wide, y, z], [x + wide, y, z], [x + wide, y + 0.115, z], [x - wide, y + 0.115, z]])
        canvas.plane(corners, toned(brick, dice.uniform(0.85, 1.1) * (0.93 if course % 2 else 1)))
    corners = np.array([[x - 0.22, 1.5, z], [x + 0.22, 1.5, z], [x + 0.22, 1.58, z], [x - 0.22, 1.58, z]])
    canvas.plane(corners, (150, 156, 160))


def _draw_tree(canvas: Canvas, dice: np.random.Generator) -> None:
    x, z = TREE
    bark = (58, 78, 96)
    canvas.limb(np.array([x, 0, z]), np.array([x + 0.1, 2.9, z]), (0.2, 0.13), bark)
    canvas.limb(np.array([x + 0.05, 2.0, z]), np.array([x - 0.8, 3.4, z]), (0.08, 0.05), bark)
    canvas.limb(np.array([x + 0.05, 2.3, z]), np.array([x + 0.9, 3.5, z]), (0.08, 0.05), bark)
    metre = pixels_a_metre(z)
    for _ in range(6):
        middle = spot(x + dice.uniform(-1.1, 1.1), dice.uniform(3.5, 5.0), z)
        leaves(canvas, dice, middle, (metre * dice.uniform(0.8, 1.1), metre * dice.uniform(0.55, 0.8)), (46, 112, 74))


def _lamplight(dice: np.random.Generator) -> Image:
    """Return what a night leaves of each pixel's colour: moonlight everywhere, and warm pools below the lamps."""
    moon = np.array([0.45, 0.36, 0.31]) * dice.uniform(0.82, 1.2)
    light = np.broadcast_to(moon, (HEIGHT, WIDTH, 3)).astype(np.float32).copy()
    light[: int(HEIGHT * 0.3)] *= np.linspace(0.75, 1, int(HEIGHT * 0.3), dtype=np.float32)[:, None, None]
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    street, door = dice.uniform(0.6, 1.0), dice.uniform(0.45, 0.9)
    pools = (
        (spot(LAMP[0] + 0.8, 0.5, LAMP[1]), (250, 80), street),
        (spot(LAMP[0] + 0.8, 4.0, LAMP[1]), (90, 110), street * 0.5),
        (spot(-4.2, 0.0, 9.6), (270, 130), door),
        (house.LAMP, (85, 120), door),
    )
    for (x, y), (wide, high), strength in pools:
        pool = strength * np.exp(-(((columns - x) / wide) ** 2) - ((rows - y) / high) ** 2)
        light += pool[..., None] * np.array([0.52, 0.74, 0.92], np.float32)
    return (np.clip(light, 0, 1) * 255).astype(np.uint8)


def _light_window(shining: Image, window: Points) -> None:
    cv2.fillConvexPoly(shining, np.round(seen(window)).astype(np.int32), (70, 150, 205), cv2.LINE_AA)


def _glow(dice: np.random.Generator, before: tuple[CutOut, ...]) -> Image:
    """Return what shines by itself at night: the lamps, and windows behind which somebody is at home."""
    shining = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for window in beyond.WINDOWS:
        if dice.random() < 0.45:
            _light_window(shining, window)
    for hiding in before:
        height, width = hiding.mask.shape
        shining[hiding.top : hiding.top + height, hiding.left : hiding.left + width][hiding.mask > 0] = 0
    if dice.random() < 0.5:
        _light_window(shining, house.WINDOW)
    for (x, y), size in ((spot(LAMP[0] + 0.72, 4.56, LAMP[1]), 7), (house.LAMP, 8)):
        cv2.circle(shining, (round(x), round(y)), size, (190, 235, 255), cv2.FILLED, cv2.LINE_AA)
    bloom = cv2.GaussianBlur(shining, (0, 0), 9)
    return np.asarray(cv2.addWeighted(shining, 0.8, bloom, 1.3, 0), np.uint8)
