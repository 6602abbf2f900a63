"""How a body stands, walks, runs, climbs and crouches: joints in metres from a few angles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from surveil.demo.lens import Points
from surveil.demo.moment import Activity, Thing

_THIGH, _SHIN, _TORSO = 0.44, 0.45, 0.50
_UPPER_ARM, _FOREARM = 0.29, 0.27
_HIPS, _SHOULDERS = 0.10, 0.19
_FOOT = 0.16


@dataclass(frozen=True, slots=True)
class Angles:
    """A posture in radians; pairs are left and right.

    `thighs` and `arms` turn forward from hanging down, `knees` and `elbows` bend, `lean` is the back's, `spread` opens
    arms and legs sideways, `rise` is how far the body is above where its feet would have it, in metres.
    """

    thighs: tuple[float, float] = (0.0, 0.0)
    knees: tuple[float, float] = (0.0, 0.0)
    arms: tuple[float, float] = (0.0, 0.0)
    elbows: tuple[float, float] = (0.15, 0.15)
    lean: float = 0.02
    spread: tuple[float, float] = (0.12, 0.03)
    rise: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Joints:
    """A body's joints, each (3,) metres in the yard; pairs are left and right."""

    pelvis: Points
    neck: Points
    head: Points
    hips: tuple[Points, Points]
    knees: tuple[Points, Points]
    ankles: tuple[Points, Points]
    toes: tuple[Points, Points]
    shoulders: tuple[Points, Points]
    elbows: tuple[Points, Points]
    hands: tuple[Points, Points]


def angles(activity: Activity, phase: float, carries: bool) -> Angles:
    """Return the posture of one moment of an activity."""
    posture = _POSTURES.get(activity, _standing)(phase)
    if carries and activity in {"walking", "standing"}:
        return Angles(
            posture.thighs, posture.knees, (0.35, 0.35), (1.25, 1.25), posture.lean + 0.05, (0.05, 0.03), posture.rise
        )
    return posture


def joints(thing: Thing, height: float) -> Joints:
    """Return where a person's joints are; `height` in metres."""
    posture = angles(thing.activity, thing.phase, thing.carries)
    forward = np.array([np.cos(thing.heading), 0.0, np.sin(thing.heading)])
    left = np.array([-np.sin(thing.heading), 0.0, np.cos(thing.heading)])
    return _Body(forward, left, height / 1.78, posture).stand(np.array([thing.x, thing.lift, thing.z]))


@dataclass(frozen=True, slots=True, eq=False)
class _Body:
    forward: Points
    left: Points
    size: float
    posture: Angles

    def stand(self, at: Points) -> Joints:
        """Put the lower foot on the ground at `at`, (3,) metres."""
        legs = [self._leg(np.zeros(3), side) for side in (0, 1)]
        lowest = min(float(ankle[1]) for _, ankle in legs)
        pelvis = at + np.array([0, -lowest + 0.07 * self.size + self.posture.rise, 0])
        hips = [pelvis + self._aside(side, _HIPS) for side in (0, 1)]
        legs = [self._leg(hip, side) for side, hip in enumerate(hips)]
        neck = pelvis + self._turned(np.pi - self.posture.lean, _TORSO)
        head = neck + self._turned(np.pi - 0.6 * self.posture.lean - 0.08, 0.24)
        shoulders = [neck + self._aside(side, _SHOULDERS) - np.array([0, 0.04, 0]) for side in (0, 1)]
        arms = [self._arm(shoulder, side) for side, shoulder in enumerate(shoulders)]
        knees, ankles = zip(*legs, strict=True)
        elbows, hands = zip(*arms, strict=True)
        toes = [ankle + self._toe(side) for side, ankle in enumerate(ankles)]
        pairs = (hips, knees, ankles, toes, shoulders, elbows, hands)
        return Joints(pelvis, neck, head, *((pair[0], pair[1]) for pair in pairs))

    def _turned(self, angle: float, length: float, out: float = 0.0, side: int = 0) -> Points:
        """Return a bone that hangs down at angle 0 and points forward at pi / 2, opened sideways by `out`."""
        down = np.array([0, -np.cos(angle) * np.cos(out), 0])
        outward = self.left * np.sin(out) * (1 if side == 0 else -1)
        return np.asarray((self.forward * np.sin(angle) * np.cos(out) + down + outward) * length * self.size)

    def _aside(self, side: int, far: float) -> Points:
        return self.left * (far if side == 0 else -far) * self.size

    def _leg(self, hip: Points, side: int) -> tuple[Points, Points]:
        thigh, bent, out = self.posture.thighs[side], self.posture.knees[side], self.posture.spread[1]
        knee = hip + self._turned(thigh, _THIGH, out, side)
        return knee, knee + self._turned(thigh - bent, _SHIN, out * 0.3, side)

    def _toe(self, side: int) -> Points:
        tilt = self.posture.thighs[side] - self.posture.knees[side]
        return np.asarray(self._turned(np.pi / 2 + 0.8 * min(0.0, tilt), _FOOT) - np.array([0, 0.05 * self.size, 0]))

    def _arm(self, shoulder: Points, side: int) -> tuple[Points, Points]:
        upper, bent, out = self.posture.arms[side], self.posture.elbows[side], self.posture.spread[0]
        elbow = shoulder + self._turned(upper, _UPPER_ARM, out, side)
        return elbow, elbow + self._turned(upper + bent, _FOREARM, out * 0.5, side)


