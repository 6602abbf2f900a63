"""What a camera's tracks have been so far: how long, how sure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from surveil.messages import Observation, Track

RECENT = 10
"""Scores of so many frames are remembered; the median of them decides whether a track is believed."""
FORGET_SECONDS = 60.0


@dataclass(slots=True)
class TrackRecord:
    """One track's history."""

    first_at: float
    last: Track
    last_at: float
    scores: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))


class TrackBook:
    """The records of one camera's tracks; those not seen for FORGET_SECONDS are forgotten."""

    def __init__(self) -> None:
        self._records: dict[int, TrackRecord] = {}
        self._swept_at = 0.0

    def update(self, observation: Observation) -> None:
        """Write down one frame's tracks."""
        at = observation.frame.at
        for track in observation.tracks:
            record = self._records.get(track.id)
            if record is None:
                record = self._records[track.id] = TrackRecord(at, track, at)
            record.last, record.last_at = track, at
            if not track.predicted:
                record.scores.append(track.confidence)
        if at - self._swept_at > FORGET_SECONDS:
            self._swept_at = at
            self._records = {n: r for n, r in self._records.items() if at - r.last_at <= FORGET_SECONDS}

    def seen_now(self, observation: Observation) -> Iterator[TrackRecord]:
        """Yield the records of the tracks in this frame, which `update` has written down."""
        for track in observation.tracks:
            yield self._records[track.id]

    def dwell(self, track: int) -> float:
        """Return the seconds between a track's first and last frame."""
        record = self._records[track]
        return record.last_at - record.first_at

    def __len__(self) -> int:
        return len(self._records)
