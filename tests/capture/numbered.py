"""Video whose pictures carry their number, so that what becomes of it can be checked picture by picture."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from surveil.capture.decoding import coding_of, full
from surveil.capture.packets import CodedPacket, Coding
from surveil.messages import Image

FPS = 10
_BITS, _WIDE = 12, 16

Packets = tuple[Coding, list[CodedPacket]]


def write_numbered(
    path: Path, frames: int, codec: str = "libx264", size: tuple[int, int] = (320, 240), fps: int = FPS, **options: str
) -> Path:
    """Write real video in which frame n has a row of blocks that are n in binary; a key picture every 2 s."""
    if codec not in av.codecs_available:
        pytest.skip(f"no encoder {codec} here")
    quick = {"preset": "ultrafast" if codec == "libx264" else "superfast", "g": str(2 * fps), "bf": "0", **options}
    if codec == "libx265":
        every, between = quick["g"], quick["bf"]
        quick["x265-params"] = f"log-level=none:pools=1:keyint={every}:min-keyint={every}:bframes={between}"
    with av.open(str(path), "w") as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=fps, options=quick))
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            image = np.full((size[1], size[0], 3), 100, np.uint8)
            for bit in range(_BITS):
                image[64:128, bit * _WIDE : (bit + 1) * _WIDE] = 230 if number >> bit & 1 else 20
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    return path


def number_of(image: Image) -> int:
    """Return the number of a picture of any size in which the blocks can still be seen."""
    scale = image.shape[1] / 320
    row = image[int(96 * scale)]
    return sum(1 << bit for bit in range(_BITS) if row[int((bit + 0.5) * _WIDE * scale)].mean() > 127)


def packets_of(video: Path, begin: float = 0.0, fps: int = FPS) -> Packets:
    """Return a file's packets in the order of decoding, captured one after the other at its pace from `begin` on."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        read = [packet for packet in container.demux(stream) if packet.size]
        return coding_of(stream), [
            CodedPacket(bytes(p), p.is_keyframe, p.pts, p.dts, begin + n / fps, begin + n / fps)
            for n, p in enumerate(read)
        ]


def later(packets: list[CodedPacket], seconds: float) -> list[CodedPacket]:
    """Return the same packets, captured later; the camera's own times stay."""
    return [replace(packet, at=packet.at + seconds, wall=packet.wall + seconds) for packet in packets]


def near(pictures: list[tuple[int, float]], wanted: list[tuple[int, float]], seconds: float = 0.001) -> bool:
    """Return whether these are the same pictures, each shown at about the same second."""
    same = [number for number, _ in pictures] == [number for number, _ in wanted]
    return same and all(abs(a - b) <= seconds for (_, a), (_, b) in zip(pictures, wanted, strict=True))


def shown(clip: Path) -> list[tuple[int, float]]:
    """Return the number of each picture of a clip and the second in which it is shown, in that order.

    Checks that the clip is sound: its index comes first, it begins at 0 with a key picture, and its times rise.
    """
    data = clip.read_bytes()
    assert data.index(b"ftyp") < data.index(b"moov") < data.index(b"mdat")
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        assert packets[0].is_keyframe
        assert packets[0].pts == 0
        assert {packet.stream.codec_context.codec_tag for packet in packets} <= {"avc1", "hvc1"}
        decoded = [packet.dts for packet in packets if packet.dts is not None]
        assert len(decoded) == len(packets)
        assert all(before < after for before, after in itertools.pairwise(decoded))
        assert all(p.pts is not None and p.dts is not None and p.pts >= p.dts for p in packets)
    with av.open(str(clip)) as container:
        pictures = [(number_of(full(p)()), p.time or 0.0) for p in container.decode(video=0)]
    assert len(pictures) == len(packets)
    probed(clip)
    return pictures


def numbers(clip: Path) -> list[int]:
    """Return the numbers of a sound clip's pictures."""
    return [number for number, _ in shown(clip)]


def probed(clip: Path) -> None:
    """Let another player's eyes see the clip, where they are here."""
    ffprobe = shutil.which("ffprobe")
    if ffprobe is not None:
        told = subprocess.run(
            [ffprobe, "-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames", str(clip)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert told.stderr == ""
