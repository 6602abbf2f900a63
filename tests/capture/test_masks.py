from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from surveil.capture.masks import MaskedSource, Masks
from surveil.capture.video_file import Unpaced, VideoFile
from surveil.interfaces import EndOfFile

LEFT = [[(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)]]


def test_masked_parts_are_black_in_the_small_and_in_the_full_picture(video: Path) -> None:
    source = MaskedSource(VideoFile("a", str(video), (120, 160), Unpaced(0.0)), Masks(LEFT))
    source.open()
    frames = source.frames()
    seen = [next(frames) for _ in range(30)]
    with pytest.raises(EndOfFile):
        next(frames)
    source.close()
    for frame in seen[::7]:
        for image in (frame.image, frame.full()):
            width = image.shape[1]
            assert not image[:, : width // 2].any()
            assert image[:, width // 2 + 1 :].min() > 20


def test_several_masks_and_odd_shapes() -> None:
    triangle = [(0.5, 0.5), (1.0, 0.5), (1.0, 1.0)]
    image = Masks([*LEFT, triangle]).black_out(np.full((100, 200, 3), 255, np.uint8))
    assert not image[:, :100].any()
    assert not image[60, 190].any()
    assert image[90, 110].all()
    assert image[20, 150].all()
