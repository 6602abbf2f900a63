"""From a moment to its picture, and to what is known of it: the same moment and seed give the same picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from surveil.demo import goods, people
from surveil.demo.canvas import Canvas, Shade
from surveil.demo.cloth import Cloth
from surveil.demo.lens import HEIGHT, WIDTH, spot
from surveil.demo.moment import Moment, Seen, Thing, Truth
from surveil.demo.yard import Yard, built
from surveil.messages import Image

_STEPS = 24
"""So many brightnesses of dusk are kept ready."""
_GRAIN_TILES = 6
_LEAST_PIXELS = 90
_LEAST_SHARE = 0.35
"""A thing of which less is seen is not told of."""
_COVERED = 0.6


class Scene:
    """One yard that can be looked at in any moment."""

    def __init__(self, seed: int) -> None:
        self._yard: Yard = built(seed)
        self._cloth = Cloth(seed)
        dice = np.random.default_rng([seed, 8])
        self._grain = [_grain_tile(dice) for _ in range(_GRAIN_TILES)]
        self._lights: dict[int, NDArray[np.uint8]] = {}

    def picture(self, moment: Moment) -> tuple[Image, Truth]:
        """Return the picture of a moment, uint8 (540, 960, 3) blue first, and what is in it."""
        canvas = Canvas(self._yard.day.copy())
        drawn = self._draw(canvas, moment)
        picture = self._lit(canvas.picture, moment)
        hidden = self._cloth.lay(picture, canvas.owner, moment.cover, moment.light.darkness)
        self._add_noise(picture, moment)
        seen = tuple(one for one in (_seen(canvas, *of) for of in drawn) if one is not None)
        return picture, Truth(seen, moment.light.night, hidden >= _COVERED)

    def _draw(self, canvas: Canvas, moment: Moment) -> list[tuple[Thing, int, int]]:
        """Draw all things, the farthest first; return each with its number on the canvas and all its pixels."""
        _shade(canvas.picture, moment)
        lit = moment.light.darkness > 0.4
        waiting = list(self._yard.cut_outs)
        drawn = []
        for number, thing in enumerate(sorted(moment.things, key=_depth), 1):
            while waiting and waiting[0].z > -_depth(thing):
                waiting.pop(0).lay(canvas)
            canvas.thing = number
            _draw_thing(canvas, thing, lit)
            drawn.append((thing, number, int(cv2.countNonZero(cv2.inRange(canvas.owner, number, number)))))
        for cut_out in waiting:
            cut_out.lay(canvas)
        return drawn

    def _light(self, step: int) -> NDArray[np.uint8]:
        """Return what one of the _STEPS of dusk leaves of each pixel, 255 for all."""
        if step not in self._lights:
            part, lamps = step / (_STEPS - 1), self._yard.lamps
            self._lights[step] = np.asarray(
                cv2.addWeighted(lamps, part, np.full_like(lamps, 255), 1 - part, 0), np.uint8
            )
        return self._lights[step]

    def _lit(self, picture: Image, moment: Moment) -> Image:
        light = moment.light
        step = round(min(1.0, max(0.0, light.darkness)) * (_STEPS - 1))
        tint = np.array([1 - 0.16 * light.warm, 1.0, 1 + 0.12 * light.warm]) * light.bright
        if step:
            picture = np.asarray(cv2.multiply(picture, self._light(step), scale=1 / 255), np.uint8)
            _add_headlights(picture, moment)
            picture = np.asarray(cv2.addWeighted(picture, 1, self._yard.glow, step / (_STEPS - 1), 0), np.uint8)
        steps = np.clip(np.arange(256)[:, None] * tint, 0, 255).astype(np.uint8)
        return np.asarray(cv2.LUT(picture, steps[:, None, :]), np.uint8)

    def _add_noise(self, picture: Image, moment: Moment) -> None:
        strength = moment.light.noise * (0.5 + 0.5 * moment.light.darkness)
        dice = np.random.default_rng([moment.grain, 9])
        tile = self._grain[moment.grain % _GRAIN_TILES]
        top, left = dice.integers(0, 64, 2)
        part = tile[top : top + HEIGHT, left : left + WIDTH]
        cv2.addWeighted(picture, 1, part, strength, -128 * strength, dst=picture)


def _depth(thing: Thing) -> float:
    return -thing.z


def _draw_thing(canvas: Canvas, thing: Thing, lit: bool) -> None:
    if thing.label == "person":
        people.draw(canvas, thing)
    elif thing.label == "car":
        goods.draw_car(canvas, thing, lit and thing.activity == "driving")
    elif thing.label == "dog":
        goods.draw_dog(canvas, thing)
    else:
        goods.draw_parcel(canvas, thing)


def _shade(picture: Image, moment: Moment) -> None:
    """Lay the sun's shadows; where there is no sun, only the soft dark below each thing."""
    strength = 0.5 * moment.light.sun * (1 - moment.light.darkness)
    hard = strength > 0.08
    shadow = Shade(towards=moment.light.towards if hard else (0.08, 0.05))
    for thing in moment.things:
        if thing.label == "person":
            people.shade(shadow, thing)
        elif thing.label == "car":
            goods.shade_car(shadow, thing)
        elif thing.label == "dog":
            goods.shade_dog(shadow, thing)
        elif not thing.lift:
            goods.shade_parcel(shadow, thing)
    shadow.lay(picture, strength if hard else 0.3)


def _add_headlights(picture: Image, moment: Moment) -> None:
    for car in moment.things:
        if car.label != "car" or car.activity != "driving":
            continue
        x, y = spot(*goods.headlight(car))
        left, right = (round(min(WIDTH, max(0, x + by))) for by in (-110, 110))
        if right - left < 8:
            continue
        top = max(0, round(y) - 30)
        cut = picture[top : top + 60, left:right]
        across = np.exp(-(((np.arange(left, right) - x) / 60) ** 2))
        down = np.exp(-(((np.arange(top, top + 60) - y) / 14) ** 2))
        beam = 1 + 0.9 * moment.light.darkness * np.outer(down, across)[..., None]
        picture[top : top + 60, left:right] = np.clip(cut * beam, 0, 255).astype(np.uint8)


def _seen(canvas: Canvas, thing: Thing, number: int, whole: int) -> Seen | None:
    found = canvas.visible(number)
    if thing.label == "parcel" and thing.lift:
        return None  # in somebody's arms it is part of that person
    if found is None or not whole:
        return None
    box, left = found
    if left < _LEAST_PIXELS or left < _LEAST_SHARE * whole:
        return None
    return Seen(thing, box, left / whole)


def _grain_tile(dice: np.random.Generator) -> NDArray[np.uint8]:
    """Return a sensor's noise, (604, 1024, 3) around 128: fine in brightness, coarser in colour, as a camera's is."""
    shape = (HEIGHT + 64, WIDTH + 64)
    fine = dice.normal(0, 5.0, shape).astype(np.float32)
    coarse = cv2.resize(dice.normal(0, 3.5, (shape[0] // 2, shape[1] // 2, 3)).astype(np.float32), (shape[1], shape[0]))
    return np.asarray(np.clip(128 + fine[..., None] + coarse, 0, 255), np.uint8)
