"""Damage as it comes: flipped bits, cut and lost packets in real H.264 and H.265."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest

from surveil.capture.damage import HIDDEN_PICTURES, Damage
from surveil.capture.decoding import Decoder, Decoding, full, opened
from surveil.capture.video_file import Unpaced, VideoFile
from surveil.interfaces import EndOfFile
from surveil.messages import Frame, Image

FRAMES, GOP, FPS = 120, 20, 10
CODECS = {
    "h264": ("libx264", {"g": str(GOP), "tune": "zerolatency", "preset": "veryfast"}),
    "hevc": ("libx265", {"x265-params": f"keyint={GOP}:bframes=0:log-level=none", "preset": "ultrafast"}),
}
Harm = Callable[[int, bytes], bytes]


def recorded(path: Path, codec: str, harm: Harm, size: tuple[int, int] = (320, 240)) -> Path:
    """Write a panning, noisy scene as a transport stream, which has start codes as RTP does, each packet harmed."""
    name, options = CODECS[codec]
    dice = np.random.default_rng(0)
    wide = np.clip(dice.normal(128, 12, (size[1], 4 * size[0], 3)), 0, 255).astype(np.uint8)
    wide[:, ::16] //= 2
    with av.open(str(path), "w", format="mpegts") as container:
        stream = container.add_stream(name, rate=FPS, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        written = 0
        pictures = [np.ascontiguousarray(wide[:, 3 * n : 3 * n + size[0]]) for n in range(FRAMES)]
        for picture in [*(av.VideoFrame.from_ndarray(image, format="bgr24") for image in pictures), None]:
            for packet in stream.encode(picture):
                other = av.Packet(harm(written, bytes(packet)))
                other.pts, other.dts, other.time_base = packet.pts, packet.dts, packet.time_base
                other.is_keyframe, other.stream = packet.is_keyframe, stream
                container.mux(other)
                written += 1
    return path


def decoded(path: Path) -> tuple[dict[int, Image], int]:
    """Return the pictures that a Decoder gives, by their number, and how many it said were damaged."""
    damaged: list[None] = []
    shown: dict[int, Image] = {}
    with opened(str(path), "nonsense") as container:
        decoder = Decoder(
            container, (120, 160), lambda: (0.0, 0.0), decoding=Decoding(on_damaged=lambda: damaged.append(None))
        )
        began: float | None = None
        for picture, _ in decoder.frames():
            assert picture.time is not None
            began = picture.time if began is None else began
            shown[round((picture.time - began) * FPS)] = full(picture)()
    return shown, len(damaged)


def flipped(dice: random.Random, data: bytes) -> bytes:
    harmed = bytearray(data)
    for _ in range(8):
        harmed[dice.randrange(min(len(data) - 1, 40), len(data))] ^= 1 << dice.randrange(8)
    return bytes(harmed)


def smeared(shown: dict[int, Image], clean: dict[int, Image]) -> list[int]:
    def differs(image: Image, other: Image) -> bool:
        return bool(np.abs(image.astype(int) - other).mean() > 1.0)

    return [number for number, image in shown.items() if differs(image, clean[number])]


@pytest.mark.parametrize(
    ("codec", "harm"),
    [
        ("h264", lambda data: flipped(random.Random(1), data)),
        ("h264", lambda data: data[: len(data) * 2 // 3]),
        ("h264", lambda data: data[: len(data) // 3] + data[2 * len(data) // 3 :]),
        ("hevc", lambda data: data[: len(data) * 2 // 3]),
        ("hevc", lambda _data: b""),
    ],
    ids=["h264 flipped", "h264 cut", "h264 with a hole", "hevc cut", "hevc lost"],
)
def test_no_smeared_picture_is_shown_and_the_next_key_picture_ends_it(
    tmp_path: Path, codec: str, harm: Callable[[bytes], bytes]
) -> None:
    clean, none = decoded(recorded(tmp_path / "clean.ts", codec, lambda _n, data: data))
    assert (len(clean), none) == (FRAMES, 0)
    hits = {27, 60, 84}  # 60 is a key packet
    shown, damaged = decoded(recorded(tmp_path / "harmed.ts", codec, lambda n, data: harm(data) if n in hits else data))
    assert smeared(shown, clean) == []
    spoiled = {*range(27, 40), *range(60, 80), *range(84, 100)}
    assert set(clean) - set(shown) == spoiled
    lost = len(hits) if harm(b"packet") == b"" else 0  # of these the decoder never heard
    assert damaged == len(spoiled) - lost


@pytest.mark.parametrize("codec", CODECS)
def test_a_stream_that_changes_its_size_goes_on(tmp_path: Path, codec: str) -> None:
    video = tmp_path / "both.ts"
    parts = [(320, 240), (640, 360)]
    video.write_bytes(
        b"".join(recorded(tmp_path / "part.ts", codec, lambda _n, data: data, size).read_bytes() for size in parts)
    )
    source = VideoFile("front", str(video), (120, 160), Unpaced(0.0))
    source.open()
    frames: list[Frame] = []
    with pytest.raises(EndOfFile):
        frames.extend(source.frames())
    source.close()
    shapes = [(frame.image.shape, frame.full().shape) for frame in frames]
    assert shapes == [((120, 160, 3), (240, 320, 3))] * FRAMES + [((90, 160, 3), (360, 640, 3))] * FRAMES


@pytest.mark.parametrize(("first", "then"), [("h264", "hevc"), ("hevc", "h264")])
def test_a_stream_that_changes_its_codec_ends_without_a_wrong_picture(tmp_path: Path, first: str, then: str) -> None:
    parts = [recorded(tmp_path / f"{codec}.ts", codec, lambda _n, data: data) for codec in (first, then)]
    clean, _ = decoded(parts[0])
    (tmp_path / "both.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    shown, _ = decoded(tmp_path / "both.ts")
    assert len(shown) >= FRAMES - 2
    assert set(smeared(shown, clean)) <= {FRAMES - 1}  # at the seam, packets of both are taken for one


@dataclass
class Picture:
    pts: int | None = None
    key_frame: bool = False
    is_corrupt: bool = False


def shows(damage: Damage, *pictures: Picture) -> list[bool]:
    return [damage.shows(cast(av.VideoFrame, picture)) for picture in pictures]


def test_a_stream_without_key_pictures_is_shown_again_after_a_while() -> None:
    damage = Damage()
    assert shows(damage, Picture(key_frame=True), Picture(), Picture(is_corrupt=True)) == [True, True, False]
    assert not any(shows(damage, *[Picture()] * (HIDDEN_PICTURES - 1)))
    assert shows(damage, Picture(), Picture(is_corrupt=True), Picture()) == [True, False, True]


def test_a_damaged_key_picture_ends_nothing() -> None:
    damage = Damage()
    damage.spoiled(7)
    assert shows(damage, Picture(6), Picture(7, key_frame=True), Picture(8)) == [False, False, False]
    assert shows(damage, Picture(9, key_frame=True), Picture(10)) == [True, True]


def test_a_stream_that_breaks_its_own_rules_is_seen_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # A supplemental message that is cut short, as devices send it: the strict decoder gives no picture at all.
    sloppy = b"\x00\x00\x00\x01\x4e\x01\x05\x04\x01\x02\x03\x04\x80"
    shown, damaged = decoded(recorded(tmp_path / "sloppy.ts", "hevc", lambda _n, data: sloppy + data))
    assert max(shown) - min(shown) == len(shown) - 1
    assert len(shown) >= FRAMES - 2 * GOP
    assert damaged == 0
    assert caplog.text.count("an H.265 stream breaks its own rules") == 1
