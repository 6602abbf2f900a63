"""The cloth that is pulled over the lens."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from surveil.demo.lens import HEIGHT, WIDTH
from surveil.demo.texture import clouds
from surveil.messages import Image

_SOFT = 60
"""How many rows the cloth's edge is blurred over: it is far too near to be sharp."""


class Cloth:
    """A dark cloth by one seed, which comes from above."""

    def __init__(self, seed: int) -> None:
        dice = np.random.default_rng([seed, 10])
        folds = clouds(dice, (HEIGHT, WIDTH), 160, 3)[..., None]
        colour = np.array(dice.uniform(14, 46, 3), np.float32)
        self._picture = np.clip(colour * (1 + 0.25 * folds), 0, 255).astype(np.uint8)
        self._wave = 26 * np.sin(np.linspace(0, 5, WIDTH) + dice.uniform(0, 6)) + 0.12 * np.arange(WIDTH)

    def lay(self, picture: Image, owner: NDArray[np.uint8], cover: float, darkness: float) -> float:
        """Lay the cloth over the upper `cover` of the picture, 0 to 1; return the share that it really hides."""
        if cover <= 0:
            return 0.0
        edge = cover * (HEIGHT + 2 * _SOFT + 140) - _SOFT - self._wave
        rows = np.arange(HEIGHT, dtype=np.float32)[:, None]
        there = np.clip((edge[None] - rows) / _SOFT + 0.5, 0, 1).astype(np.float32)
        light = 1 - 0.6 * darkness
        dark = cv2.convertScaleAbs(self._picture, alpha=light)
        cv2.blendLinear(dark, picture.copy(), there, 1 - there, dst=picture)
        owner[there > 0.5] = 0
        return float(there.mean())
