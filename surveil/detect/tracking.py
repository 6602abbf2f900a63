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
        self._size: tuple[int, int] | None = None
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
            size: its height and width, which make the boxes fractions. A camera may change it on the way: things are
                followed in the pixels of its first picture.
        """
        self._size = self._size or size
        rows = self._tracker.update(_Boxes(_resized(detections, size, self._size)))
        # BYTETracker gives x1, y1, x2, y2, id, score, class, and the row of the detection it matched. The box is
        # taken from the detection: the tracker's is smoothed and may leave the picture.
        rows = np.asarray(rows, np.float64).reshape(-1, 8)
        boxes = detections.xyxy[rows[:, 7].astype(int)]
        return self._tracks(boxes, size, rows[:, 4:7])

    def between(self) -> tuple[Track, ...]:
        """Return the tracks where they should be in a frame that the detector does not see."""
        if self._size is None:
            return ()
        self._tracker.frame_id += 1
        followed = [track for track in self._tracker.tracked_stracks if track.is_activated]
        if not followed:
            return ()
        self._tracker.multi_predict(followed)
        boxes = np.array([track.xyxy for track in followed], np.float32)
        known = np.array([[track.track_id, track.score, track.cls] for track in followed])
        return self._tracks(boxes, self._size, known, predicted=True)

    def _tracks(
        self, boxes: NDArray[np.float32], size: tuple[int, int], known: NDArray[np.float64], predicted: bool = False
    ) -> tuple[Track, ...]:
        """Return boxes in pixels as tracks; `known` float (n, 3) is id, score, class of each."""
        height, width = size
        fractions = np.clip(boxes / np.array([width, height, width, height], np.float32), 0.0, 1.0)
        return tuple(
            Track(int(number), self._labels[int(label)], round(float(score), 4), _box(box), predicted)
            for (number, score, label), box in zip(known, fractions, strict=True)
        )


def _resized(detections: Detections, size: tuple[int, int], wanted: tuple[int, int]) -> Detections:
    """Return the same boxes in the pixels of a picture of another size."""
    if size == wanted:
        return detections
    (height, width), (new_height, new_width) = size, wanted
    across, down = new_width / width, new_height / height
    xyxy = detections.xyxy * np.array([across, down, across, down], np.float32)
    return Detections(xyxy, detections.confidence, detections.class_id)


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
