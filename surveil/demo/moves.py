"""How people and things get from one place to another: the same for the storyline and for training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from surveil.demo.moment import FENCE_Z, Activity, Thing

SPEEDS: dict[Activity, float] = {"walking": 1.4, "running": 3.4, "driving": 8.5}
"""Metres a second; of all other activities nobody moves on."""
_STEPS: dict[Activity, float] = {"walking": 0.72, "running": 1.25}
"""Metres a step."""
CLIMB_SECONDS = 3.5


def after(thing: Thing, seconds: float) -> Thing:
    """Return a thing as it goes on for some seconds, straight ahead (or back in time, where they are negative)."""
    if thing.activity == "climbing":
        phase = min(0.97, max(0.03, thing.phase + seconds / CLIMB_SECONDS))
        return over_fence(replace(thing, phase=phase))
    far = SPEEDS.get(thing.activity, 0.0) * seconds * (1.25 if thing.label == "dog" else 1.0)
    steps = far / _STEPS[thing.activity] if thing.activity in _STEPS else seconds
    if thing.activity == "crouching":
        steps = 0.0
    x, z = thing.x + far * np.cos(thing.heading), thing.z + far * np.sin(thing.heading)
    return replace(thing, x=float(x), z=float(z), phase=thing.phase + steps)


def over_fence(person: Thing) -> Thing:
    """Put a climbing person where its phase, 0 to 1, has brought it: up outside, astride, and down inside."""
    phase = person.phase
    lift = float(np.interp(phase, [0.0, 0.1, 0.4, 0.75, 0.95, 1.0], [0.0, 0.1, 0.72, 0.72, 0.05, 0.0]))
    z = FENCE_Z + float(np.interp(phase, [0.0, 0.38, 0.4, 0.75, 1.0], [0.22, 0.12, -0.02, -0.04, -0.6]))
    return replace(person, z=z, lift=lift)


@dataclass(frozen=True, slots=True)
class Stop:
    """A place at a time: seconds, and metres right of and away from the camera; `activity` is how it goes on there."""

    at: float
    x: float
    z: float
    activity: Activity = "walking"
    heading: float | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """A person's, dog's or car's way through the scene: `thing` at the first stop, gone after the last."""

    thing: Thing
    stops: tuple[Stop, ...]

    def at(self, seconds: float) -> Thing | None:
        """Return the thing as it is at a moment; None before it comes and after it has gone."""
        far = 0.0
        for here, there in pairwise(self.stops):
            part = (seconds - here.at) / (there.at - here.at)
            if part < 0:
                return None
            if part <= 1:
                return self._between(here, there, part, far)
            far += float(np.hypot(there.x - here.x, there.z - here.z))
        return None

    def _between(self, here: Stop, there: Stop, part: float, far: float) -> Thing:
        across, away = there.x - here.x, there.z - here.z
        length = float(np.hypot(across, away))
        heading = here.heading if here.heading is not None else float(np.arctan2(away, across))
        moved = replace(self.thing, x=here.x + part * across, z=here.z + part * away, heading=heading)
        if here.activity == "climbing":
            return over_fence(replace(moved, activity="climbing", phase=part))
        if here.activity == "crouching":
            # Down within the first quarter of the time, and up within the last.
            return replace(moved, activity="crouching", phase=min(1.0, 4 * part, 4 * (1 - part)))
        steps = (far + part * length) / _STEPS.get(here.activity, 1.0)
        phase = steps if here.activity in _STEPS else part * (there.at - here.at)
        return replace(moved, activity=here.activity, phase=phase)
