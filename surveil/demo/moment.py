"""What is in the yard at one moment, before it is drawn: everything that a picture follows from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from surveil.messages import Box

Label = Literal["person", "car", "dog", "parcel"]
LABELS: tuple[Label, ...] = ("person", "car", "dog", "parcel")
"""What the detector is taught, in the order of its classes."""

Activity = Literal["walking", "standing", "running", "climbing", "crouching", "meeting", "driving", "parked", "lying"]
Place = Literal["yard", "path", "fence", "road"]

FENCE_Z = 14.0
FENCE_HIGH = 1.35
YARD = ((0.22, 0.62), (0.98, 0.62), (0.98, 1.0), (0.0, 1.0), (0.0, 0.78))
"""The lawn inside the fence as a zone of the picture: where the feet of who is in the yard are."""


@dataclass(frozen=True, slots=True)
class Thing:
    """One person, car, dog or parcel. `look` is the seed of what it looks like, `who` tells it from others.

    Args:
        x, z: where it stands, in metres right of and away from the camera; `lift` is how far above the ground.
        heading: where it faces, in radians: 0 is right, pi / 2 away from the camera.
        phase: how far its motion has come, in steps (people, dogs) or from 0 to 1 over the fence (climbing).
    """

    label: Label
    who: int
    look: int
    x: float
    z: float
    heading: float = 0.0
    activity: Activity = "standing"
    phase: float = 0.0
    lift: float = 0.0
    carries: bool = False


@dataclass(frozen=True, slots=True)
class Light:
    """The light of one moment: `darkness` from 0 (day) to 1 (night); the rest is how a day or a night is.

    Args:
        bright: exposure, about 1.
        warm: from -1 (blue) to 1 (golden).
        sun: how hard shadows are, 0 (overcast) to 1.
        towards: how far right and away a shadow falls for each metre of height.
        noise: the sensor's, about 1.
    """

    darkness: float = 0.0
    bright: float = 1.0
    warm: float = 0.0
    sun: float = 0.7
    towards: tuple[float, float] = (0.9, 0.35)
    noise: float = 1.0

    @property
    def night(self) -> bool:
        """Whether people would call it night."""
        return self.darkness >= 0.5


@dataclass(frozen=True, slots=True)
class Moment:
    """All that is in one picture. `cover` is how much of the lens a cloth hides, 0 to 1; `grain` seeds the noise."""

    light: Light
    things: tuple[Thing, ...] = ()
    cover: float = 0.0
    grain: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing as a picture shows it: `box` is around its visible part, `visible` how much of it that is, 0 to 1."""

    thing: Thing
    box: Box
    visible: float

    @property
    def place(self) -> Place:
        """Where it is."""
        if self.thing.activity == "climbing":
            return "fence"
        if self.thing.z < FENCE_Z:
            return "yard"
        return "path" if self.thing.z < 17.7 else "road"


@dataclass(frozen=True, slots=True)
class Truth:
    """What a picture shows, known because it was drawn."""

    seen: tuple[Seen, ...]
    night: bool
    covered: bool

    def of(self, label: Label) -> tuple[Seen, ...]:
        """Return what is seen of one kind."""
        return tuple(one for one in self.seen if one.thing.label == label)
