"""Which hardware decodes video here: found out by decoding, not by what is said to be installed."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import av.error
import numpy as np
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

_log = logging.getLogger(__name__)
PROBE_SECONDS = 5.0
"""A driver that has decoded nothing by then hangs; its thread is left alone."""
HARDWARE_FORMATS = frozenset({"nv12", "p010le", "p016le"})
"""What pictures are when they come from a device; software gives planar formats."""
_DEVICES = {"cuda": "nvidia[0-9]*", "qsv": "dri/renderD*", "drm": "dri/renderD*"}
"""FFmpeg's name of each kind → the device nodes without which it need not be tried."""
# All cameras share the device's one context: each of their own would take 200 MB and more of its memory.
_OPTIONS: dict[str, dict[str, object]] = {"cuda": {"primary_ctx": "1"}}


@dataclass(frozen=True, slots=True)
class Acceleration:
    """What decodes here: FFmpeg's name of the device, None for software, and the line that tells people why."""

    device: str | None
    line: str


@functools.cache
def found() -> Acceleration:
    """Return what decodes on this machine; asked of the hardware once a process, at most PROBE_SECONDS a device."""
    return probed(Path("/dev"))


def probed(nodes: Path) -> Acceleration:
    """Try every device whose nodes lie in the folder `nodes`; the first one that decodes is used."""
    built = hwdevices_available()
    refused = []
    for device, pattern in _DEVICES.items():
        if device not in built:
            why: str | None = "not in this FFmpeg"
        elif not any(nodes.glob(pattern)):
            why = f"no {nodes / pattern.replace('[0-9]', '')}"
        else:
            why = _within(PROBE_SECONDS, functools.partial(_refusal, device))
        if why is None:
            return Acceleration(device, f"on {device}")
        refused.append(f"{device}: {why}")
    return Acceleration(None, f"in software ({'; '.join(refused)})")


class Hardware:
    """The hardware decoding of one camera, over all its tries: what the device refuses once is not asked again."""

    def __init__(self, camera: str, device: str) -> None:
        self._camera = camera
        self._device: str | None = device

    def decoder(self, stream: VideoStream) -> VideoCodecContext | None:
        """Return a decoder on the device for a stream; None where software must do."""
        if self._device is None:
            return None
        try:
            context = _context(self._device, stream.codec_context.name, fallback=True)
        except (av.error.FFmpegError, ValueError) as error:
            self.refuses(str(error))
            return None
        if not context.is_hwaccel:
            self.refuses(f"it knows no {stream.codec_context.name}")
            return None
        context.extradata = stream.codec_context.extradata
        return context

    def refuses(self, why: str) -> None:
        """The device cannot decode this camera's stream: software does from now on."""
        if self._device is not None:
            _log.warning("camera=%s is decoded in software: %s refuses its stream: %s", self._camera, self._device, why)
            self._device = None


def _context(device: str, codec: str, fallback: bool) -> VideoCodecContext:
    accel = HWAccel(device, allow_software_fallback=fallback, options=_OPTIONS.get(device))
    context = cast(VideoCodecContext, av.CodecContext.create(codec, "r", hwaccel=accel))
    context.thread_count = 1
    return context


def _refusal(device: str) -> str | None:
    """Decode a tiny clip on a device; return why that does not work, None if it does."""
    try:
        context = _context(device, "h264", fallback=False)
        if not context.is_hwaccel:
            return "this FFmpeg's H.264 decoder cannot use it"
        pictures = [picture for packet in [*_clip(), None] for picture in context.decode(packet)]
    except (av.error.FFmpegError, RuntimeError, ValueError) as error:
        return (getattr(error, "strerror", None) or str(error)).lower()
    if not pictures or pictures[0].format.name not in HARDWARE_FORMATS:
        return "it decodes nothing"
    return None


def _clip() -> list[Packet[VideoStream]]:
    """Return a few packets of real H.264, encoded here and now."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 320, 240, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
    encoder.options = {"tune": "zerolatency", "preset": "ultrafast"}
    packets: list[Packet[VideoStream]] = []
    for number in range(8):
        picture = av.VideoFrame.from_ndarray(np.full((240, 320, 3), 30 * number, np.uint8), format="bgr24")
        picture.pts = number
        packets += encoder.encode(picture)
    return packets + encoder.encode(None)


def _within(seconds: float, call: Callable[[], str | None]) -> str | None:
    answers: list[str | None] = []
    thread = threading.Thread(target=lambda: answers.append(call()), name="probe-decoder", daemon=True)
    thread.start()
    thread.join(seconds)
    return answers[0] if answers else f"no answer within {seconds:.0f} s"
