"""From compressed packets to frames: decoded once, converted straight to the detector's size."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import av.error
import numpy as np
from av.codec.context import Flags
from av.container import InputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from surveil.capture.acceleration import HARDWARE_FORMATS, Hardware
from surveil.capture.damage import Damage
from surveil.capture.packets import CodedPacket, Coding, PacketRing
from surveil.interfaces import CaptureError
from surveil.logs import Fold
from surveil.messages import Image, Picture

_log = logging.getLogger(__name__)
_fold = Fold(_log)
_BROKEN_PACKETS = 1000
"""So many undecodable packets in a row are no glitch but a stream that cannot be read."""
_FAULTS = 50
"""When more than half of so many packets raise, the stream is not damaged: its decoder is the wrong one."""
_SILENT_PACKETS = 100
"""So many packets without a picture: the hardware swallows what it cannot decode."""

_RTP_CLOCK = Fraction(1, 90_000)

_UNDECODABLE = (av.error.InvalidDataError, av.error.PatchWelcomeError)
_NO_VIDEO = (av.error.InvalidDataError, av.error.DemuxerNotFoundError, av.error.DecoderNotFoundError)


@dataclass(frozen=True, slots=True)
class Decoding:
    """Where a camera is decoded, and who is told of what that costs.

    `on_damaged` hears of each picture that was lost because it was damaged, `on_busy` for how many seconds each packet
    of a live stream kept its thread from the next. The packets are kept in `ring`, where there is one, and `on_cut`
    hears when it must leave some out.
    """

    hardware: Hardware | None = None
    on_damaged: Callable[[], None] = lambda: _fold.warn("a damaged picture was left out")
    on_busy: Callable[[float], None] = lambda _seconds: None
    ring: PacketRing | None = None
    on_cut: Callable[[], None] = lambda: None


IN_SOFTWARE = Decoding()
Moment = tuple[float, float]
"""Monotonic and UNIX seconds."""


class Decoder:
    """Decodes one opened container's video on the calling thread.

    Args:
        container: opened for reading.
        input_size: height and width in pixels that each picture is fitted into, its shape kept.
        moment: called when a packet has been read; what it returns is the capture of the frame in it.
        live: packets come over RTP; see `moments_of_packets`.
        decoding: where it is decoded, and who counts what is damaged.
    """

    def __init__(
        self,
        container: InputContainer,
        input_size: tuple[int, int],
        moment: Callable[[], Moment],
        live: bool = False,
        decoding: Decoding = IN_SOFTWARE,
    ) -> None:
        self.stream = video_of(container)
        _set_up(self.stream.codec_context)
        self._hardware = decoding.hardware
        # Tried first; where it will not do, the stream's own plain decoder takes over.
        self._preferred = decoding.hardware.decoder(self.stream) if decoding.hardware else None
        self._strict = self._preferred is None and self.stream.codec_context.name == "hevc"
        if self._strict:
            self._preferred = _strict(self.stream)
        self._faults: deque[bool] = deque(maxlen=_FAULTS)
        self._on_damaged = decoding.on_damaged
        self._on_busy = decoding.on_busy if live else None  # a file waits for its pace with the packet in hand
        self._damage = Damage()
        self._silent = 0
        self._container = container
        self._input_size = input_size
        self._moment = moment
        self._live = live
        self._shrink = VideoReformatter()
        self._on_cut = decoding.on_cut
        self._ring = decoding.ring
        if self._ring is not None:
            self._ring.begin()
            self._coding = coding_of(self.stream)

    def frames(self) -> Iterator[tuple[VideoFrame, Moment]]:
        """Yield each decoded picture that is whole with the moment at which its own packet was read."""
        captured: dict[int | None, Moment] = {}
        broken = 0
        for packet, now in self._packets():
            # A picture leaves a decoder that reorders later than its packet came in: look up its own.
            captured[packet.pts] = now
            try:
                pictures = self._decoded(packet)
            except _UNDECODABLE:
                broken += 1
                if broken >= _BROKEN_PACKETS:
                    raise CaptureError("its packets cannot be decoded") from None
                self._damage.spoiled(packet.pts)
                if self._damage.begun and not self._strict:  # there its picture is still to come
                    self._on_damaged()
                continue
            broken = 0
            for picture in pictures:
                moment = captured.pop(picture.pts, now)
                if self._damage.shows(picture):
                    yield picture, moment
                elif self._damage.begun:
                    self._on_damaged()
            if len(captured) > 64:
                captured.clear()

    def _packets(self) -> Iterator[tuple[Packet[VideoStream], Moment]]:
        for packet, moment in moments_of_packets(self._container, self.stream, self._moment, self._live):
            if self._ring is not None and packet.size:
                kept = self._ring.add(self._coding, coded_packet(packet, moment))
                if not kept:
                    self._on_cut()
            given = time.monotonic()
            yield packet, moment
            if self._on_busy is not None:
                self._on_busy(time.monotonic() - given)

    def _decoded(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        if self._preferred is None:
            return packet.decode()
        try:
            pictures = self._preferred.decode(packet)
        except av.error.FFmpegError as error:
            self._faults.append(True)
            never_did = self._hardware is not None and not self._damage.begun
            often = sum(self._faults) > _FAULTS // 2
            if never_did or often or not isinstance(error, _UNDECODABLE):
                return self._plainly(packet, reason(error))
            raise
        self._faults.append(False)
        if self._strict:
            return pictures
        if pictures and not self._damage.begun and pictures[0].format.name not in HARDWARE_FORMATS:
            self._refused("FFmpeg decodes it in software")
        self._silent = 0 if pictures else self._silent + 1
        return self._plainly(packet, "it gives no pictures") if self._silent > _SILENT_PACKETS else pictures

    def _plainly(self, packet: Packet[VideoStream], why: str) -> list[VideoFrame]:
        """Go on with the plain decoder; it shows no picture before the next key packet."""
        self._refused(why)
        self._preferred, self._strict = None, False
        return packet.decode()

    def _refused(self, why: str) -> None:
        if self._strict:
            _log.warning("an H.265 stream breaks its own rules all the time; what is damaged in it is not noticed")
        elif self._hardware is not None:
            self._hardware.refuses(why)

    def small(self, picture: VideoFrame) -> Image:
        """Return the picture in the detector's size, in one pass of the converter."""
        height, width = fitted(picture.height, picture.width, self._input_size)
        return _pixels(self._shrink.reformat(picture, width, height, "bgr24"))


