"""What was left in a camera's picture, and what is gone from it, whether or not the detector has a name for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np

from surveil.messages import Box, Image, Track
from surveil.trigger.bystanders import Bystanders
from surveil.trigger.outline import Change, Verdict, judge
from surveil.trigger.pixel_memory import STILL_SECONDS, Mask, PixelMemory, covered_by

SAMPLE_SECONDS = 0.5
"""Pictures looked at: what must stand for seconds need not be seen 25 times in one."""
MAX_STEP_SECONDS = 2.0
"""A gap, or a clock that leaps, counts as no more: what was not seen has not stood there."""
LONGER_SIDE = 320
"""Pixels of the longer side of the small picture: a bag across a street is still some 10 by 10."""
MIN_AREA, MAX_AREA = 0.0012, 0.15
"""Shares of the picture that a thing may have: below is noise of the encoder, above is light or the camera."""
JUDGE_SECONDS = 5.0
"""A region is judged when it has had time to show all of itself."""
GONE_SECONDS = 2.0
UNSETTLED_SECONDS = 15.0
"""A region that somebody unknown stands before, or that moves, for so long is not one that stands still."""
RELEARN_SECONDS = 10.0
"""For so long most of the picture must differ until that is the new picture."""
TOLD_SECONDS = 120.0
"""So much longer than the longest rule waits a region is told of before it is the background."""
NO_OBJECT_SECONDS = 20.0
"""Light, and what is neither left nor removed, becomes background so soon."""
PROVEN_SECONDS = 30.0
"""What is gone must have been seen to stand there for so long: else somebody has only walked on."""
SAME_MOMENT = 6
"""So many regions that appear at once are no things: it rained, or somebody switched a light on."""
_MOVED_PIXELS = 0.7
_MAX_REGIONS = 32


@dataclass(slots=True, eq=False)
class Region:
    """One place that differs from the background and stands still. `number` counts down from -1 in its camera."""

    number: int
    mask: Mask
    box: Box
    seconds: float
    """For how long it has stood there."""
    nearby: frozenset[int]
    """Tracks of the living that were there when it appeared."""
    somebody: bool
    """The detector lost sight of somebody just there: it is most likely he."""
    verdict: Verdict | None = None
    judged_area: int = 0
    _gone: float = field(default=0.0)
    _unsettled: float = field(default=0.0)

    @property
    def change(self) -> Change | None:
        """What it is; None as long as that is not known."""
        return None if self.verdict is None or self.somebody else self.verdict.change

    def shares(self, mask: Mask) -> bool:
        """Return whether this and another place are, for the most part of the smaller, the same."""
        smaller = min(np.count_nonzero(self.mask), np.count_nonzero(mask))
        return bool(2 * np.count_nonzero(self.mask & mask) >= smaller)

    def lives_on(self, memory: PixelMemory, covered: Mask, seconds: float) -> bool:
        """Let `seconds` pass; return whether it is still there."""
        self.seconds += seconds
        visible = self.mask & ~covered
        if 2 * np.count_nonzero(visible) < np.count_nonzero(self.mask):
            return True  # somebody stands before it
        there = float(memory.differs[visible].mean()) >= 0.5
        settled = float(memory.static[visible].mean()) >= 0.5
        self._gone = 0.0 if there else self._gone + seconds
        self._unsettled = 0.0 if settled else self._unsettled + seconds
        return self._gone < GONE_SECONDS and self._unsettled < UNSETTLED_SECONDS


class BackgroundModel:
    """One camera's background, shared by its rules; `observe` gets every frame and looks at a few a second.

    `longest` is the most seconds that any of its rules waits. Everything is counted in the time that was seen, so that
    a clock that stands still, leaps or goes back neither ages nor removes anything.
    """

    def __init__(self, longest: float = 30.0) -> None:
        self._keep = longest + TOLD_SECONDS
        self._memory: PixelMemory | None = None
        self._regions: list[Region] = []
        self._bystanders = Bystanders()
        self._recent_births: deque[float] = deque(maxlen=SAME_MOMENT)
        self._sampled_at: float | None = None
        self._seen = 0.0
        self._disturbed = 0.0
        self._last_number = 0

    @property
    def regions(self) -> tuple[Region, ...]:
        """What stands still and is known to be left or removed; nothing while most of the picture differs."""
        if self._disturbed:
            return ()
        return tuple(region for region in self._regions if region.change in {"left", "removed"})

    def observe(self, image: Image, at: float, tracks: tuple[Track, ...]) -> None:
        """Take in one frame, of monotonic time `at`, and who is in it."""
        seconds = self._step(at)
        if seconds is None:
            return
        self._seen += seconds
        small = _small(image)
        memory = self._memory
        if memory is None or memory.shape != small.shape[:2]:
            memory = self._memory = PixelMemory(small.shape[:2])
            self._regions.clear()
        self._bystanders.see(tracks, self._seen)
        covered = covered_by(self._bystanders.boxes, memory.shape)
        memory.sample(small, covered, seconds)
        self._disturbed = self._disturbed + max(seconds, 1e-6) if memory.disturbed else 0.0
        if self._disturbed:
            if self._disturbed >= RELEARN_SECONDS:
                self._start_anew(memory)
            return
        self._regions = [region for region in self._regions if region.lives_on(memory, covered, seconds)]
        self._find(memory)
        self._settle(memory)

    def _step(self, at: float) -> float | None:
        """Return the seconds that count since the last sample; None where it is too soon for another."""
        last = self._sampled_at
        if last is not None and 0.0 <= at - last < SAMPLE_SECONDS:
            return None
        self._sampled_at = at
        return 0.0 if last is None else min(max(at - last, 0.0), MAX_STEP_SECONDS)

    def _start_anew(self, memory: PixelMemory) -> None:
        memory.relearn()
        self._regions.clear()
        self._recent_births.clear()
        self._disturbed = 0.0

    def _find(self, memory: PixelMemory) -> None:
        """Make regions of what stands still and belongs to none yet; let the others show more of themselves."""
        if not memory.static.any():
            return
        for mask, box in _places(memory.static):
            known = [region for region in self._regions if region.shares(mask)]
            if not known:
                self._begin(memory, mask, box)
                continue
            # Two that have grown into one are one, the older.
            oldest = max(known, key=lambda region: region.seconds)
            self._regions = [region for region in self._regions if region is oldest or region not in known]
            if np.count_nonzero(mask) > np.count_nonzero(oldest.mask):
                oldest.mask, oldest.box = mask, box

    def _begin(self, memory: PixelMemory, mask: Mask, box: Box) -> None:
        if len(self._regions) >= _MAX_REGIONS:
            return
        still = float(np.median(memory.still[mask]))
        self._last_number -= 1
        nearby = self._bystanders.near(box, self._seen - still)
        somebody = self._bystanders.lost_at(box)
        self._regions.append(Region(self._last_number, mask, box, still, nearby, somebody))
        self._recent_births.append(self._seen - still)

    def _settle(self, memory: PixelMemory) -> None:
        """Judge regions that are old enough, and make background of those that have been there long enough."""
        if self._appeared_at_once() or (self._to_judge() and _has_moved(memory)):
            self._start_anew(memory)
            return
        for region in list(self._regions):
            area = int(np.count_nonzero(region.mask))
            if region.seconds >= JUDGE_SECONDS and area > 1.25 * region.judged_area:
                region.verdict = _judged(region, memory)
                region.judged_area = area
            if region.seconds >= self._patience(region):
                proven = region.seconds if region.change == "left" else 0.0
                memory.absorb(region.mask & (memory.still >= STILL_SECONDS), proven)
                self._regions.remove(region)

    def _to_judge(self) -> bool:
        return any(region.verdict is None and region.seconds >= JUDGE_SECONDS for region in self._regions)

    def _appeared_at_once(self) -> bool:
        births = self._recent_births
        return len(births) == SAME_MOMENT and max(births) - min(births) < STILL_SECONDS

    def _patience(self, region: Region) -> float:
        if region.somebody or region.change in {"left", "removed"}:
            return self._keep
        return NO_OBJECT_SECONDS


def _small(image: Image) -> Image:
    height, width = image.shape[:2]
    scale = LONGER_SIDE / max(height, width)
    size = (max(16, round(width * scale)), max(16, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _places(static: Mask) -> Iterator[tuple[Mask, Box]]:
    """Yield the places that are large enough, each as a mask and a box; lines and specks are no places."""
    height, width = static.shape
    solid = cv2.morphologyEx(static.view(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    solid = cv2.morphologyEx(solid, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(solid)
    for number in range(1, count):
        x, y, across, down, area = (int(value) for value in stats[number])
        if area >= MIN_AREA * static.size:
            yield labels == number, (x / width, y / height, (x + across) / width, (y + down) / height)


def _judged(region: Region, memory: PixelMemory) -> Verdict:
    """Return what a region is, from its part of the pictures with some margin."""
    if np.count_nonzero(region.mask) > MAX_AREA * region.mask.size:
        return Verdict("light", 1.0)
    height, width = region.mask.shape
    x1, y1, x2, y2 = region.box
    rows = slice(max(0, int(y1 * height) - 8), int(y2 * height) + 8)
    columns = slice(max(0, int(x1 * width) - 8), int(x2 * width) + 8)
    recent = np.asarray(cv2.convertScaleAbs(memory.recent[rows, columns]), np.uint8)
    mask = np.ascontiguousarray(region.mask[rows, columns])
    verdict = judge(mask, np.ascontiguousarray(memory.expected[rows, columns]), recent)
    if verdict.change == "removed" and float(np.median(memory.proven[region.mask])) < PROVEN_SECONDS:
        return Verdict("unclear", 0.0)
    return verdict


def _has_moved(memory: PixelMemory) -> bool:
    """Return whether the whole picture has shifted (phase correlation, Kuglin and Hines 1975): the camera was moved."""
    before = cv2.cvtColor(memory.expected, cv2.COLOR_BGR2GRAY).astype(np.float32)
    now = cv2.cvtColor(cv2.convertScaleAbs(memory.recent), cv2.COLOR_BGR2GRAY).astype(np.float32)
    window = cv2.createHanningWindow((before.shape[1], before.shape[0]), cv2.CV_32F)
    (across, down), response = cv2.phaseCorrelate(before, now, window)
    return bool(response > 0.2 and float(np.hypot(across, down)) > _MOVED_PIXELS)
