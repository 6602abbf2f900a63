"""Which box of this frame is which of the last: ultralytics' own ByteTrack, one for each camera."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surveil.detect.quiet import quieten
from surveil.messages import Detections, Track

LOST_FRAMES = 30
"""Frames for which a track that is not seen keeps its id (ByteTrack's own default)."""


class ByteTracker:
    """Tracks one camera; used by one thread, one call a frame."""

    def __init__(self, labels: Sequence[str], confidence: float) -> None:
        quieten()
        from ultralytics.trackers.byte_tracker import BYTETracker

        self._labels = tuple(labels)
        # ultralytics' defaults, on our floor. Boxes below it do not exist, so nothing is left to the second,
        # low-score association unless new tracks ask for a little more than old ones.
        self._tracker = BYTETracker(
            SimpleNamespace(
                track_high_thresh=min(0.35, confidence + 0.1),
                track_low_thresh=confidence,
                new_track_thresh=min(0.35, confidence + 0.1),
                track_buffer=LOST_FRAMES,
                match_thresh=0.8,
                fuse_score=True,
            )
        )

    def update(self, detections: Detections, size: tuple[int, int]) -> tuple[Track, ...]:
        """Return the tracks seen in this frame.

        Args:
            detections: in pixels of the picture.
            size: its height and width, which make the boxes fractions.
        """
        height, width = size
        rows: NDArray[np.float64] = np.asarray(self._tracker.update(_Boxes(detections)), np.float64).reshape(-1, 8)
        # BYTETracker gives x1, y1, x2, y2, id, score, class, and the row of the detection it matched. The box is
        # taken from the detection: the tracker's is smoothed and may leave the picture.
        boxes = detections.xyxy[rows[:, 7].astype(int)] / np.array([width, height, width, height], np.float32)
        boxes = np.clip(boxes, 0.0, 1.0)
        return tuple(
            Track(int(row[4]), self._labels[int(row[6])], round(float(row[5]), 4), _box(box))
            for row, box in zip(rows, boxes, strict=True)
        )


class _Boxes:
    """Detections in the form that BYTETracker reads: `xywh` (centre), `conf`, `cls`, and bool indexing."""

    def __init__(self, detections: Detections) -> None:
        self._detections = detections
        self.conf = detections.confidence
        self.cls = detections.class_id.astype(np.float32)

    @property
    def xywh(self) -> NDArray[np.float32]:
        """Centre x, centre y, width, height in pixels, (n, 4)."""
        xyxy = self._detections.xyxy
        size = xyxy[:, 2:] - xyxy[:, :2]
        return np.concatenate([xyxy[:, :2] + size / 2, size], axis=1)

    def __getitem__(self, keep: Any) -> _Boxes:
        return _Boxes(self._detections.where(keep))

    def __len__(self) -> int:
        return len(self._detections)


def _box(box: NDArray[np.float32]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (round(float(value), 4) for value in box)
    return x1, y1, x2, y2