def _set_up(context: VideoCodecContext) -> None:
    # One thread a camera: more only add frames of delay, and the cores belong to the other cameras.
    context.thread_count = 1
    if context.name == "hevc":
        # What lacks its references is given out, marked: else nobody could count what is lost.
        context.flags |= Flags.output_corrupt


def _strict(stream: VideoStream) -> VideoCodecContext:
    """Return a decoder that raises over errors: H.265 that is damaged is not marked, as H.264 is."""
    context = av.CodecContext.create("hevc", "r")
    context.extradata = stream.codec_context.extradata
    context.options = {"err_detect": "explode"}
    _set_up(context)
    return context


def video_of(container: InputContainer) -> VideoStream:
    """Return the first video stream of a container; raises CaptureError when there is none."""
    if not container.streams.video:
        raise CaptureError("there is no video in it")
    return container.streams.video[0]


def coding_of(stream: VideoStream) -> Coding:
    """Return what it takes to decode this connection's packets."""
    context = stream.codec_context
    return Coding(context.name, context.extradata, stream.time_base or _RTP_CLOCK, context.width, context.height)


def coded_packet(packet: Packet[VideoStream], moment: Moment) -> CodedPacket:
    """Return a packet as it is kept, captured at `moment`."""
    return CodedPacket(bytes(packet), packet.is_keyframe, packet.pts, packet.dts, *moment)


def moments_of_packets(
    container: InputContainer, stream: VideoStream, moment: Callable[[], Moment], live: bool
) -> Iterator[tuple[Packet[VideoStream], Moment]]:
    """Yield each packet with the moment at which its picture was captured; the last one may be empty.

    FFmpeg's parser holds each H.264 or H.265 picture that comes over RTP (`live`) back until the next one begins, so
    that it was really captured when the packet before it was given out.
    """
    held = live and stream.codec_context.name in {"h264", "hevc"}
    before: Moment | None = None
    for packet in container.demux(stream):
        given = moment()
        yield packet, before if held and before is not None else given
        before = given


def full(picture: VideoFrame) -> Picture:
    """Return what makes the picture at its own size, when it is asked to; from any thread, also two at a time."""
    turn = threading.Lock()

    def made() -> Image:
        # A frame keeps one converter for itself, and FFmpeg dies of two threads in one (seen: a segmentation fault).
        with turn:
            return _pixels(picture.reformat(format="bgr24"))

    return made


def _pixels(picture: VideoFrame) -> Image:
    return np.asarray(picture.to_ndarray(), np.uint8)


def fitted(height: int, width: int, into: tuple[int, int]) -> tuple[int, int]:
    """Return height and width scaled to fit `into` (height, width), the shape kept, at least 1 pixel."""
    scale = min(into[0] / height, into[1] / width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def opened(url: str, nonsense: str, **how: Any) -> InputContainer:
    """Open a container for reading; raises CaptureError in our words, since FFmpeg's hold the whole URL.

    `nonsense` is what to say of something that is there and makes no sense to FFmpeg.
    """
    try:
        container: InputContainer = av.open(url, mode="r", **how)
    except _NO_VIDEO:
        raise CaptureError(nonsense) from None
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise CaptureError(reason(error)) from None
    return container


def reason(error: BaseException) -> str:
    """Return what went wrong in a few words, without the URL that libraries put into theirs."""
    if isinstance(error, av.error.TimeoutError | av.error.ExitError | TimeoutError):
        return "no answer in time"
    if isinstance(error, av.error.FFmpegError):
        return (error.strerror or type(error).__name__).lower()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return type(error).__name__
