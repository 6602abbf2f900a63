"""The seams between rooms and the world: five small Protocols and the errors their implementations raise.

SurveilError
├── CaptureError        a camera or file cannot be opened or read
│   ├── AuthFailed      it is there, but refuses the user name or password
│   └── EndOfFile       a recorded file is over
├── ModelError          a detector model cannot be loaded or run
├── AssessorError       the VLM gave no usable answer
├── BrokerError         the MQTT broker cannot be reached or refuses
└── StorageError        the storage path cannot be written
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from surveil.messages import (
    Answer,
    AssessmentRequest,
    Decision,
    Detections,
    Finding,
    Frame,
    Image,
    Observation,
)


class SurveilError(Exception):
    """A fault with one clear line for people: what, where, what to do."""


class CaptureError(SurveilError):
    """A camera or file cannot be opened or read."""


class AuthFailed(CaptureError):
    """A camera is there but refuses the user name or password."""


class EndOfFile(CaptureError):
    """A recorded file is over."""


class ModelError(SurveilError):
    """A detector model cannot be loaded or run."""


class AssessorError(SurveilError):
    """The VLM gave no usable answer."""


class BrokerError(SurveilError):
    """The MQTT broker cannot be reached or refuses."""


class StorageError(SurveilError):
    """The storage path cannot be written."""


class FrameSource(Protocol):
    """A camera or file. Used by one thread; `frames` raises CaptureError when it breaks."""

    def open(self) -> None:
        """Connect, within the source's own time-outs."""

    def frames(self) -> Iterator[Frame]:
        """Yield every frame in order until the source ends or breaks."""

    def close(self) -> None:
        """Let go of the connection; allowed at any time, also twice."""


Pending = Callable[[], list[Detections]]
"""Waits for what was started and returns one Detections a picture, in that picture's own pixels; called once."""


class Detector(Protocol):
    """A model that finds things in pictures. Owned by one thread."""

    labels: tuple[str, ...]
    """Class names, by class id."""
    input_size: tuple[int, int]
    """Height and width in pixels that a picture is fitted into."""
    name: str
    """Model and device, for people."""
    batch: int
    """How many pictures it takes in one go."""
    depth: int
    """How many goes may be under way at a time; more than one where that keeps the device busy."""

    def start(self, images: Sequence[Image]) -> Pending:
        """Begin with at most `batch` pictures; what is returned, or this, raises ModelError."""


class Rule(Protocol):
    """A reason to tell somebody. Pure: the same observations give the same findings."""

    def evaluate(self, observation: Observation) -> list[Finding]:
        """Return what matters in this frame, most often nothing."""


Tell = Callable[[AssessmentRequest, Answer | AssessorError], None]
"""Is given what came of a request, once for each."""


class Assessor(Protocol):
    """A VLM, asked from the assessment stage's event loop."""

    batch: int
    """How many requests it takes in one go."""
    depth: int
    """How many goes may be under way at a time."""

    @property
    def fault(self) -> str | None:
        """What keeps it from answering now, for people; None when nothing is known to."""

    async def start(self) -> str:
        """Load or connect; return the model's name. Raises AssessorError; may be tried again later."""

    async def assess(self, requests: Sequence[AssessmentRequest], tell: Tell) -> None:
        """Call `tell` with what came of each request, as soon as it is known; cancelled after their last deadline."""

    async def close(self) -> None:
        """Let go of the model; nothing of it keeps running."""


class AlertSink(Protocol):
    """Where decided alerts go."""

    def deliver(self, decision: Decision) -> None:
        """Take one decision with an alert in it; must not block."""
