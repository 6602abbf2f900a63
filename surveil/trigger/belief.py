"""Which tracks a rule believes: no flicker of the detector, and of the labels that it is about."""

from __future__ import annotations

from statistics import median

from surveil.messages import Kind, Observation
from surveil.trigger.tracks import TrackBook, TrackRecord

MIN_FRAMES = 3
"""A track is believed only after so many frames with at least `min_score`."""
FORGET_SECONDS = 60.0
_FLAT = 20.0
"""A box so many times wider than high, or higher than wide, is a fault of the detector."""
_WHOLE = 0.98
"""So is one that covers this share of the picture."""


class Belief:
    """One rule's believed tracks; `labels` None is all of them.

    A track is believed once MIN_FRAMES of its last ten scores reach `min_score` and the median of them reaches
    `threshold`; from then on it counts in every frame in which it scores `min_score`. (The median over the last scores
    is what Frigate does too, for the same reason: one good or bad frame must not decide.)
    """

    def __init__(self, labels: frozenset[str] | None, min_score: float, threshold: float, book: TrackBook) -> None:
        self._labels = labels
        self._min_score = min_score
        self._threshold = threshold
        self._book = book
        self._believed: dict[int, float] = {}

    def seen(self, observation: Observation) -> list[TrackRecord]:
        """Return the records of the believed tracks in this frame."""
        at = observation.frame.at
        found = []
        for record in self._book.seen_now(observation):
            track = record.last
            if self._labels is not None and track.label not in self._labels:
                continue
            if track.confidence < self._min_score or not _plausible(record):
                continue
            if track.id in self._believed or self._convincing(record):
                self._believed[track.id] = at
                found.append(record)
        if len(self._believed) > len(found):
            self._believed = {track: last for track, last in self._believed.items() if at - last < FORGET_SECONDS}
        return found

    def _convincing(self, record: TrackRecord) -> bool:
        good = sum(score >= self._min_score for score in record.scores)
        return good >= MIN_FRAMES and median(record.scores) >= self._threshold


def _plausible(record: TrackRecord) -> bool:
    x1, y1, x2, y2 = record.last.box
    width, height = x2 - x1, y2 - y1
    return 0 < width < _FLAT * height and height < _FLAT * width and width * height < _WHOLE


def kind_of(records: list[TrackRecord]) -> Kind:
    """Return `person` if any of them is one."""
    return "person" if any(record.last.label == "person" for record in records) else "object"


def named(records: list[TrackRecord]) -> str:
    """Return who they are, for people: `person`, `3 persons`, `2 cars and a dog` as `2 car, 1 dog`."""
    labels: dict[str, int] = {}
    for record in records:
        labels[record.last.label] = labels.get(record.last.label, 0) + 1
    if len(labels) > 1:
        return ", ".join(f"{count} {label}" for label, count in labels.items())
    ((label, count),) = labels.items()
    return label if count == 1 else f"{count} {label}s"
