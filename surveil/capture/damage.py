"""Which decoded pictures are whole: a damaged one spoils those that were built on it."""

from __future__ import annotations

from collections import deque

from av.video.frame import VideoFrame

HIDDEN_PICTURES = 100
"""After so many hidden ones (4 s at 25 a second) a camera that sends no key picture is better seen than trusted: a
blind one is told to be stalled."""


class Damage:
    """Follows one decoder: from a damaged picture on, none is shown before the next key picture.

    FFmpeg marks the picture whose packet was damaged (H.264) or raises (H.265), but not those after it, which are
    built on it and just as smeared: measured, five of six smeared pictures carry no mark.
    """

    def __init__(self) -> None:
        self.begun = False
        self._hidden: int | None = None
        self._spoiled: deque[int | None] = deque(maxlen=32)

    def spoiled(self, pts: int | None) -> None:
        """The packet of this time could not be decoded, or not without errors; its picture may still come."""
        self._hidden = self._hidden or 0
        self._spoiled.append(pts)

    def shows(self, picture: VideoFrame) -> bool:
        """Return whether the next picture, in the order in which they are shown, is whole."""
        damaged = picture.is_corrupt or (picture.pts is not None and picture.pts in self._spoiled)
        if damaged:
            self._hidden = self._hidden or 0
        elif picture.key_frame:
            self._hidden = None
        if self._hidden is not None:
            self._hidden += 1
            if damaged or self._hidden <= HIDDEN_PICTURES:
                return False
        self.begun = True
        return True
