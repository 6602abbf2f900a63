"""People, each with clothes and a build of their own, drawn limb by limb."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from surveil.demo.canvas import Canvas, Colour, Shade, toned
from surveil.demo.lens import Points
from surveil.demo.moment import Thing
from surveil.demo.pose import Joints, joints

_SKINS: tuple[Colour, ...] = ((150, 180, 224), (128, 160, 208), (96, 128, 178), (66, 92, 140), (48, 66, 100))
_HAIRS: tuple[Colour, ...] = (
    (34, 36, 42),
    (40, 58, 84),
    (74, 116, 160),
    (120, 170, 206),
    (150, 150, 152),
    (40, 70, 130),
)
_JACKETS: tuple[Colour, ...] = (
    (44, 44, 48), (120, 74, 40), (52, 52, 168), (70, 120, 60), (190, 190, 194), (60, 150, 208), (140, 60, 110),
    (96, 100, 104), (170, 130, 60), (50, 90, 150), (40, 60, 60), (205, 205, 120),
)  # fmt: skip
_TROUSERS: tuple[Colour, ...] = (
    (46, 42, 40),
    (110, 76, 50),
    (84, 84, 88),
    (70, 96, 120),
    (60, 70, 60),
    (140, 140, 146),
)

_Limb = tuple[Points, Points, tuple[float, float], Colour]


@dataclass(frozen=True, slots=True)
class Look:
    """What one person looks like, by the seed of it."""

    height: float
    build: float
    skin: Colour
    hair: Colour
    jacket: Colour
    trousers: Colour
    hood: bool
    cap: bool
    coat: bool
    bag: bool

    @classmethod
    def of(cls, seed: int) -> Look:
        """Return always the same look for a seed."""
        dice = np.random.default_rng([seed, 1])

        def one_of(colours: tuple[Colour, ...]) -> Colour:
            return toned(colours[dice.integers(len(colours))], dice.uniform(0.8, 1.2))

        height, build = float(dice.uniform(1.56, 1.94)), float(dice.uniform(0.88, 1.22))
        skin, hair = one_of(_SKINS), one_of(_HAIRS)
        jacket, trousers = one_of(_JACKETS), one_of(_TROUSERS)
        hood, cap, coat, bag = (bool(dice.random() < chance) for chance in (0.3, 0.3, 0.25, 0.25))
        return cls(height, build, skin, hair, jacket, trousers, hood, cap and not hood, coat, bag)


def draw(canvas: Canvas, person: Thing) -> None:
    """Draw a person, the farther limbs first."""
    look = Look.of(person.look)
    body = joints(person, look.height)
    for start, end, radii, colour in sorted(_limbs(body, look), key=lambda limb: -(limb[0][2] + limb[1][2])):
        canvas.limb(start, end, radii, colour)
    _draw_head(canvas, person, body, look)


def shade(shadow: Shade, person: Thing) -> None:
    """Add a person's shadow, limb by limb."""
    look = Look.of(person.look)
    body = joints(person, look.height)
    for start, end, radii, _ in _limbs(body, look):
        shadow.limb(start, end, radii)
    shadow.limb(body.head, body.head, (0.12, 0.12))


def _limbs(body: Joints, look: Look) -> Iterator[_Limb]:
    wide = look.build * look.height / 1.78
    shoe: Colour = (40, 38, 36)
    for side in (0, 1):
        dim = toned(look.trousers, 0.88 if side == 0 else 1)
        yield body.hips[side], body.knees[side], (0.088 * wide, 0.062 * wide), dim
        yield body.knees[side], body.ankles[side], (0.062 * wide, 0.045 * wide), dim
        yield body.ankles[side] - np.array([0, 0.02, 0]), body.toes[side], (0.05, 0.04), shoe
        sleeve = toned(look.jacket, 0.9 if side == 0 else 1.04)
        yield body.shoulders[side], body.elbows[side], (0.062 * wide, 0.05 * wide), sleeve
        yield body.elbows[side], body.hands[side], (0.048 * wide, 0.038 * wide), sleeve
        yield body.hands[side], body.hands[side] + np.array([0, -0.03, 0]), (0.045, 0.035), look.skin
        # Two strands make a chest that is broad from the front and narrow from the side.
        yield (
            body.shoulders[side] * 0.72 + body.neck * 0.28 - np.array([0, 0.05, 0]),
            body.hips[side] * 0.8 + body.pelvis * 0.2,
            (0.115 * wide, 0.105 * wide),
            look.jacket,
        )
        if look.coat:
            yield (
                body.hips[side],
                body.hips[side] * 0.45 + body.knees[side] * 0.55,
                (0.125 * wide, 0.13 * wide),
                look.jacket,
            )
    if look.bag:
        back = (body.neck + body.pelvis) / 2 - (body.toes[0] - body.ankles[0]) * np.array([1.1, 0, 1.1])
        yield back + np.array([0, 0.16, 0]), back - np.array([0, 0.14, 0]), (0.12, 0.14), toned(look.trousers, 0.7)


def _draw_head(canvas: Canvas, person: Thing, body: Joints, look: Look) -> None:
    size = look.height / 1.78
    forward = np.array([np.cos(person.heading), 0.0, np.sin(person.heading)])
    canvas.limb(body.neck, body.head, (0.058 * size, 0.055 * size), look.skin)
    top = body.head + np.array([0, 0.035, 0]) * size
    low = body.head - np.array([0, 0.05, 0]) * size
    away = forward[2] > 0.35
    cover = look.jacket if look.hood else look.hair
    if look.hood:
        canvas.limb(top - 0.035 * forward, low - 0.05 * forward - np.array([0, 0.06, 0]), (0.128, 0.13), cover)
    if not away:
        canvas.limb(top, low + 0.02 * forward, (0.105 * size, 0.085 * size), look.skin)
    canvas.limb(
        top - 0.03 * forward + np.array([0, 0.035, 0]),
        (low if away else top) - 0.045 * forward,
        (0.104 * size, (0.105 if away else 0.09) * size),
        cover,
    )
    if look.cap:
        cap = toned(look.jacket, 0.8)
        canvas.limb(top + np.array([0, 0.06, 0]), top + np.array([0, 0.065, 0]) + 0.15 * forward, (0.1, 0.04), cap)
