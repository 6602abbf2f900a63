"""Real footage as pictures, tampered with and sent through a real encoder, as a camera would send it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from surveil.messages import Image

WIDTH, HEIGHT = 640, 360


def played(video: Path, every: int = 1) -> Iterator[tuple[float, Image]]:
    """Yield every nth picture of a file at the detector's size, with its time."""
    with av.open(str(video)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % every == 0:
                assert frame.time is not None
                yield frame.time, _small(frame)


def coded(images: Iterable[Image], fps: int, **options: str) -> Iterator[Image]:
    """Yield what comes out of x264, with a key picture every 2 s and 400 kbit/s unless told otherwise."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(fps), Fraction(1, fps)
    rate = options.pop("rate", "400000")
    encoder.bit_rate = int(rate)
    limits = {"maxrate": rate, "bufsize": str(2 * int(rate)), "g": str(2 * fps), "bf": "0", "preset": "veryfast"}
    encoder.options = limits | options
    encoder.thread_count = 1  # with more, x264's rate control gives another stream from run to run
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    for number, image in enumerate(images):
        frame = av.VideoFrame.from_ndarray(image, format="bgr24")
        frame.pts = number
        for packet in encoder.encode(frame):
            yield from map(_small, decoder.decode(packet))
    for packet in encoder.encode(None):
        yield from map(_small, decoder.decode(packet))
    yield from map(_small, decoder.decode(None))


def noisy(image: Image | np.typing.NDArray[np.floating], sigma: float, seed: int) -> Image:
    """Return a picture as a sensor with so much noise has it."""
    noise = np.random.default_rng(seed).normal(0, sigma, image.shape[:2])
    return np.clip(image + noise[..., None] + 0.5, 0, 255).astype(np.uint8)


def _small(frame: av.VideoFrame) -> Image:
    return np.asarray(frame.reformat(WIDTH, HEIGHT, format="bgr24").to_ndarray(), np.uint8)
