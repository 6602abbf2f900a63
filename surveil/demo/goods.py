"""Cars, dogs and parcels."""

from __future__ import annotations

import numpy as np

from surveil.demo.canvas import Canvas, Colour, Shade, toned
from surveil.demo.lens import Points, seen
from surveil.demo.moment import Thing

_PAINTS: tuple[Colour, ...] = (
    (52, 50, 48), (196, 198, 200), (150, 96, 44), (50, 48, 170), (128, 130, 132), (90, 120, 70),
    (70, 150, 196), (226, 228, 230),
)  # fmt: skip
_COATS: tuple[Colour, ...] = (
    (50, 74, 110),
    (38, 40, 44),
    (140, 176, 206),
    (84, 110, 150),
    (196, 204, 210),
    (60, 92, 150),
)
_CARTONS: tuple[Colour, ...] = ((96, 142, 186), (110, 156, 196), (86, 124, 166), (160, 182, 200))

# Profiles of a car's body and of its windows, from its rear (0) to its front (1), metres of length and height.
_SALOON = ((0.0, 0.35), (0.0, 0.85), (0.75, 0.95), (1.25, 1.42), (2.65, 1.44), (3.35, 0.95), (4.3, 0.8), (4.4, 0.35))
_ESTATE = ((0.0, 0.35), (0.02, 0.95), (0.3, 1.5), (2.5, 1.55), (3.2, 1.02), (4.2, 0.85), (4.35, 0.35))
_VAN = ((0.0, 0.4), (0.0, 1.95), (0.2, 2.05), (3.4, 2.05), (4.2, 1.25), (4.8, 1.1), (4.9, 0.4))
_SALOON_GLASS = (
    ((0.95, 0.98), (1.35, 1.34), (1.95, 1.36), (1.95, 0.98)),
    ((2.03, 0.98), (2.03, 1.36), (2.6, 1.36), (3.15, 0.98)),
)
_ESTATE_GLASS = (
    ((0.3, 1.0), (0.5, 1.42), (1.5, 1.46), (1.5, 1.02)),
    ((1.6, 1.02), (1.6, 1.46), (2.42, 1.46), (3.0, 1.04)),
)
_VAN_GLASS = (((2.7, 1.3), (2.7, 1.9), (3.4, 1.9), (3.95, 1.3)),)
_SHAPES = ((_SALOON, _SALOON_GLASS), (_ESTATE, _ESTATE_GLASS), (_VAN, _VAN_GLASS))
_HALF_WIDE = 0.88


def draw_car(canvas: Canvas, car: Thing, lit: bool) -> None:
    """Draw a car that faces right (heading 0) or left; `lit` with its lamps on."""
    dice = np.random.default_rng([car.look, 2])
    profile, windows = _SHAPES[dice.integers(len(_SHAPES))]
    paint = toned(_PAINTS[dice.integers(len(_PAINTS))], dice.uniform(0.85, 1.15))
    near, far = _side(car, profile, -_HALF_WIDE), _side(car, profile, _HALF_WIDE)
    for at in range(len(profile)):
        after = (at + 1) % len(profile)
        flat = 1.1 if abs(near[after][1] - near[at][1]) < 0.25 else 0.72
        glass = near[at][1] > 0.8 and near[after][1] > 0.8 and flat < 1
        strip = np.array([near[at], near[after], far[after], far[at]])
        canvas.plane(strip, (92, 82, 72) if glass else toned(paint, flat))
    _draw_side(canvas, car, near, paint)
    for window in windows:
        canvas.plane(_side(car, window, -_HALF_WIDE - 0.01), (86, 76, 68))
    front, rear = ((235, 250, 255), (60, 50, 230)) if lit else ((200, 208, 212), (56, 44, 130))
    length = profile[-1][0]
    for along, colour in ((length - 0.12, front), (0.1, rear)):
        (lamp,) = _side(car, ((along, 0.72),), -_HALF_WIDE + 0.1)
        canvas.limb(lamp, lamp + np.array([0.02, 0, 0]), (0.09, 0.09), colour)


def _draw_side(canvas: Canvas, car: Thing, near: Points, paint: Colour) -> None:
    canvas.outline(seen(near), paint)
    length = float(np.ptp(near[:, 0]))
    for low, high, by in ((0.35, 0.5, 0.55), (0.86, 0.89, 0.8)):
        corners = ((0.05, low), (0.05, high), (length - 0.1, high), (length - 0.1, low))
        canvas.plane(_side(car, corners, -_HALF_WIDE - 0.005), toned(paint, by))
    for along in (0.82, length - 0.85):
        (hub,) = _side(car, ((along, 0.33),), -_HALF_WIDE)
        canvas.limb(hub, hub + np.array([0.01, 0, 0]), (0.33, 0.33), (34, 34, 34))
        canvas.limb(hub, hub + np.array([0.01, 0, 0]), (0.18, 0.18), (150, 152, 154))


def _side(car: Thing, profile: tuple[tuple[float, float], ...], aside: float) -> Points:
    """Return a profile's points, (n, 3) metres, on the car's near (`aside` below 0) or far side."""
    forward = 1.0 if np.cos(car.heading) >= 0 else -1.0
    return np.array([[car.x + forward * (along - 2.2), high, car.z + aside] for along, high in profile])


