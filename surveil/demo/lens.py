"""How the yard's metres become the picture's pixels: one fixed camera, 3 m up, looking over the yard to the road."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 960, 540
FPS = 15
HORIZON = 170.0
_FOCAL = 760.0
_ABOVE = 3.0
_MIDDLE = 480.0
_NEAREST = 1.0

Points = NDArray[np.float64]
"""Either (n, 3) metres, right of the camera, above the ground and away from it, or (n, 2) pixels, x and y."""


def seen(metres: Points) -> Points:
    """Return the pixels, (n, 2), at which points in metres, (n, 3), are seen."""
    scale = _FOCAL / np.maximum(metres[:, 2], _NEAREST)
    return np.stack([_MIDDLE + scale * metres[:, 0], HORIZON + scale * (_ABOVE - metres[:, 1])], axis=1)


def spot(x: float, y: float, z: float) -> tuple[float, float]:
    """Return the pixel at which one point is seen."""
    pixel = seen(np.array([[x, y, z]]))[0]
    return float(pixel[0]), float(pixel[1])


def pixels_a_metre(z: float) -> float:
    """Return how large a metre is at a distance."""
    return _FOCAL / max(z, _NEAREST)


def ground() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return for each pixel, (HEIGHT, WIDTH), the x and the z in metres of the ground that is seen there."""
    rows = np.arange(HEIGHT, dtype=np.float32)[:, None]
    z = _FOCAL * _ABOVE / np.maximum(rows - HORIZON, 1.0)
    z = np.broadcast_to(z, (HEIGHT, WIDTH)).astype(np.float32)
    x = (np.arange(WIDTH, dtype=np.float32)[None] - _MIDDLE) * z / _FOCAL
    return x, z
