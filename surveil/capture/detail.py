"""A camera's main stream beside the one that is watched: kept as packets, decoded only for the pictures asked for."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import cast

import av
import av.error
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from surveil.capture.damage import Damage
from surveil.capture.decoding import Moment, coded_packet, coding_of, full, moments_of_packets, reason, video_of
from surveil.capture.grabber import Grabber
from surveil.capture.packets import CodedPacket, Coding, Gop, PacketRing
from surveil.capture.rtsp import RtspAddress
from surveil.clock import Clock
from surveil.interfaces import CaptureError, FrameSource
from surveil.logs import Fold
from surveil.messages import CameraStatus, Frame, Image

_log = logging.getLogger(__name__)
_fold = Fold(_log)
NEAR_SECONDS = 0.5
"""A picture of the main stream further away in time than this does not show what the detector saw."""
PICTURE_SECONDS = 0.5
"""Making a picture may take so long: an alert waits for it, and must leave within a second."""


class _Unusable(Exception):
    """The main stream has no picture of a moment."""


class DetailSource:
    """Reads the packets of one RTSP stream on the grabber's thread; no decoder is made."""

    def __init__(self, address: RtspAddress, clock: Clock) -> None:
        self._address = address
        self._clock = clock
        self._container: InputContainer | None = None

    def open(self) -> None:
        """Connect; raises AuthFailed, or CaptureError with the camera's host in it."""
        self._container = self._address.opened()

    def frames(self) -> Iterator[tuple[Coding, CodedPacket]]:
        """Yield every packet with what it takes to decode it; raises CaptureError when the stream ends or breaks."""
        if self._container is None:
            raise CaptureError("frames() before open()")
        stream = video_of(self._container)
        coding = coding_of(stream)
        try:
            for packet, moment in moments_of_packets(self._container, stream, self._now, live=True):
                if packet.size:
                    yield coding, coded_packet(packet, moment)
        except (av.error.FFmpegError, OSError) as error:
            raise self._address.explained(reason(error)) from None
        raise self._address.explained("the camera ended the stream")

    def close(self) -> None:
        """Hang up."""
        container, self._container = self._container, None
        if container is not None:
            container.close()

    def _now(self) -> Moment:
        return self._clock.monotonic(), self._clock.wall()


class DetailStream:
    """One camera's main stream: its reader's thread, and the ring of its packets."""

    def __init__(self, camera: str, make_source: Callable[[threading.Event], DetailSource], clock: Clock) -> None:
        self.ring = PacketRing()
        self.grabber: Grabber[tuple[Coding, CodedPacket]] = Grabber(
            camera, make_source, self._keep, self._on_status, clock, part="detail"
        )
        self._camera = camera
        self._status = CameraStatus(camera, "connecting", clock.wall())
        self._told: CameraStatus | None = None

    @property
    def away(self) -> str | None:
        """Why pictures come from the source at present, for people; None while they come from this stream."""
        status = self._status
        if status.state == "online":
            return None
        return f"its detail stream is {status.state}" + (f": {status.detail}" if status.detail else "")

    def changed(self) -> bool:
        """Return whether `away` says something new since the last call; asked by the service, which tells it."""
        stalled = self.grabber.check()
        if stalled is not None:
            self._status = stalled
        news = self._status != self._told
        self._told = self._status
        return news

    def _on_status(self, status: CameraStatus) -> None:
        self._status = status
        if status.state != "online":
            self.ring.begin()

    def _keep(self, item: tuple[Coding, CodedPacket]) -> None:
        if not self.ring.add(*item):
            _fold.warn(
                f"camera={self._camera} detail: no key picture for too long, the rest up to the next one is left out"
            )


class DetailedSource:
    """A FrameSource whose frames take their full pictures from the detail stream, where it has them."""

    def __init__(self, source: FrameSource, ring: PacketRing) -> None:
        self._source = source
        self._ring = ring

    def open(self) -> None:
        """Open the source; raises CaptureError."""
        self._source.open()

    def frames(self) -> Iterator[Frame]:
        """Yield the source's frames. Each holds on to the packets that its full picture would be made of."""
        for frame in self._source.frames():
            gop = self._ring.newest()
            if gop is None or frame.at - gop.last.at > NEAR_SECONDS:
                yield frame
            else:
                yield replace(frame, full=_Detailed(frame, gop))

    def close(self) -> None:
        """Close the source."""
        self._source.close()


class _Detailed:
    """Makes the full picture of one frame, of the main stream where that can be."""

    def __init__(self, frame: Frame, gop: Gop) -> None:
        self._frame = frame
        self._gop = gop

    def __call__(self) -> Image:
        try:
            return picture_near(self._gop, self._frame.at)
        except Exception as error:  # noqa: BLE001 - a picture of the source is better than none, whatever it was
            why = str(error) if isinstance(error, _Unusable) else reason(error)
            _fold.warn(f"camera={self._frame.camera} a picture came from the source, not from detail: {why}")
            return self._frame.full()


def picture_near(gop: Gop, at: float) -> Image:
    """Decode from the key packet on and return the picture captured nearest to monotonic `at`; raises if it cannot."""
    best: tuple[float, VideoFrame] | None = None
    for shown, picture in _pictures(gop, until=time.monotonic() + PICTURE_SECONDS):
        if best is None or abs(shown - at) <= abs(best[0] - at):
            best = shown, picture
        if shown >= at:
            break
    if best is None or abs(best[0] - at) > NEAR_SECONDS:
        raise _Unusable("it has none of that moment")
    return full(best[1])()


def _pictures(gop: Gop, until: float) -> Iterator[tuple[float, VideoFrame]]:
    """Yield the pictures in the order in which they are shown, with the moment by which each was captured."""
    decoder = _decoder(gop.coding)
    captured: dict[int | None, float] = {}
    damage = Damage()
    shown = gop.began
    for coded in (*gop.packets, None):
        if time.monotonic() > until:
            raise _Unusable("decoding it took too long")
        packet = None
        if coded is not None:
            packet = av.Packet(coded.data)
            packet.pts, packet.dts, packet.time_base = coded.pts, coded.dts, gop.coding.time_base
            captured[coded.pts] = coded.at
        for picture in decoder.decode(packet):
            if not damage.shows(picture):
                raise _Unusable("it is damaged")
            # As in RtspSource: where frames are reordered, one counts as captured when all before it were.
            shown = max(shown, captured.pop(picture.pts, shown))
            yield shown, picture


def _decoder(coding: Coding) -> VideoCodecContext:
    decoder = cast(VideoCodecContext, av.CodecContext.create(coding.codec, "r"))
    decoder.extradata = coding.extradata
    decoder.thread_count = 1  # measured: more do not make a picture out of packets fed one by one any sooner
    return decoder
