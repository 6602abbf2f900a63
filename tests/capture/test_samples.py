from __future__ import annotations

from pathlib import Path

import pytest

from surveil.capture.samples import samples
from surveil.interfaces import CaptureError
from tests.real.components import write_video


def bar(image: object) -> int:
    """Return where the white bar of `write_video` begins: four pixels further in each frame."""
    import numpy as np

    return int(np.asarray(image)[120, :, 0].argmax())


def test_samples_are_spread_over_the_whole_recording(video: Path) -> None:
    places = [bar(image) for image in samples(str(video), 5)]
    assert places == sorted(set(places))
    assert len(places) == 5
    assert [round(place / 4) for place in places] == pytest.approx([0, 6, 12, 18, 24], abs=1)


def test_a_recording_gives_no_more_pictures_than_it_has(video: Path) -> None:
    places = [bar(image) for image in samples(str(video), 100)]
    assert places == sorted(set(places))
    assert 28 <= len(places) <= 30


def test_a_long_recording_is_not_read_from_end_to_end(tmp_path: Path) -> None:
    long = write_video(tmp_path / "long.mp4", frames=600, fps=10)
    images = list(samples(str(long), 4))
    assert [bar(image) // 4 % 80 for image in images] == pytest.approx([0, 150 % 80, 300 % 80, 450 % 80], abs=1)


@pytest.mark.parametrize("content", [None, b"", b"no video at all"])
def test_what_is_no_recording_is_told(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CaptureError, match=r"x\.mp4: "):
        next(samples(str(path), 3))
