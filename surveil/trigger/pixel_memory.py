"""What one camera's picture looks like in the long run, pixel by pixel, and what has lately stood still in it.

Two pictures are kept, as in Porikli, Ivanov and Haga, "Robust Abandoned Object Detection Using Dual Foregrounds"
(EURASIP Journal on Advances in Signal Processing, 2008): one that learns slowly and one that follows at once. Where the
second has stood still and is not the first, something was left or removed. OpenCV's own background models decide by
themselves when something has become background; here that is a decision of the regions, so both pictures are plain
running means.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from surveil.messages import Box, Image

Mask = NDArray[np.bool_]
"""Bool (height, width) of the small picture."""

DIFFERS = 20
"""Levels of 255, in any colour, by which a pixel is another one: more than H.264 makes of a still scene."""
MOVES = 15
STILL_SECONDS = 3.0
"""A pixel that kept its colour for so long stands still; somebody who walks covers one for a second or two."""
LEARN_SECONDS = 5.0
"""What stood still for so long where nothing is known yet is the background, until it proves to be something else."""
DAYLIGHT_SECONDS = 60.0
"""The background follows daylight with this time constant; a cloud that takes ten seconds is told by `gain`."""
_FOLLOW = 0.2
"""Weight of the newest sample in the picture of what stands still: the mean of some five wipes the noise out."""
_GAIN_RANGE = (0.6, 1.6)
"""How far a camera's exposure may go without the scene being another one."""
DISTURBED_SHARE = 0.35
_DISTURBED_CELLS = 0.6
"""Shares of pixels, and of the cells of a 16 by 9 grid, from which the whole picture differs: light, a moved camera."""
_CELL_DIFFERS = 0.05
_SEEN_SHARE = 0.3
"""Where less than this is seen, past persons that stand in front of it, nothing can be said."""


class PixelMemory:
    """The background of one camera, and what stands still before it; `sample` brings both up to date."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.known: Mask = np.zeros(shape, bool)
        self.still = np.zeros(shape, np.float32)
        """Seconds for which each pixel has kept its colour."""
        self.recent = np.zeros((*shape, 3), np.float32)
        """What each pixel has looked like since it stands still."""
        self.expected: Image = np.zeros((*shape, 3), np.uint8)
        """The background under the light of now."""
        self.proven = np.zeros(shape, np.float32)
        """Seconds for which the background was seen: how sure it is that it is one."""
        self.differs: Mask = np.zeros(shape, bool)
        """What is not the background in this sample."""
        self.static: Mask = np.zeros(shape, bool)
        """What is not the background and has stood still."""
        self.disturbed = False
        """Most of the picture differs, or is covered: nothing can be said."""
        self._background = np.zeros((*shape, 3), np.float32)

    def sample(self, picture: Image, covered: Mask, seconds: float) -> None:
        """Take in a picture of this shape, `seconds` after the last; what the living cover is not looked at."""
        recent = self._stand_still(picture, covered, seconds)
        seen = self.known & ~covered
        self.expected = self._under_this_light(picture, seen)
        self.differs = _apart(picture, self.expected, DIFFERS) & seen
        self.disturbed = self._most_differs(seen)
        self.static = self.differs & (self.still >= STILL_SECONDS) & _apart(recent, self.expected, DIFFERS)
        if not self.disturbed:
            self._follow_daylight(picture, seen, seconds)
        self.absorb(~self.known & (self.still >= LEARN_SECONDS))

    def absorb(self, where: Mask, proven: float = 0.0) -> None:
        """Take what stands there for the background, which for `proven` seconds it has been."""
        self._background[where] = self.recent[where]
        self.proven[where] = proven
        self.known |= where

    def relearn(self) -> None:
        """Take what stands still for the background, everywhere; what does not is unknown again."""
        self.known[:] = False
        self.absorb(self.still >= STILL_SECONDS)

    def _stand_still(self, picture: Image, covered: Mask, seconds: float) -> Image:
        recent = _bytes(self.recent)
        moved = _apart(picture, recent, MOVES) | covered
        self.still += np.float32(seconds)
        self.still[moved] = 0.0
        cv2.accumulateWeighted(picture, self.recent, _FOLLOW)
        cv2.copyTo(picture.astype(np.float32), moved.view(np.uint8), self.recent)
        return _bytes(self.recent)

    def _under_this_light(self, picture: Image, where: Mask) -> Image:
        """Return the background as the camera's exposure of now would show it: by the median ratio of each colour.

        The median stands for the light as long as less than half of the picture is covered by something else.
        """
        before, now = self._background[::8, ::8], picture[::8, ::8]
        usable = where[::8, ::8] & (before.min(axis=2) > 30)  # where it is dark, ratios are noise
        if np.count_nonzero(usable) < 50:
            return _bytes(self._background)
        gain = np.clip(np.median(now[usable] / before[usable], axis=0), *_GAIN_RANGE)
        return np.asarray(cv2.convertScaleAbs(self._background * gain.astype(np.float32)), np.uint8)

    def _most_differs(self, seen: Mask) -> bool:
        visible = np.count_nonzero(seen)
        if visible < _SEEN_SHARE * float(np.count_nonzero(self.known)):
            return True
        if np.count_nonzero(self.differs) > DISTURBED_SHARE * visible:
            return True
        cells = cv2.resize(self.differs.astype(np.float32), (16, 9), interpolation=cv2.INTER_AREA)
        return float(np.mean(cells > _CELL_DIFFERS)) > _DISTURBED_CELLS

    def _follow_daylight(self, picture: Image, seen: Mask, seconds: float) -> None:
        """Move the background towards the picture, and where something stands before it, towards the light of now."""
        same = seen & ~self.differs
        self.proven += same * np.float32(seconds)
        target = self.expected.copy()
        cv2.copyTo(picture, same.view(np.uint8), target)
        cv2.accumulateWeighted(target, self._background, 1.0 - np.exp(-seconds / DAYLIGHT_SECONDS))


def covered_by(boxes: Sequence[Box], shape: tuple[int, int]) -> Mask:
    """Return the pixels that boxes cover, a little more on all sides and most below: feet, bags in hands, shadows."""
    height, width = shape
    mask = np.zeros(shape, bool)
    for x1, y1, x2, y2 in boxes:
        side, below = 0.15 * (x2 - x1), 0.1 * (y2 - y1)
        left, right = int(max(0.0, x1 - side) * width), int(np.ceil((x2 + side) * width))
        top, bottom = int(max(0.0, y1 - below / 2) * height), int(np.ceil((y2 + below) * height))
        mask[top:bottom, left:right] = True
    return mask


def _bytes(picture: Any) -> Image:
    return np.asarray(cv2.convertScaleAbs(picture), np.uint8)


def _apart(one: Image, other: Image, levels: int) -> Mask:
    """Return where two pictures differ by more than so many levels in any colour."""
    blue, green, red = cv2.split(cv2.absdiff(one, other))
    return np.asarray(cv2.max(cv2.max(blue, green), red) > levels)
