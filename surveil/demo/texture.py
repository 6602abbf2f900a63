"""Grain of grass, plaster, asphalt, leaves: what keeps a drawn surface from looking drawn."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from surveil.demo.canvas import Canvas, Colour, toned
from surveil.demo.lens import HEIGHT, WIDTH
from surveil.messages import Image

Field = NDArray[np.float32]
_TILE = 512


def clouds(dice: np.random.Generator, shape: tuple[int, int], coarse: int, octaves: int = 4) -> Field:
    """Return smooth noise of about -1 to 1, (height, width), whose largest lumps are `coarse` pixels wide."""
    height, width = shape
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        cell = max(coarse >> octave, 1)
        knots = dice.normal(0, 1, (height // cell + 3, width // cell + 3)).astype(np.float32)
        wide = cv2.resize(knots, None, fx=cell, fy=cell, interpolation=cv2.INTER_LINEAR)
        total += np.asarray(wide[:height, :width], np.float32) / 2**octave
    return total / 1.6


def on_ground(tile: Field, x: Field, z: Field, dots_a_metre: float) -> Field:
    """Return a tile of noise, seamlessly repeated over the ground whose metres are `x` and `z`."""
    across, down = ((of * dots_a_metre) % _TILE for of in (x, z))
    laid = cv2.remap(tile, across.astype(np.float32), down.astype(np.float32), cv2.INTER_LINEAR, None, cv2.BORDER_WRAP)
    return np.asarray(laid, np.float32)


def tile(dice: np.random.Generator, coarse: int) -> Field:
    """Return noise of 512 by 512 to lay on the ground."""
    return clouds(dice, (_TILE, _TILE), coarse)


def paint(image: Image, where: NDArray[np.bool_], colour: Colour, grain: Field | float) -> None:
    """Give the pixels in `where`, bool (540, 960), a colour that `grain`, about -1 to 1 times its strength, varies."""
    varied = np.multiply.outer(1 + np.broadcast_to(grain, (HEIGHT, WIDTH))[where], np.array(colour))
    image[where] = np.clip(varied, 0, 255).astype(np.uint8)


def leaves(
    canvas: Canvas, dice: np.random.Generator, middle: tuple[float, float], size: tuple[float, float], colour: Colour
) -> None:
    """Draw a crown or a hedge of leaves, lit from above: an ellipse around `middle`, `size` its half axes in pixels."""
    count = int(min(900, 30 + size[0] * size[1] / 9))
    leaf = max(1.5, min(size) / 11)
    for part in np.linspace(0, 1, count):  # the dark inside first, the lit outside last
        angle, far = dice.uniform(0, 2 * np.pi), dice.uniform(0, 1) ** 0.6
        x = middle[0] + size[0] * far * np.cos(angle)
        y = middle[1] + size[1] * far * np.sin(angle)
        light = 0.55 + 0.35 * part + 0.3 * (middle[1] - y) / max(size[1], 1) + dice.normal(0, 0.08)
        axes = (leaf * dice.uniform(0.8, 1.8), leaf * dice.uniform(0.6, 1.2))
        canvas.ellipse((x, y), axes, dice.uniform(0, 180), toned(colour, max(0.2, light)))
