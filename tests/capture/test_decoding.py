from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest

from surveil.capture.decoding import Decoder, Decoding, fitted, full, opened
from surveil.interfaces import CaptureError
from tests.real.components import write_video


@pytest.mark.parametrize(
    ("size", "into", "expected"),
    [((1080, 1920), (640, 640), (360, 640)), ((432, 768), (640, 640), (360, 640)), ((480, 640), (384, 640), (384, 512)),
     ((100, 50), (640, 640), (640, 320)), ((1, 4000), (640, 640), (1, 640))],
)  # fmt: skip
def test_pictures_are_fitted_with_their_shape_kept(
    size: tuple[int, int], into: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert fitted(*size, into) == expected


def test_every_frame_comes_small_and_full_with_the_moment_of_its_own_packet(tmp_path: Path) -> None:
    # B-frames leave the decoder later than their packets came in.
    video = write_video(tmp_path / "b.mp4", frames=40, bf="3")
    moments = iter(range(1000))
    read: list[float] = []

    def moment() -> tuple[float, float]:
        read.append(float(next(moments)))
        return read[-1], 0.0

    with opened(str(video), "nonsense") as container:
        decoder = Decoder(container, (120, 160), moment)
        taken = [(decoder.small(p), full(p)(), at) for p, (at, _) in decoder.frames()]
    assert len(taken) == 40
    assert {small.shape for small, _, _ in taken} == {(120, 160, 3)}
    assert {large.shape for _, large, _ in taken} == {(240, 320, 3)}
    # The bar of frame n stands at 4 n pixels: the pictures are in order and the right ones.
    bars = [int(np.argmax(large[120].sum(axis=1) > 500)) for _, large, _ in taken]
    assert bars == [n * 4 % 320 for n in range(40)]
    captures = [at for _, _, at in taken]
    assert len(set(captures)) == 40
    assert captures != sorted(captures), "this video was meant to have reordered frames"


def test_a_packet_that_cannot_be_decoded_is_skipped(tmp_path: Path) -> None:
    data = bytearray(write_video(tmp_path / "v.mp4", frames=60).read_bytes())
    begin = data.index(b"mdat") + 2000
    data[begin : begin + 400] = bytes(255 for _ in range(400))
    (tmp_path / "broken.mp4").write_bytes(data)
    with opened(str(tmp_path / "broken.mp4"), "nonsense") as container:
        decoder = Decoder(container, (120, 160), lambda: (0.0, 0.0))
        assert 20 < sum(1 for _ in decoder.frames()) <= 60


@pytest.mark.parametrize(("live", "told"), [(True, 40), (False, 0)])
def test_how_long_packets_keep_the_thread_is_told_of_live_streams_only(live: bool, told: int, tmp_path: Path) -> None:
    busy: list[float] = []
    with opened(str(write_video(tmp_path / "v.mp4", frames=40)), "nonsense") as container:
        decoder = Decoder(container, (120, 160), lambda: (0.0, 0.0), live=live, decoding=Decoding(on_busy=busy.append))
        for number, _ in enumerate(decoder.frames()):
            if number == 20:
                time.sleep(0.05)
    assert len(busy) >= told
    assert (max(busy, default=0.0) >= 0.05) is live  # what is done with a picture counts too


def test_what_is_no_video_is_told_in_our_words(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(CaptureError, match="this is nonsense"):
        opened(str(tmp_path / "text.mp4"), "this is nonsense")
    with pytest.raises(CaptureError, match="no such file"):
        opened(str(tmp_path / "absent.mp4"), "")
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 8000
        for packet in [*stream.encode(silence), *stream.encode()]:
            container.mux(packet)
    with opened(str(tmp_path / "sound.mp4"), "") as container, pytest.raises(CaptureError, match="no video in it"):
        Decoder(container, (64, 64), lambda: (0.0, 0.0))


def test_one_picture_may_be_made_by_several_threads_at_a_time() -> None:
    frame = av.VideoFrame.from_ndarray(np.full((540, 960, 3), 90, np.uint8), format="bgr24").reformat(format="yuv420p")
    make = full(frame)
    with ThreadPoolExecutor(8) as pool:
        means = [float(picture.mean()) for picture in pool.map(lambda _: make(), range(400))]
    assert max(means) - min(means) == 0
