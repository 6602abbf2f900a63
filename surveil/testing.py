"""Doubles that ship: for the tests of surveil, and of whoever writes a rule, a model or a sink for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from surveil.interfaces import AssessorError, Pending, Tell
from surveil.messages import (
    Answer,
    AssessmentRequest,
    Box,
    Decision,
    Detections,
    Frame,
    Image,
    Observation,
    Track,
)


class SimulatedClock:
    """A clock that moves only when told to; both times begin at a fixed moment."""

    def __init__(self, at: float = 1000.0, wall: float = 946_728_000.0) -> None:
        self.at = at
        self._offset = wall - at

    def monotonic(self) -> float:
        """Return the simulated monotonic seconds."""
        return self.at

    def wall(self) -> float:
        """Return the simulated UNIX seconds."""
        return self.at + self._offset

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.at += seconds


def picture(width: int = 64, height: int = 36, value: int = 127) -> Image:
    """Return a plain picture."""
    return np.full((height, width, 3), value, np.uint8)


def frame(at: float, camera: str = "front", index: int = 0, image: Image | None = None) -> Frame:
    """Return a frame captured at monotonic `at`; its wall time is noon of 2000-01-01 plus `at`."""
    image = picture() if image is None else image
    return Frame(camera, index, at, 946_728_000.0 + at, image, lambda: image)


def track(number: int = 1, label: str = "person", confidence: float = 0.9, box: Box = (0.4, 0.3, 0.6, 0.9)) -> Track:
    """Return a track, by default a person in the middle of the picture."""
    return Track(number, label, confidence, box)


def observation(at: float, *tracks: Track, camera: str = "front") -> Observation:
    """Return what was seen at monotonic `at`."""
    return Observation(frame(at, camera), tracks)


def visit(begin: float, end: float, fps: float = 10.0, number: int = 1) -> Iterator[Observation]:
    """Yield a person who is in view from `begin` to `end` seconds."""
    for step in range(round((end - begin) * fps) + 1):
        yield observation(begin + step / fps, track(number))


class ScriptedDetector:
    """A Detector that gives what it was told to, picture by picture, then nothing."""

    labels: tuple[str, ...] = ("person", "car")
    input_size = (36, 64)
    name = "scripted"
    batch = 8
    depth = 1

    def __init__(self, *script: Detections) -> None:
        self._script = list(script)
        self.batches: list[int] = []

    def start(self, images: Sequence[Image]) -> Pending:
        """Return the next entries of the script."""
        self.batches.append(len(images))
        found = [self._script.pop(0) if self._script else Detections.empty() for _ in images]
        return lambda: found


class ScriptedAssessor:
    """An Assessor whose answers, and faults, were written before."""

    batch = 1
    depth = 1
    fault = None

    def __init__(self, *script: Answer | AssessorError) -> None:
        self._script = list(script)
        self.asked: list[str] = []
        self.requests: list[AssessmentRequest] = []

    async def start(self) -> str:
        """Return its name."""
        return "scripted"

    async def assess(self, requests: Sequence[AssessmentRequest], tell: Tell) -> None:
        """Tell the next entries; the last one again when there are no more."""
        for request in requests:
            self.asked.append(request.incident)
            self.requests.append(request)
            tell(request, self._script.pop(0) if len(self._script) > 1 else self._script[0])

    async def close(self) -> None:
        """Do nothing."""


class ListSink:
    """An AlertSink that keeps what it gets."""

    def __init__(self) -> None:
        self.decisions: list[Decision] = []

    def deliver(self, decision: Decision) -> None:
        """Keep one decision."""
        self.decisions.append(decision)


def answer(score: int = 30, summary: str = "A person stands at the door.") -> Answer:
    """Return a plausible answer."""
    return Answer(score, "confirmed", summary, "standing", ("alone",), "Look at the camera.", "", 0.8, "scripted")
