"""`surveil eval`: how well a VLM judges stills and clips whose risk people have labelled, one row a backend.

The model is judged alone: no rule's floor is under what it says.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from surveil import assessors, build
from surveil.analyze import Eye, Models, models, read
from surveil.capture.video_file import Unpaced, VideoFile
from surveil.config import Config
from surveil.detect.detection import Tracking
from surveil.interfaces import AssessorError, CaptureError, EndOfFile, StorageError
from surveil.messages import Assessment, Keyframe, Level, Observation, Subject
from surveil.oracle import Oracle, oracle
from surveil.samples import CLIPS, LEVELS, Sample
from surveil.score import Outcome, Score, table
from surveil.trigger.belief import Belief
from surveil.trigger.keyframes import Shortlist
from surveil.trigger.presence import PresenceRule
from surveil.trigger.tracks import TrackBook


@dataclass(frozen=True, slots=True)
class Backend:
    """A config that names a model to be judged."""

    name: str
    config: Config


def judgeable(backends: Sequence[Backend]) -> None:
    """Raise AssessorError for the first config that gives no model to judge; loads nothing."""
    for backend in backends:
        choice = assessors.choose(backend.config.assessor)
        if choice.backend == "none":
            raise AssessorError(f"{backend.name}: there is no assessor to judge, because {choice.why}")


def judged(backend: Backend, labelled: Sequence[Sample], advance: Callable[[], None], load: Models = models) -> Score:
    """Return how a backend does, asked about one sample at a time; `advance` is called when one is done.

    Raises ModelError, AssessorError.
    """
    detector, assessor = load(backend.config)
    if assessor is None:
        raise AssessorError(f"{backend.name}: there is no assessor to judge")
    eye = Eye(backend.config, detector)
    outcomes: list[Outcome] = []
    unreadable: list[str] = []
    with oracle(assessor) as asked:
        for sample in labelled:
            try:
                outcomes.append(Outcome(sample, _assessed(eye, asked, sample.path)))
            except CaptureError as error:
                unreadable.append(str(error) if str(sample.path) in str(error) else f"{sample.path}: {error}")
            advance()
    notify_at = Level[backend.config.alerts.notify_risk]
    return Score(backend.name, asked.model, detector.name, notify_at, tuple(outcomes), tuple(unreadable))


def _assessed(eye: Eye, asked: Oracle, path: Path) -> Assessment:
    if path.suffix.lower() in CLIPS:
        visit = _watched(eye, path)
        return asked.ask(eye.request(path, visit.views(), visit.reasons, Level.none))
    still = eye.still(path, read(path))
    return asked.ask(eye.request(path, still.views(), still.reasons, Level.none))


class _Visit:
    """What is to be shown of a clip, gathered frame by frame as an incident does it."""

    def __init__(self, eye: Eye) -> None:
        rule = eye.rule
        self.reasons: tuple[str, ...] = ()
        self._ignored = eye.ignored
        self._book = TrackBook({} if eye.zone is None else {"zone": eye.zone})
        self._rule = PresenceRule(
            rule.title,
            rule.level,
            Belief(rule.about, rule.min_score, rule.threshold, self._book),
            zone=None if eye.zone is None else "zone",
        )
        self._shortlist = Shortlist()
        self._longest = 0.0

    def see(self, observation: Observation) -> None:
        """Take in one frame."""
        counted = tuple(track for track in observation.tracks if not self._ignored.holds(track.box))
        observation = Observation(observation.frame, counted)
        self._book.update(observation)
        about: frozenset[int] = frozenset()
        for finding in self._rule.evaluate(observation):
            about = finding.tracks
            if finding.seconds >= self._longest:
                self._longest, self.reasons = finding.seconds, (finding.reason,)
        subjects = [
            Subject(track.id, track.label, track.confidence, track.box, round(self._book.record(track.id).dwell, 2))
            for track in counted
            if track.id in about
        ]
        others = [track for track in counted if track.id not in about]
        self._shortlist.consider(observation.frame, subjects, others)

    def views(self) -> tuple[Keyframe, ...]:
        """Return the best views; none of a clip without a picture."""
        return self._shortlist.keyframes()


def _watched(eye: Eye, path: Path) -> _Visit:
    """Return what a clip has to show. Raises CaptureError, ModelError."""
    visit = _Visit(eye)
    seen = eye.config.detector
    tracking = Tracking(eye.detector, [eye.name], seen.confidence, seen.every)
    source = build.masked(eye.camera, VideoFile(eye.name, str(path), eye.detector.input_size, Unpaced(0.0)))
    source.open()
    try:
        for frame in source.frames():
            _see(visit, tracking.observe([frame]))
    except EndOfFile:
        pass
    finally:
        source.close()
        while not tracking.idle:  # also after a fault: what is under way belongs to the detector
            _see(visit, tracking.observe([]))
    if not visit.views():
        raise CaptureError(f"{path}: there is no picture in it")
    return visit


def _see(visit: _Visit, observations: list[Observation]) -> None:
    for observation in observations:
        visit.see(observation)


def report(folder: Path, labelled: Sequence[Sample], scores: Sequence[Score]) -> dict[str, object]:
    """Return the whole evaluation as plain values."""
    counted = Counter(sample.expected.name for sample in labelled)
    return {
        "folder": str(folder),
        "labelled": {level.name: counted[level.name] for level in LEVELS},
        "backends": [score.as_dict() for score in scores],
    }


def reserve(file: Path) -> None:
    """Make sure that a report can be written before hours go by for it. Raises StorageError."""
    try:
        file.touch()
    except OSError as error:
        raise unwritable(file, error) from None


def write(file: Path, whole: dict[str, object]) -> None:
    """Write a report as JSON. Raises StorageError."""
    try:
        file.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise unwritable(file, error) from None


def unwritable(file: Path, error: OSError) -> StorageError:
    """Return what to tell of a file or folder that cannot be written."""
    return StorageError(f"{file} cannot be written: {(error.strerror or str(error)).lower()}")


def show(scores: Sequence[Score]) -> None:
    """Show the scores on stderr, for people."""
    Console(stderr=True).print(table(scores))
