"""The demo's camera: films the yard for ever at its own pace, and hands on H.264 as a real one's chip would make it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext

from surveil.clock import Clock
from surveil.demo import storyline
from surveil.demo.lens import FPS, HEIGHT, WIDTH
from surveil.demo.scene import Scene
from surveil.messages import Image

_log = logging.getLogger(__name__)
TICKS = 90_000
"""RTP counts video in so many parts of a second (RFC 6184, section 5.1)."""
_LATE_SECONDS = 1.0
_STOP_SECONDS = 10.0
_PARAMETERS = {7, 8}
_KEY = 5


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """One encoded picture: NAL units without start codes, whether decoding can begin here, and its time in TICKS."""

    nals: tuple[bytes, ...]
    key: bool
    ticks: int

    @property
    def parameters(self) -> tuple[bytes, ...]:
        """The sequence and picture parameter sets in it, which a key frame brings along."""
        return tuple(nal for nal in self.nals if nal[0] & 31 in _PARAMETERS)


class Encoder:
    """x264 as a camera has it: no picture waits for a later one, a key frame every second, parameters with each."""

    def __init__(self) -> None:
        self._context = VideoCodecContext.create("libx264", "w")
        self._context.width, self._context.height = WIDTH, HEIGHT
        self._context.pix_fmt = "yuv420p"
        self._context.time_base = Fraction(1, FPS)
        self._context.framerate = Fraction(FPS)
        self._context.thread_count = 1
        self._context.options = {
            "preset": "veryfast",
            "tune": "zerolatency",
            "crf": "24",
            "maxrate": "4M",
            "bufsize": "4M",
            "g": str(FPS),
            "x264-params": "repeat-headers=1:annexb=1:scenecut=0:sliced-threads=0",
        }

    def encoded(self, picture: Image, index: int) -> Iterator[AccessUnit]:
        """Yield what a picture becomes, uint8 (540, 960, 3): one unit, since nothing is held back."""
        frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
        frame.pts = index
        for packet in self._context.encode(frame):
            nals = tuple(_split(bytes(packet)))
            yield AccessUnit(nals, any(nal[0] & 31 == _KEY for nal in nals), index * TICKS // FPS)


class YardCamera:
    """Films on a thread of its own, from `start` to `stop`; `listener` is called on that thread and must not block."""

    def __init__(self, seed: int, clock: Clock, listener: Callable[[AccessUnit], None]) -> None:
        self._seed = seed
        self._clock = clock
        self._listener = listener
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo-camera", daemon=True)

    def start(self) -> None:
        """Begin to film: the story begins now."""
        self._thread.start()

    def stop(self) -> None:
        """Stop filming, and wait for the thread's end."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        try:
            self._film()
        except Exception:  # noqa: BLE001 - whatever broke, its thread must not end without a word
            _log.exception("the demo's camera broke")

    def _film(self) -> None:
        scene, encoder = Scene(self._seed), Encoder()
        index, began = 0, self._clock.monotonic()
        while not self._stop.is_set():
            picture, _ = scene.picture(storyline.moment(self._seed, index / FPS))
            for unit in encoder.encoded(np.ascontiguousarray(picture), index):
                self._listener(unit)
            index += 1
            early = began + index / FPS - self._clock.monotonic()
            if early < -_LATE_SECONDS:  # a machine that slept, or is too slow: leave pictures out, never fall behind
                index -= int(early * FPS)
            self._stop.wait(max(0.0, early))


def _split(stream: bytes) -> Iterator[bytes]:
    """Yield the NAL units between the start codes of an Annex B stream."""
    for part in stream.split(b"\0\0\1"):
        nal = part.rstrip(b"\0")  # a start code may have a zero more, which then ends the part before it
        if nal:
            yield nal
