"""Who lives and moves in a camera's picture: persons and animals, where they are and where they were lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from surveil.messages import Box, Track

LIVING = frozenset(
    {"person", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"}
)  # fmt: skip
"""Labels of the COCO classes that come and go by themselves and so are never left or removed."""
NEAR_SECONDS = 3.0
"""Who was there so long before or after a thing appeared was near it."""
_MOMENTS = 40
LOST_SECONDS = 600.0
"""So long after a track ended what stands just there is taken for the one that was lost, not for a thing."""
_MAX_LOST = 50


class Bystanders:
    """The living of the last seconds; `seen` is time that was seen, in seconds."""

    def __init__(self) -> None:
        self.boxes: list[Box] = []
        self._now: dict[int, Box] = {}
        self._moments: deque[tuple[float, dict[int, Box]]] = deque(maxlen=_MOMENTS)
        self._lost: dict[int, tuple[float, Box]] = {}
        self._seen = 0.0

    def see(self, tracks: Sequence[Track], seen: float) -> None:
        """Take in who is there."""
        now = {track.id: track.box for track in tracks if track.label in LIVING}
        for number, box in self._now.items():
            # Another track in its place is the same one under a new number, and will be followed to its end.
            if number not in now and all(_common(box, other) < 0.5 for other in now.values()):
                self._lost[number] = (seen, box)
        self._lost = {n: (at, box) for n, (at, box) in self._lost.items() if n not in now and seen - at < LOST_SECONDS}
        while len(self._lost) > _MAX_LOST:
            del self._lost[next(iter(self._lost))]
        self._seen = seen
        self._now = now
        self.boxes = list(now.values())
        self._moments.append((seen, now))

    def near(self, box: Box, when: float) -> frozenset[int]:
        """Return who touched a box about then."""
        return frozenset(
            number
            for moment, there in self._moments
            if abs(moment - when) <= NEAR_SECONDS
            for number, other in there.items()
            if _common(box, other) > 0.0
        )

    def lost_at(self, box: Box) -> bool:
        """Return whether what fills this box is most likely somebody whom the detector lost sight of there.

        It is inside the last box of a track that ended, and no smaller than a sitting body in it; what somebody put
        down is smaller, and he walks on.
        """
        return any(
            _common(box, last) >= 0.7 and box[3] - box[1] >= 0.4 * (last[3] - last[1])
            for _, last in self._lost.values()
        )


def _common(one: Box, other: Box) -> float:
    """Return the share of `one` that lies in `other`."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    area = (one[2] - one[0]) * (one[3] - one[1])
    return across * down / area if across > 0 and down > 0 and area > 0 else 0.0