def _swing(phase: float) -> tuple[float, float]:
    return float(np.sin(np.pi * phase)), float(np.cos(np.pi * phase))


def _walking(phase: float) -> Angles:
    swing, lifting = _swing(phase)
    return Angles(
        thighs=(0.08 + 0.46 * swing, 0.08 - 0.46 * swing),
        knees=(0.12 + 0.6 * max(0.0, lifting), 0.12 + 0.6 * max(0.0, -lifting)),
        arms=(-0.42 * swing, 0.42 * swing),
        elbows=(0.3, 0.3),
        lean=0.05,
    )


def _running(phase: float) -> Angles:
    swing, lifting = _swing(phase)
    return Angles(
        thighs=(0.3 + 0.95 * swing, 0.3 - 0.95 * swing),
        knees=(0.45 + 1.35 * max(0.0, lifting), 0.45 + 1.35 * max(0.0, -lifting)),
        arms=(-0.95 * swing, 0.95 * swing),
        elbows=(1.6, 1.6),
        lean=0.36,
        rise=0.07 * abs(lifting),
    )


def _standing(phase: float) -> Angles:
    sway = 0.03 * float(np.sin(phase))
    return Angles(thighs=(0.02, -0.02), knees=(0.02, 0.02), arms=(sway, -sway), lean=0.02 + sway / 2)


def _meeting(phase: float) -> Angles:
    talk = 0.5 + 0.5 * float(np.sin(2.4 * phase))
    return Angles(
        thighs=(0.05, -0.05),
        arms=(0.65 + 0.5 * talk, 0.1),
        elbows=(0.9 + 0.4 * talk, 0.2),
        lean=0.06,
        spread=(0.2, 0.05),
    )


def _crouching(phase: float) -> Angles:
    down = min(1.0, max(0.0, phase))
    return Angles(
        thighs=(1.75 * down, 1.35 * down),
        knees=(2.3 * down, 2.2 * down),
        arms=(0.5 + 0.45 * down, 0.5 + 0.45 * down),
        elbows=(0.5, 0.5),
        lean=0.75 * down,
        spread=(0.08, 0.16),
    )


def _climbing(phase: float) -> Angles:
    """From grasping the fence (0) over sitting astride it (0.5) to the jump down (1)."""
    if phase < 0.4:
        pull = phase / 0.4
        return Angles((0.5 + 1.2 * pull, 0.1), (0.9 + 1.0 * pull, 0.15), (2.7, 2.9), (0.35, 0.3), 0.12, (0.35, 0.2))
    if phase < 0.75:
        return Angles((1.5, -0.35), (1.7, 1.1), (1.0, 0.8), (0.5, 0.5), 0.7, (0.5, 0.75))
    return Angles((0.9, 0.7), (1.2, 1.0), (2.5, 2.2), (0.4, 0.4), 0.3, (0.75, 0.25))


_POSTURES: dict[Activity, Callable[[float], Angles]] = {
    "walking": _walking,
    "running": _running,
    "standing": _standing,
    "meeting": _meeting,
    "crouching": _crouching,
    "climbing": _climbing,
}