def headlight(car: Thing) -> tuple[float, float, float]:
    """Return where a car's beam falls on the road: x, y and z in metres."""
    return car.x + (4.6 if np.cos(car.heading) >= 0 else -4.6), 0.1, car.z


def shade_car(shadow: Shade, car: Thing) -> None:
    """Add a car's shadow."""
    corners = ((-2.1, -0.9), (2.1, -0.9), (2.1, 0.9), (-2.1, 0.9))
    shadow.slab(np.array([[car.x + x, 1.1, car.z + z] for x, z in corners]))


def _dog_bones(dog: Thing) -> tuple[list[tuple[Points, Points, tuple[float, float]]], float]:
    dice = np.random.default_rng([dog.look, 3])
    size = float(dice.uniform(0.75, 1.1))
    forward = np.array([np.cos(dog.heading), 0.0, np.sin(dog.heading)])
    left = np.array([-np.sin(dog.heading), 0.0, np.cos(dog.heading)])
    at, up = np.array([dog.x, 0.0, dog.z]), np.array([0.0, 1.0, 0.0])

    def point(along: float, high: float, aside: float = 0.0) -> Points:
        return np.asarray(at + size * (forward * along + up * high + left * aside))

    wag = 0.05 * float(np.sin(9 * dog.phase))
    bones = [
        (point(-0.3, 0.5), point(0.26, 0.53), (0.125 * size, 0.14 * size)),
        (point(0.28, 0.58), point(0.42, 0.74), (0.095 * size, 0.08 * size)),
        (point(0.44, 0.77), point(0.62, 0.73), (0.095 * size, 0.05 * size)),
        (point(-0.36, 0.55), point(-0.58, 0.76, wag), (0.035 * size, 0.025 * size)),
        (point(0.4, 0.8, 0.06), point(0.37, 0.9, 0.08), (0.04 * size, 0.02 * size)),
    ]
    stride = 0.0 if dog.activity == "standing" else 0.6 if dog.activity == "running" else 0.4
    for number, (along, aside) in enumerate(((0.24, 0.08), (0.24, -0.08), (-0.28, 0.08), (-0.28, -0.08))):
        swing = stride * float(np.sin(np.pi * dog.phase + (0 if number in {0, 3} else np.pi)))
        foot = point(along + 0.42 * np.sin(swing), 0.05 + 0.06 * abs(swing), aside)
        bones.append((point(along, 0.45, aside), foot, (0.06 * size, 0.035 * size)))
    return bones, size


def draw_dog(canvas: Canvas, dog: Thing) -> None:
    """Draw a dog."""
    dice = np.random.default_rng([dog.look, 4])
    coat = toned(_COATS[dice.integers(len(_COATS))], dice.uniform(0.85, 1.15))
    bones, _ = _dog_bones(dog)
    for start, end, radii in sorted(bones, key=lambda bone: -(bone[0][2] + bone[1][2])):
        canvas.limb(start, end, radii, coat)


def shade_dog(shadow: Shade, dog: Thing) -> None:
    """Add a dog's shadow."""
    for start, end, radii in _dog_bones(dog)[0]:
        shadow.limb(start, end, radii)


def _parcel_corners(parcel: Thing) -> tuple[Points, float]:
    dice = np.random.default_rng([parcel.look, 5])
    wide, deep, high = dice.uniform(0.5, 0.75), dice.uniform(0.36, 0.55), dice.uniform(0.34, 0.52)
    turn = parcel.heading + dice.uniform(-0.7, 0.7)
    across, away = np.array([np.cos(turn), 0, np.sin(turn)]), np.array([-np.sin(turn), 0, np.cos(turn)])
    at = np.array([parcel.x, parcel.lift, parcel.z])
    corners = [at + across * a * wide / 2 + away * b * deep / 2 for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    return np.array(corners), float(high)


def draw_parcel(canvas: Canvas, parcel: Thing) -> None:
    """Draw a parcel: its top, the two sides that are seen, and its tape."""
    dice = np.random.default_rng([parcel.look, 6])
    carton = toned(_CARTONS[dice.integers(len(_CARTONS))], dice.uniform(0.9, 1.1))
    low, high = _parcel_corners(parcel)
    top = low + np.array([0, high, 0])
    sides = [(low[n], low[(n + 1) % 4], top[(n + 1) % 4], top[n]) for n in range(4)]
    for number, side in sorted(enumerate(sides), key=lambda of: -sum(point[2] for point in of[1])):
        canvas.plane(np.array(side), toned(carton, 0.74 if number % 2 else 0.88))
    canvas.plane(top, toned(carton, 1.12))
    tape = np.array([top[0] * 0.56 + top[1] * 0.44, top[0] * 0.44 + top[1] * 0.56, top[3] * 0.44 + top[2] * 0.56])
    canvas.plane(np.concatenate([tape, [top[3] * 0.56 + top[2] * 0.44]]), (120, 190, 214))


def shade_parcel(shadow: Shade, parcel: Thing) -> None:
    """Add a parcel's shadow."""
    low, high = _parcel_corners(parcel)
    shadow.slab(low + np.array([0, high, 0]))
