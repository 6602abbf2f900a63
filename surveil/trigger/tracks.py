"""What a camera's tracks have been so far: how long, how sure, where."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

from surveil.messages import Box, Observation, Track
from surveil.trigger.zones import Place, Zones, foot

RECENT = 10
"""Scores of so many frames are remembered; the median of them decides whether a track is believed."""
INERTIA = 3
"""A track is in a zone once it stood there in so many frames, so that a box that trembles at its edge is not."""
FORGET_SECONDS = 60.0
LEFT_SECONDS = 1.0
"""Who is out of a zone for less has not left it."""
PATH_SECONDS = 3.0
"""For how long places are remembered, to tell speed from."""
HEIR_SECONDS = 3.0
HEIR_HEIGHTS = 1.0
"""A track that begins within so many seconds and body heights of one that ended goes on for it: a short occlusion."""
CONFIRMED_FRAMES = 3
CONFIRMED_SCORE = 0.5
"""Who was seen in so many frames, at a median score of this, is there; the rules' own default."""
THERE_SECONDS = 1.0
"""Who was seen so lately is still there: a frame without him is no departure."""
STILL_SECONDS = 10.0
STILL_OVERLAP = 0.7
"""A thing whose box overlaps that of STILL_SECONDS ago by this much (intersection over union) stands still."""


@dataclass(slots=True)
class Stay:
    """A track in a zone: since when, in how many frames, when last."""

    since: float
    last: float
    frames: int = 0


@dataclass(slots=True)
class TrackRecord:
    """One track's history; `first_at` is that of whom it goes on for."""

    first_at: float
    last: Track
    last_at: float
    scores: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    stays: dict[str, Stay] = field(default_factory=dict)
    path: deque[tuple[float, Place]] = field(default_factory=deque)
    anchor: Box | None = None
    anchored_at: float = 0.0
    replaced: bool = False

    @property
    def dwell(self) -> float:
        """Seconds between its first and its last frame."""
        return self.last_at - self.first_at

    @property
    def zones(self) -> tuple[str, ...]:
        """Names of the zones that it is in now."""
        return tuple(name for name, stay in self.stays.items() if stay.frames >= INERTIA and stay.last == self.last_at)

    def dwell_in(self, zone: str | None) -> float | None:
        """Return for how many seconds it has been in a zone, or in view where none is named; None when it is not."""
        if zone is None:
            return self.dwell
        return self.last_at - self.stays[zone].since if zone in self.zones else None

    @property
    def confirmed(self) -> bool:
        """Whether it is believed to be there."""
        return len(self.scores) >= CONFIRMED_FRAMES and median(self.scores) >= CONFIRMED_SCORE

    @property
    def still(self) -> bool:
        """Whether it has not moved for STILL_SECONDS."""
        return self.anchor is not None and self.last_at - self.anchored_at >= STILL_SECONDS


class TrackBook:
    """The records of one camera's tracks; those not seen for FORGET_SECONDS are forgotten."""

    def __init__(self, zones: Zones | None = None) -> None:
        self._areas = zones or {}
        self._records: dict[int, TrackRecord] = {}
        self._swept_at = 0.0

    def update(self, observation: Observation) -> None:
        """Write down one frame's tracks."""
        at = observation.frame.at
        here = {track.id for track in observation.tracks}
        for track in observation.tracks:
            record = self._records.get(track.id)
            if record is None:
                record = self._records[track.id] = self._begun(track, at, here)
            self._write(record, track, at)
        if not 0 <= at - self._swept_at <= FORGET_SECONDS:
            self._swept_at = at
            self._records = {n: r for n, r in self._records.items() if at - r.last_at <= FORGET_SECONDS}

    def seen_now(self, observation: Observation) -> Iterator[TrackRecord]:
        """Yield the records of the tracks in this frame, which `update` has written down."""
        for track in observation.tracks:
            yield self._records[track.id]

    def counts(self, now: float) -> dict[str, int]:
        """Return how many confirmed tracks of each label are there at monotonic `now`, by label in their order."""
        labels = sorted(
            record.last.label
            for record in self._records.values()
            if now - record.last_at <= THERE_SECONDS and not record.replaced and record.confirmed
        )
        return dict(Counter(labels))

    def record(self, track: int) -> TrackRecord:
        """Return one track's record."""
        return self._records[track]

    def _begun(self, track: Track, at: float, here: set[int]) -> TrackRecord:
        record = TrackRecord(at, track, at)
        before = self._before(track, at, here)
        if before is not None:
            before.replaced = True
            record.first_at, record.stays = before.first_at, before.stays
        return record

    def _before(self, track: Track, at: float, here: set[int]) -> TrackRecord | None:
        """Return the record that a new track goes on for; None when it is somebody new."""
        height = track.box[3] - track.box[1]
        nearest: tuple[float, TrackRecord] | None = None
        for record in self._records.values():
            gone = at - record.last_at
            if record.replaced or record.last.id in here or not 0 < gone <= HEIR_SECONDS:
                continue
            if record.last.label != track.label:
                continue
            distance = math.dist(foot(record.last.box), foot(track.box))
            if distance <= HEIR_HEIGHTS * height and (nearest is None or distance < nearest[0]):
                nearest = distance, record
        return nearest[1] if nearest else None

    def _write(self, record: TrackRecord, track: Track, at: float) -> None:
        record.last, record.last_at = track, at
        if not track.predicted:
            record.scores.append(track.confidence)
        record.path.append((at, foot(track.box)))
        while at - record.path[0][0] > PATH_SECONDS:
            record.path.popleft()
        if record.anchor is None or overlap(record.anchor, track.box) < STILL_OVERLAP:
            record.anchor, record.anchored_at = track.box, at
        for name, area in self._areas.items():
            if area.holds(track.box):
                stay = record.stays.setdefault(name, Stay(at, at))
                stay.frames += 1
                stay.last = at
            elif name in record.stays and at - record.stays[name].last > LEFT_SECONDS:
                del record.stays[name]

    def __len__(self) -> int:
        return len(self._records)


def overlap(one: Box, two: Box) -> float:
    """Return intersection over union of two boxes, 0 to 1."""
    width = min(one[2], two[2]) - max(one[0], two[0])
    height = min(one[3], two[3]) - max(one[1], two[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    both = (one[2] - one[0]) * (one[3] - one[1]) + (two[2] - two[0]) * (two[3] - two[1]) - shared
    return shared / both if both > 0 else 0.0
