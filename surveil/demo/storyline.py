"""What happens in the yard: about a minute that begins anew for ever, each time with other people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from surveil.demo.lens import FPS
from surveil.demo.moment import Light, Moment, Thing
from surveil.demo.moves import Route, Stop

LOOP_SECONDS = 70.0
_PI = float(np.pi)

_PASSER = Route(Thing("person", 1, 1, 0, 0), (Stop(2.5, -6.8, 16.0), Stop(14.5, 10.4, 16.0)))
_PASSERS_DOG = Route(Thing("dog", 2, 2, 0, 0), (Stop(2.2, -6.3, 15.5), Stop(14.2, 10.9, 15.5)))
_CAR = Route(Thing("car", 3, 3, 0, 0), (Stop(14.0, -10.5, 19.8, "driving"), Stop(17.2, 16.5, 19.8, "driving")))
_OTHER_CAR = Route(Thing("car", 4, 4, 0, 0), (Stop(16.5, 18.5, 22.8, "driving"), Stop(20.0, -12, 22.8, "driving")))
_CLIMBER = Route(
    Thing("person", 5, 5, 0, 0),
    (
        Stop(20.5, 10.0, 15.4),
        Stop(28.0, -1.0, 14.9),
        Stop(28.6, -1.4, 14.25, "climbing", -_PI / 2),
        Stop(32.1, -1.4, 13.4),
        Stop(35.3, -2.4, 10.3, "crouching", -_PI / 2 - 0.5),
        Stop(39.5, -2.4, 10.3, "running"),
        Stop(42.6, 7.0, 8.4),
    ),
)
_PARCEL = Route(Thing("parcel", 6, 6, 0, 0), (Stop(36.5, -2.75, 9.6, "lying", 0.3), Stop(60.0, -2.75, 9.6)))
_FIRST = Route(
    Thing("person", 7, 7, 0, 0),
    (Stop(44.5, 6.6, 8.6), Stop(48.2, 1.5, 9.4, "meeting", 0.1), Stop(53.5, 1.5, 9.4), Stop(57.8, 6.9, 8.3)),
)
_SECOND = Route(
    Thing("person", 8, 8, 0, 0),
    (
        Stop(43.0, 2.65, 15.4),
        Stop(43.9, 2.65, 14.1),
        Stop(47.6, 2.45, 9.5, "meeting", _PI - 0.1),
        Stop(53.8, 2.45, 9.5),
        Stop(58.0, 7.2, 8.9),
    ),
)
ROUTES = (_PASSER, _PASSERS_DOG, _CAR, _OTHER_CAR, _CLIMBER, _PARCEL, _FIRST, _SECOND)

_DARKNESS = ((0, 0), (18.5, 0), (24.0, 1), (60.0, 1), (61.8, 0), (LOOP_SECONDS, 0))
_COVER = ((0, 0), (58.4, 0), (59.2, 1), (66.5, 1), (67.3, 0), (LOOP_SECONDS, 0))
"""Long enough that it is noticed: the trigger wants a few seconds of it, so that no passing bird is one."""


def moment(seed: int, seconds: float) -> Moment:
    """Return what is in the yard of a seed, so many seconds after the beginning."""
    turn, now = divmod(seconds, LOOP_SECONDS)
    there = (route.at(now) for route in ROUTES)
    look = np.random.default_rng([seed, int(turn), 11]).integers(1 << 30, size=16)
    things = tuple(
        replace(thing, look=int(look[thing.who]), who=thing.who + 16 * int(turn))
        for thing in there
        if thing is not None
    )
    light = Light(
        darkness=_curve(_DARKNESS, now),
        # Clouds pass: slowly, by a few percent.
        bright=1.0 + 0.03 * float(np.sin(seconds / 7)),
        warm=0.6 * float(np.interp(now, [8, 20], [0, 1])) * (1 - _curve(_DARKNESS, now)),
        sun=0.75 + 0.2 * float(np.sin(seconds / 11)),
    )
    return Moment(light, things, _curve(_COVER, now), int(seconds * FPS) + seed)


def _curve(knots: tuple[tuple[float, float], ...], now: float) -> float:
    return float(np.interp(now, [at for at, _ in knots], [value for _, value in knots]))
