"""The small vocabulary that all rooms speak: what is handed from one to the next, frozen.

Two clocks run through it. `at` is monotonic seconds and is what every decision is made on; `wall` is UNIX
seconds and is only what people read. A replayed file brings both from the video's own time.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""A picture: uint8 (height, width, 3), blue first, as OpenCV has it."""

Picture = Callable[[], Image]
"""Makes a picture, at a cost: called by the thread that needs it, never by the one that decides."""

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 as fractions of the picture, 0 to 1."""

Kind = Literal["person", "object", "anomaly"]
Phase = Literal["new", "update", "end"]
EndReason = Literal["quiet", "split", "camera_lost", "disabled", "restart"]
AssessmentState = Literal["pending", "done", "failed", "expired", "shed", "disabled"]
Verdict = Literal["confirmed", "unclear", "not_seen"]
Flag = Literal["counts_differ", "not_detected", "text_instructs", "views_differ"]
CameraState = Literal[
    "connecting", "online", "offline", "stalled", "auth_failed", "frozen", "covered", "blurred", "moved",
    "flooded", "degraded", "disabled",
]  # fmt: skip


class Level(enum.IntEnum):
    """A risk level; its value is the score at which it begins (CONTRACT section 4)."""

    none = 0
    low = 20
    medium = 40
    high = 60
    critical = 80

    @classmethod
    def of(cls, score: float) -> Level:
        """Return the highest level that begins at or below `score` (0 to 100)."""
        return max(level for level in cls if level.value <= max(score, 0))


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded picture of one camera.

    `image` has the detector's size; `full` makes the picture at the camera's own size, at a cost, so it is
    called only for frames that become evidence. `at` and `wall` are the moment its last packet was read.
    """

    camera: str
    index: int
    at: float
    wall: float
    image: Image
    full: Picture


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """What a detector saw in one picture: `xyxy` float32 (n, 4) pixels, `confidence` (n,), `class_id` (n,)."""

    xyxy: NDArray[np.float32]
    confidence: NDArray[np.float32]
    class_id: NDArray[np.int64]

    def __post_init__(self) -> None:
        n = len(self.confidence)
        for name, array, shape in (
            ("xyxy", self.xyxy, (n, 4)),
            ("confidence", self.confidence, (n,)),
            ("class_id", self.class_id, (n,)),
        ):
            if array.shape != shape:
                raise ValueError(f"Detections.{name} has shape {array.shape}, expected {shape}")

    def __len__(self) -> int:
        return len(self.confidence)

    def where(self, keep: NDArray[np.bool_]) -> Detections:
        """Return only the rows in which `keep`, bool (n,), is true."""
        return Detections(self.xyxy[keep], self.confidence[keep], self.class_id[keep])

    @classmethod
    def empty(cls) -> Detections:
        """Return what a picture without anything in it gives."""
        return cls(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int64))


@dataclass(frozen=True, slots=True)
class Track:
    """One tracked thing in one frame; `id` is unique within its camera and process.

    One that is `predicted` was not looked for in this frame: it is where its motion puts it.
    """

    id: int
    label: str
    confidence: float
    box: Box
    predicted: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """What detect hands to trigger: a frame and the tracks that were seen in it."""

    frame: Frame
    tracks: tuple[Track, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """A tracked thing as an alert tells of it."""

    track: int
    label: str
    confidence: float
    box: Box
    dwell_s: float
    zones: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule's word that something matters in one frame.

    `rule` is its name as subscribers read it, `reason` one sentence for people, `seconds` how long it has held.
    `things` are what it is about where no track stands for that; their `track` counts down from -1 in each camera.
    """

    rule: str
    kind: Kind
    severity: Level
    tracks: frozenset[int]
    reason: str
    seconds: float = 0.0
    things: tuple[Subject, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Keyframe:
    """A view chosen for the VLM, with who is in it; `image` makes it small enough for the VLM's token budget.

    `others` is what was seen beside the subjects. A closer view, of a subject that is small in the whole picture, shows
    nothing but its surroundings: `region` is the part of the whole picture that it shows, None for all of it.
    """

    at: float
    image: Picture
    subjects: tuple[Subject, ...]
    others: tuple[Track, ...] = ()
    region: Box | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known without a VLM and told to it."""

    camera: str
    context: str
    local_time: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class AssessmentRequest:
    """A question to the VLM about one incident. `deadline_at` is monotonic; after it no answer is wanted.

    `look` counts the questions about one incident from 1. One that is not `within_budget` has no keyframes and is
    shed: it is asked only so that the accounts add up.
    """

    incident: str
    camera: str
    floor: Level
    triggered_at: float
    deadline_at: float
    keyframes: tuple[Keyframe, ...]
    facts: Facts
    within_budget: bool = True
    look: int = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said, cleaned and within its bounds; `score` is 0 to 100, `confidence` 0 to 1.

    `flags` are our doubts about it (`assess.doubts`): they are told, and nothing is lowered on the word of an answer
    that has one.
    """

    score: int
    verdict: Verdict
    summary: str
    activity: str
    evidence: tuple[str, ...]
    recommended_action: str
    scene_text: str
    confidence: float
    model: str
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True, slots=True)
class Assessment:
    """How a request ended: an answer, or an honest word that there is none; `look` is the request's."""

    incident: str
    camera: str
    state: AssessmentState
    answer: Answer | None = None
    latency_ms: int | None = None
    error: str | None = None
    look: int = 1


@dataclass(frozen=True, slots=True)
class Risk:
    """`level` is never below `floor`, which is the highest severity of the rules that fired."""

    level: Level
    score: int
    source: Literal["rules", "vlm"]
    floor: Level

    @classmethod
    def of(cls, floor: Level, score: int | None) -> Risk:
        """Return the floor, or what a VLM's score raises it to; None is no score.

        `critical` comes from rules only, so the highest that a VLM can say is the last score below it.
        """
        said = -1 if score is None else min(score, Level.critical - 1)
        if said > floor:
            return cls(Level.of(said), said, "vlm", floor)
        return cls(floor, int(floor), "rules", floor)


@dataclass(frozen=True, slots=True)
class Alert:
    """One revision of one incident, as decided. The wire form is `deliver.wire.AlertMessage`."""

    id: str
    rev: int
    phase: Phase
    changed: tuple[str, ...]
    notify: bool
    camera: str
    kind: Kind
    rules: tuple[str, ...]
    reason: str
    started: float
    updated: float
    ended: float | None
    risk: Risk
    assessment: Assessment
    subjects: tuple[Subject, ...]
    end_reason: EndReason | None = None
    previous: str | None = None
    suppressed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """What trigger decided at one moment: an alert to send, a question to ask, or both.

    `captured_at` is the monotonic capture of the frame that caused it; None where time alone did.
    `picture` makes the full picture that becomes the incident's snapshot, when it changed; `clip` is where its video
    lies below the storage path, once there is one.
    """

    alert: Alert | None = None
    request: AssessmentRequest | None = None
    captured_at: float | None = None
    picture: Picture | None = None
    clip: str | None = None


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """A camera's state as `<camera>/status` tells it; `since` is UNIX seconds.

    `over`: it is a recording that has been read to its end, and no camera that is missed.
    """

    camera: str
    state: CameraState
    since: float
    detail: str = ""
    over: bool = False
