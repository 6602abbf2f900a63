"""`surveil analyze`: single pictures through the daemon's detector, shortlist and VLM, as its first camera would."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import cv2
import numpy as np

from surveil import assessors, build
from surveil.assess.answer import clean
from surveil.capture.decoding import fitted
from surveil.capture.masks import Masks
from surveil.clock import SystemClock
from surveil.config import Config, PersonSettings
from surveil.deliver.wire import WireAssessment
from surveil.drawing import Annotator
from surveil.interfaces import Assessor, CaptureError, Detector
from surveil.messages import (
    Assessment,
    AssessmentRequest,
    Box,
    Detections,
    Facts,
    Frame,
    Image,
    Keyframe,
    Level,
    Risk,
    Subject,
    Track,
)
from surveil.oracle import Oracle, oracle
from surveil.trigger.keyframes import Shortlist
from surveil.trigger.zones import Area

MAX_BYTES = 1 << 28
"""A larger file is no picture but a film that was given by mistake, or more than memory is for."""


@dataclass(frozen=True, slots=True, eq=False)
class Still:
    """One picture and what the detector saw in it: as tracks, numbered from 1 in the detector's order.

    `persons` are those whom the `person` rule is about, `others` what else counts; what stands on ground that the
    config ignores is in neither.
    """

    path: Path
    frame: Frame
    tracks: tuple[Track, ...]
    persons: tuple[Track, ...]
    others: tuple[Track, ...]
    detect_ms: int

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why somebody should look at it, for the VLM; nothing where nobody is in it."""
        if not self.persons:
            return ()
        return ("person in the picture" if len(self.persons) == 1 else f"{len(self.persons)} persons in the picture",)

    def views(self) -> tuple[Keyframe, ...]:
        """Return what the VLM is shown: the picture, and whoever is seen best from closer by if that is small."""
        shortlist = Shortlist()
        subjects = [Subject(track.id, track.label, track.confidence, track.box, 0.0) for track in self.persons]
        shortlist.consider(self.frame, subjects, self.others)
        return shortlist.keyframes()


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """What came of one picture."""

    still: Still
    assessment: Assessment
    risk: Risk
    detector: str

    def annotate(self, annotator: Annotator) -> Path:
        """Write a copy of the picture with what was seen; return where. Raises StorageError."""
        still, answer = self.still, self.assessment.answer
        caption = answer.summary if answer else ""
        return annotator.write(still.path, still.frame.full(), still.tracks, still.persons, caption)

    def as_dict(self) -> dict[str, object]:
        """Return the result as plain values; `assessment` is that of the alert message."""
        height, width = self.still.frame.full().shape[:2]
        return {
            "picture": str(self.still.path),
            "width": width,
            "height": height,
            "detections": [
                {"label": track.label, "confidence": track.confidence, "box": list(track.box)}
                for track in self.still.tracks
            ],
            "assessment": _told(self.assessment),
            "risk": {
                "level": self.risk.level.name,
                "score": self.risk.score,
                "source": self.risk.source,
                "floor": self.risk.floor.name,
            },
            "detector": self.detector,
            "latency_ms": {"detect": self.still.detect_ms, "assess": self.assessment.latency_ms},
        }


class Eye:
    """Sees pictures as the config's first camera would: with its masks, its ignored ground and its `person` rule.

    A camera without such a rule is taken to have the default one. Used by one thread.
    """

    def __init__(self, config: Config, detector: Detector) -> None:
        self.config = config
        self.detector = detector
        self.name, self.camera = next(iter(config.cameras.items()))
        self.rule = next((rule for rule in self.camera.rules if isinstance(rule, PersonSettings)), PersonSettings())
        self.ignored = Area(self.camera.ignore)
        zone = self.camera.zones.get(self.rule.zone) if self.rule.zone else None
        self.zone = Area([zone.polygon]) if zone else None
        self._clock = SystemClock()

    def still(self, path: Path, image: Image) -> Still:
        """Return what the detector sees in a picture, which is blackened where a mask is. Raises ModelError."""
        if self.camera.masks:
            Masks(self.camera.masks).black_out(image)
        small = _fitted(image, self.detector.input_size)
        began = self._clock.monotonic()
        (found,) = self.detector.start([small])()
        took = self._clock.monotonic() - began
        tracks = _tracks(found, small, self.detector.labels)
        counted = [track for track in tracks if not self.ignored.holds(track.box)]
        return Still(
            path=path,
            frame=Frame(self.name, 0, 0.0, 0.0, small, lambda: image),
            tracks=tracks,
            persons=tuple(track for track in counted if self._concerns(track)),
            others=tuple(track for track in counted if not self._concerns(track)),
            detect_ms=round(1000 * took),
        )

    def _concerns(self, track: Track) -> bool:
        there = self.zone is None or self.zone.holds(track.box)
        return there and track.label in self.rule.about and track.confidence >= self.rule.min_score

    def floor(self, still: Still) -> Level:
        """Return what the `person` rule says of a picture."""
        return self.rule.level if still.persons else Level.none

    def request(
        self, path: Path, views: tuple[Keyframe, ...], reasons: tuple[str, ...], floor: Level
    ) -> AssessmentRequest:
        """Return the question about a picture or clip; its time is the file's. Raises CaptureError."""
        try:
            moment = datetime.fromtimestamp(path.stat().st_mtime, ZoneInfo(self.config.local_zone(self.name)))
        except OSError as error:
            raise _unreadable(path, error) from None
        # A file's name may hold what no tokenizer takes, such as half a character.
        facts = Facts(clean(path.name), self.camera.context or "", f"{moment:%A %H:%M}", reasons)
        return AssessmentRequest(path.name, self.name, floor, 0.0, 0.0, views, facts)


