"""Pictures as the vision tower takes them: what Qwen's image processor does, without its detours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from surveil.messages import Image

PATCH, MERGE, FRAMES = 14, 2, 2
CELL = PATCH * MERGE
"""Pixels across of what becomes one token."""
_MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
_SPREAD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)


def patches(image: Image) -> NDArray[np.float32]:
    """Return a picture's patches, float32 (n, 1176), those of one token one after the other; sides multiples of 28."""
    height, width = image.shape[:2]
    normal = (image[:, :, ::-1].astype(np.float32) / 255 - _MEAN) / _SPREAD
    cut = normal.reshape(height // CELL, MERGE, PATCH, width // CELL, MERGE, PATCH, 3)
    cut = cut.transpose(0, 3, 1, 4, 6, 2, 5)  # token row and column, patch row and column, colour, pixel row and column
    flat = cut.reshape(-1, 3, 1, PATCH * PATCH)
    return np.ascontiguousarray(np.broadcast_to(flat, (len(flat), 3, FRAMES, PATCH * PATCH)).reshape(len(flat), -1))


def batch(images: Sequence[Image]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the patches of several pictures, (n, 1176), and each picture's grid of patches, (pictures, 3)."""
    grids = [[1, image.shape[0] // PATCH, image.shape[1] // PATCH] for image in images]
    return torch.from_numpy(np.concatenate([patches(image) for image in images])), torch.tensor(grids)
