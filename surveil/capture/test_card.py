"""A moving picture for whoever has no recording at hand: H.264 as a camera would send it, to measure with."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

SECONDS = 4
FPS = 30


def write(path: Path, width: int = 1920, height: int = 1080) -> None:
    """Write SECONDS of a panning, slightly noisy pattern; about the bit rate of a busy street (4 Mbit/s)."""
    dice = np.random.default_rng(0)
    y, x = np.mgrid[0:height, 0 : 2 * width]
    wide = np.stack([128 + 80 * np.sin(x / 37) * np.cos(y / 53), x * 255 / (2 * width), y * 255 / height], axis=2)
    wide = np.clip(wide + dice.normal(0, 6, wide.shape), 0, 255).astype(np.uint8)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.bit_rate = 4_000_000
        for number in range(SECONDS * FPS):
            left = number * 8 % width
            picture = np.ascontiguousarray(wide[:, left : left + width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