Models = Callable[[Config], tuple[Detector, Assessor | None]]
"""Loads what a config names. Raises ModelError."""


def models(config: Config) -> tuple[Detector, Assessor | None]:
    """Return the config's detector, and its assessor where there is one here. Raises ModelError."""
    # In this order: what memory is left for the assessor is known once the detector has its own.
    return build.detector(config), assessors.assessor(config, SystemClock())


def analyses(config: Config, paths: Sequence[Path], load: Models = models) -> Iterator[Analysis | CaptureError]:
    """Yield what is in each picture, or why it cannot be read. Raises ModelError, AssessorError.

    The models are loaded once, for the first picture that can be read.
    """
    with contextlib.ExitStack() as stack:
        loaded: tuple[Eye, Oracle] | None = None
        for path in paths:
            try:
                image = read(path)
                if loaded is None:
                    detector, assessor = load(config)
                    loaded = Eye(config, detector), stack.enter_context(oracle(assessor))
                yield _analysis(*loaded, path, image)
            except CaptureError as error:
                yield error


def _analysis(eye: Eye, asked: Oracle, path: Path, image: Image) -> Analysis:
    still = eye.still(path, image)
    floor = eye.floor(still)
    assessment = asked.ask(eye.request(path, still.views(), still.reasons, floor))
    risk = Risk.of(floor, None if assessment.answer is None else assessment.answer.score)
    return Analysis(still, assessment, risk, eye.detector.name)


def read(path: Path) -> Image:
    """Return a picture, turned as its EXIF data says; raises CaptureError."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CaptureError(f"{path}: this is larger than any picture that can be read")
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise _unreadable(path, error) from None
    logged = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what is wrong is told once, by us
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except cv2.error:  # more pixels than OpenCV takes
        image = None
    finally:
        cv2.utils.logging.setLogLevel(logged)
    if image is None:
        raise CaptureError(f"{path}: this is no picture that can be read")
    return np.asarray(image, np.uint8)


def _unreadable(path: Path, error: OSError) -> CaptureError:
    return CaptureError(f"{path}: {(error.strerror or str(error)).lower()}")


def _fitted(image: Image, input_size: tuple[int, int]) -> Image:
    """Return the picture in the detector's size, as a camera's pictures are given to it."""
    height, width = fitted(image.shape[0], image.shape[1], input_size)
    how = cv2.INTER_AREA if height < image.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)


def _tracks(found: Detections, image: Image, labels: Sequence[str]) -> tuple[Track, ...]:
    height, width = image.shape[:2]
    fractions = np.clip(found.xyxy / np.array([width, height, width, height], np.float32), 0.0, 1.0)
    rows = zip(found.class_id, found.confidence, fractions, strict=True)
    return tuple(
        Track(number, labels[int(label)], round(float(score), 4), _box(fraction))
        for number, (label, score, fraction) in enumerate(rows, 1)
    )


def _box(fractions: Sequence[np.float32]) -> Box:
    x1, y1, x2, y2 = (round(float(value), 4) for value in fractions)
    return x1, y1, x2, y2


def _told(assessment: Assessment) -> dict[str, object]:
    """Return an assessment as the alert message has it."""
    answer = assessment.answer
    said = {key: getattr(answer, key) for key in WireAssessment.model_fields if hasattr(answer, key)}
    ended = {"state": assessment.state, "latency_ms": assessment.latency_ms, "error": assessment.error}
    return WireAssessment.model_validate(said | ended).model_dump(mode="json")
