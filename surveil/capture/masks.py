"""What nobody may see: polygons blacked out in every picture, before anything is detected, stored or sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from surveil.interfaces import FrameSource
from surveil.messages import Frame, Image, Picture


class Masks:
    """Polygons in fractions of the picture; used by any thread."""

    def __init__(self, polygons: Iterable[Iterable[tuple[float, float]]]) -> None:
        self._polygons = [np.array(list(corners), np.float64) for corners in polygons]

    def black_out(self, image: Image) -> Image:
        """Blacken them in the picture itself, and return it."""
        height, width = image.shape[:2]
        corners: list[NDArray[np.int32]] = [
            np.round(polygon * (width, height)).astype(np.int32) for polygon in self._polygons
        ]
        cv2.fillPoly(image, corners, (0, 0, 0))
        return image


class MaskedSource:
    """A FrameSource whose pictures, small and full, are masked."""

    def __init__(self, source: FrameSource, masks: Masks) -> None:
        self._source = source
        self._masks = masks

    def open(self) -> None:
        """Open the source."""
        self._source.open()

    def frames(self) -> Iterator[Frame]:
        """Yield its frames, masked."""
        for frame in self._source.frames():
            yield replace(frame, image=self._masks.black_out(frame.image), full=self._masked(frame.full))

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _masked(self, full: Picture) -> Picture:
        return lambda: self._masks.black_out(full())
