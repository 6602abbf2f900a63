"""The reasons to tell somebody, one small class each."""

from __future__ import annotations

from statistics import median

from surveil.config import PersonSettings
from surveil.messages import Finding, Observation
from surveil.trigger.tracks import TrackBook, TrackRecord

MIN_FRAMES = 3
"""A track is believed only after so many frames with at least `min_score`."""


class PersonRule:
    """A person is in view, and it is no flicker of the detector.

    A track is believed once MIN_FRAMES of its last ten scores reach `min_score` and the median of them reaches
    `threshold`; from then on every frame in which it scores `min_score` is a finding. (The median over the last
    scores is what Frigate does too, for the same reason: one good or bad frame must not decide.)
    """

    labels = frozenset({"person"})

    def __init__(self, settings: PersonSettings, book: TrackBook) -> None:
        self._settings = settings
        self._book = book
        self._believed: dict[int, float] = {}

    def evaluate(self, observation: Observation) -> list[Finding]:
        """Return one finding for all persons in this frame, or none."""
        at = observation.frame.at
        seen: dict[int, TrackRecord] = {}
        for record in self._book.seen_now(observation):
            track = record.last
            if track.label not in self.labels or track.confidence < self._settings.min_score:
                continue
            if track.id in self._believed or self._convincing(record):
                self._believed[track.id] = at
                seen[track.id] = record
        self._believed = {track: last for track, last in self._believed.items() if at - last < 60.0}
        return [self._finding(at, seen)] if seen else []

    def _convincing(self, record: TrackRecord) -> bool:
        good = sum(score >= self._settings.min_score for score in record.scores)
        return good >= MIN_FRAMES and median(record.scores) >= self._settings.threshold

    def _finding(self, at: float, seen: dict[int, TrackRecord]) -> Finding:
        longest = max(at - record.first_at for record in seen.values())
        who = "person" if len(seen) == 1 else f"{len(seen)} persons"
        return Finding(
            rule=self._settings.title,
            kind="person",
            severity=self._settings.level,
            tracks=frozenset(seen),
            reason=f"{who} in view for {longest:.1f} s",
            seconds=longest,
        )
