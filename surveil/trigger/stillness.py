"""Whether a camera's pictures only repeat, though packets go on: its sensor or its software hangs, not its encoder.

Equality does not tell: the coder makes something slightly different of the same picture, above all at each key
picture. But what it makes of the same picture it makes again and again, while a live sensor's noise is never
the same twice: even where the coder wipes the noise out, some of it decides what each key picture keeps.
So each picture is compared with all those from half a window to a whole one ago, which key pictures lie between,
and the nearest of them counts. Measured with x264 (100 kbit/s to 1 Mbit/s and constant quality 23 to 33, a key
picture every 2 to 10 s, by day and at night): never under 0.11 grey levels with noise of a third of a level to
four; 0 for a still picture, but for one with much fine detail at 100 or 200 kbit/s, which repeats seldom and is told
late or not at all. A live, quiet scene without a key picture for a whole window cannot be told from a frozen one.
"""

from __future__ import annotations

from collections import deque
from itertools import takewhile

import cv2

from surveil.messages import Image

WINDOW_SECONDS = 20.0
REPEATS = 0.1
"""Grey levels, mean over the picture: nearer than this, an earlier picture is the same one coded again."""
_CHANGED_ANYWHERE = 24
"""Grey levels at one point, twice what a coder did to a still picture at 100 kbit/s: a figure of a clock."""
_CHANGED_OVERALL = 1.0
"""Grey levels, mean over the picture: the light has changed. A coder that saves most makes 0.6 of a still one."""


class Stillness:
    """The last pictures of one camera, small and grey, for as long as nothing moves in them."""

    def __init__(self) -> None:
        self.since: float | None = None
        self.repeated_at: float | None = None
        """When a picture last was the same one coded again."""
        self._anchor: Image | None = None
        self._recent: deque[tuple[float, Image]] = deque()

    def forget(self) -> None:
        """Begin anew: what came before is not to be compared."""
        self.since = self.repeated_at = self._anchor = None
        self._recent.clear()

    def observe(self, grey: Image, at: float) -> None:
        """Take in a picture, uint8 (height, width), some half a second after the last."""
        if self._anchor is None or _changed(self._anchor, grey):
            self.forget()
            self._anchor, self.since = grey, at
        while self._recent and at - self._recent[0][0] > WINDOW_SECONDS:
            self._recent.popleft()
        older = takewhile(lambda entry: at - entry[0] >= WINDOW_SECONDS / 2, self._recent)
        if any(_difference(picture, grey) < REPEATS for _, picture in older):
            self.repeated_at = at
        self._recent.append((at, grey))

    def seconds(self, at: float, patience: float = WINDOW_SECONDS / 2) -> float:
        """Return for how long the picture has been repeating, 0 if it does not.

        One repetition within `patience` will do: a coder short of bits spends other amounts on each key picture,
        but hits the same one again now and then; noise never does.
        """
        if self.since is None or self.repeated_at is None or at - self.repeated_at > patience:
            return 0.0
        return at - self.since


def _changed(anchor: Image, grey: Image) -> bool:
    return bool(
        cv2.norm(anchor, grey, cv2.NORM_INF) > _CHANGED_ANYWHERE or _difference(anchor, grey) > _CHANGED_OVERALL
    )


def _difference(one: Image, other: Image) -> float:
    return float(cv2.norm(one, other, cv2.NORM_L1)) / one.size
