"""Random situations in random yards: what the models learn from, by seed, far more varied than the storyline."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Literal

import numpy as np

from surveil.demo.moment import FENCE_Z, Activity, Light, Moment, Thing
from surveil.demo.moves import over_fence
from surveil.demo.scene import Scene

Split = Literal["train", "val", "held_out"]
_FIRST: dict[Split, int] = {"train": 1_000_000, "val": 2_000_000, "held_out": 3_000_000}
YARDS: dict[Split, int] = {"train": 160, "val": 20, "held_out": 50}
"""How many yards there are to each part; no yard and no person is in two of them."""
_IN_YARD: tuple[Activity, ...] = ("walking", "standing", "running", "crouching")
_ON_PATH: tuple[Activity, ...] = ("walking", "walking", "standing", "running")


def dice_for(split: Split, number: int) -> np.random.Generator:
    """Return the dice of one sample of a part."""
    return np.random.default_rng([_FIRST[split], number])


@lru_cache(maxsize=8)
def scene(split: Split, number: int) -> Scene:
    """Return one of a part's yards."""
    return Scene(_FIRST[split] + number % YARDS[split])


def light(dice: np.random.Generator, dusk: float = 0.15) -> Light:
    """Return some light; `dusk` is how often it is between day and night."""
    darkness = float(dice.uniform(0.85, 1) if dice.random() < 0.5 else dice.uniform(0, 0.12))
    if dice.random() < dusk:
        darkness = float(dice.uniform(0.12, 0.85))
    return Light(
        darkness=darkness,
        bright=float(dice.uniform(0.75, 1.2)),
        warm=float(dice.uniform(-0.6, 1.0)),
        sun=float(max(0.0, dice.uniform(-0.4, 1.0))),
        towards=(float(dice.uniform(-2.2, 2.2)), float(dice.uniform(-0.4, 0.8))),
        noise=float(dice.uniform(0.4, 1.5)),
    )


def in_yard(dice: np.random.Generator, who: int, activity: Activity) -> Thing:
    """Return a person somewhere on the lawn, inside the picture."""
    z = float(dice.uniform(6.9, 13.3))
    x = float(dice.uniform(max(-4.6, -0.58 * z), min(6.5, 0.58 * z)))
    phase = 1.0 if activity == "crouching" else float(dice.uniform(0, 8))
    return Thing("person", who, look(dice), x, z, float(dice.uniform(0, 2 * np.pi)), activity, phase)


def on_path(dice: np.random.Generator, who: int, activity: Activity) -> Thing:
    """Return a person on the footpath beyond the fence."""
    heading = float(dice.choice([0, np.pi]) + dice.normal(0, 0.08))
    if activity == "standing":
        heading = float(dice.uniform(0, 2 * np.pi))
    x, z = float(dice.uniform(-5.8, 9.2)), float(dice.uniform(14.9, 17.2))
    return Thing("person", who, look(dice), x, z, heading, activity, float(dice.uniform(0, 8)))


def at_fence(dice: np.random.Generator, who: int) -> Thing:
    """Return a person who climbs over the fence."""
    x, heading = float(dice.uniform(-4.8, 8.2)), float(-np.pi / 2 + dice.normal(0, 0.35))
    return over_fence(
        Thing("person", who, look(dice), x, FENCE_Z, heading, "climbing", float(dice.uniform(0.08, 0.95)))
    )


def meeting(dice: np.random.Generator, who: int) -> tuple[Thing, Thing]:
    """Return two people who stand and talk, mostly in the yard."""
    first = in_yard(dice, who, "meeting") if dice.random() < 0.7 else on_path(dice, who, "standing")
    angle, far = float(dice.uniform(-0.6, 0.6)), float(dice.uniform(0.75, 1.1))
    x = first.x + far * np.cos(angle) * (-1 if first.x > 3 else 1)
    z = first.z + far * np.sin(angle) * 0.7
    towards = float(np.arctan2(z - first.z, x - first.x))
    first = replace(first, activity="meeting", heading=towards)
    other = replace(first, who=who + 1, look=look(dice), x=float(x), z=float(z), heading=towards + np.pi)
    return first, replace(other, phase=float(dice.uniform(0, 8)))


def people(dice: np.random.Generator, most: int = 5) -> list[Thing]:
    """Return up to `most` people here and there."""
    wanted = int(dice.choice(6, p=[0.16, 0.36, 0.26, 0.12, 0.06, 0.04]))
    found: list[Thing] = []
    while len(found) < min(wanted, most):
        who, kind = len(found) + 1, dice.random()
        if kind < 0.17 and len(found) + 2 <= most:
            found += meeting(dice, who)
        elif kind < 0.33:
            found.append(at_fence(dice, who))
        elif kind < 0.62:
            found.append(on_path(dice, who, _ON_PATH[dice.integers(len(_ON_PATH))]))
        else:
            found.append(in_yard(dice, who, _IN_YARD[dice.integers(len(_IN_YARD))]))
    return found


Chances = tuple[float, float, float]
"""How often there are none, one and two of a kind."""
SOME: Chances = (0.5, 0.38, 0.12)
FEW: Chances = (0.72, 0.24, 0.04)


def goods(dice: np.random.Generator, chances: Chances = SOME) -> list[Thing]:
    """Return cars, and dogs and parcels as often as `chances` says."""
    found: list[Thing] = []
    for lane, z in ((0.0, 19.8), (float(np.pi), 22.8)):
        if dice.random() < 0.22:
            doing: Activity = "driving" if dice.random() < 0.7 else "parked"
            found.append(Thing("car", 30 + len(found), look(dice), dice.uniform(-8, 13), z, lane, doing))
    for _ in range(int(dice.choice(3, p=chances))):
        there = in_yard(dice, 40 + len(found), "walking") if dice.random() < 0.5 else on_path(dice, 40, "walking")
        doing = ("walking", "standing", "running")[dice.integers(3)]
        found.append(replace(there, label="dog", who=40 + len(found), activity=doing))
    for _ in range(int(dice.choice(3, p=chances))):
        lies = in_yard(dice, 50 + len(found), "standing")
        found.append(replace(lies, label="parcel", activity="lying", phase=0.0))
    return found


def carried(dice: np.random.Generator, carriers: list[Thing]) -> list[Thing]:
    """Let one of the people who walk in the yard carry a parcel, now and then."""
    for at, person in enumerate(carriers):
        if person.activity == "walking" and person.z < FENCE_Z and dice.random() < 0.15:
            carriers[at] = replace(person, carries=True)
            x, z = person.x + 0.36 * np.cos(person.heading), person.z + 0.36 * np.sin(person.heading)
            held = Thing("parcel", 60 + at, look(dice), float(x), float(z), person.heading, "lying", lift=0.92)
            return [held]
    return []


def cover(dice: np.random.Generator) -> float:
    """Return how far a cloth is over the lens: nearly always not at all."""
    chance = dice.random()
    return float(dice.uniform(0, 0.6)) if chance < 0.03 else float(dice.uniform(0.8, 1)) if chance < 0.05 else 0.0


def moment(dice: np.random.Generator) -> Moment:
    """Return a situation for the detector to learn from."""
    there = people(dice)
    things = [*goods(dice), *carried(dice, there), *there]
    return Moment(light(dice), tuple(things), cover(dice), int(dice.integers(1 << 30)))


def look(dice: np.random.Generator) -> int:
    """Return a seed for what somebody or something looks like."""
    return int(dice.integers(1 << 30))
