"""MP4 files of packets that were coded elsewhere: one that grows and survives a crash, and the one it becomes."""

from __future__ import annotations

import errno
import io
import os
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.container import InputContainer, OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from surveil.capture.decoding import video_of
from surveil.capture.nal import as_extradata
from surveil.capture.packets import CodedPacket, Coding
from surveil.capture.timeline import TICKS
from surveil.interfaces import CaptureError

_FRAGMENTS = {
    "movflags": "empty_moov+default_base_moof+frag_keyframe",
    "frag_duration": "1000000",  # microseconds: what a crash may cost, and what is held in memory
    "flush_packets": "1",
}
_TICK = Fraction(1, TICKS)


class GrowingMp4:
    """A fragmented MP4 while it is written: whatever ends that, what is on disk can be read. One thread at a time."""

    def __init__(self, output: OutputContainer, stream: VideoStream) -> None:
        self._output = output
        self._stream = stream

    def write(self, packet: CodedPacket, decoded: int, shown: int) -> None:
        """Write the next packet with its times in ticks; raises OSError or FFmpegError."""
        coded = av.Packet(packet.data)
        coded.dts, coded.pts, coded.time_base = decoded, shown, _TICK
        coded.is_keyframe = packet.is_key
        coded.stream = self._stream
        self._output.mux_one(coded)

    def close(self) -> None:
        """Write what is held, and close the file; raises OSError or FFmpegError."""
        self._output.close()


def growing(path: Path, coding: Coding, sets: tuple[bytes, ...], key: CodedPacket) -> GrowingMp4:
    """Begin a file of packets that are coded so, the first of which is `key`.

    Raises OSError or FFmpegError, and CaptureError where nobody knows how large the pictures are.
    """
    output = _opened(path, _FRAGMENTS)
    # PyAV makes a stream for coded packets only in the likeness of one that was read.
    with av.open(io.BytesIO(b"\0\0\1\x09\x10"), format=coding.codec) as nothing:
        stream = _alike(output, nothing.streams.video[0])
    context = stream.codec_context
    context.extradata = as_extradata(sets)
    context.width, context.height = (coding.width, coding.height) if coding.width else _size(coding, key)
    stream.time_base = _TICK
    return GrowingMp4(output, stream)


def _opened(path: Path, options: dict[str, str]) -> OutputContainer:
    # A disk that is full already must be found here: PyAV never closes a file of which it cannot write the first bytes.
    path.write_bytes(bytes(4096))
    return av.open(f"file:{path.absolute()}", "w", format="mp4", options=options)


def _size(coding: Coding, key: CodedPacket) -> tuple[int, int]:
    """Return width and height by the first picture: some connections do not tell them."""
    decoder = cast(VideoCodecContext, av.CodecContext.create(coding.codec, "r"))
    decoder.extradata = coding.extradata
    for picture in [*decoder.decode(av.Packet(key.data)), *decoder.decode(None)]:
        return picture.width, picture.height
    raise CaptureError("its first picture cannot be decoded")


def _alike(output: OutputContainer, stream: VideoStream) -> VideoStream:
    """Return a new stream of the output for coded packets of the same kind."""
    new = output.add_stream_from_template(stream, opaque=True)
    if stream.codec_context.name == "hevc":
        new.codec_context.codec_tag = "hvc1"  # Apple's players want it so
    return new


def complete(growing: Path, path: Path, count: int | None = None) -> None:
    """Copy the first `count` packets of a growing file into a plain MP4 that begins with its index.

    It is synced before it gets its name, and the growing one is removed. Raises OSError or FFmpegError, and
    CaptureError where there is no video in it.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        with av.open(f"file:{growing.absolute()}", format="mp4") as source:
            size = _copy(source, temporary, count)
        if not size or temporary.stat().st_size < size:
            raise OSError(errno.EIO, "not all of it could be written")
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    growing.unlink()


def _copy(source: InputContainer, path: Path, count: int | None) -> int:
    """Copy the first packets, and those that are shown between them; return how many bytes that were."""
    stream = video_of(source)
    first: int | None = None
    last = copied = size = 0
    with _opened(path, {"movflags": "faststart"}) as output:
        new = _alike(output, stream)
        for packet in source.demux(stream):
            if packet.pts is None or packet.dts is None or packet.is_corrupt:
                break  # the end, or where a crash cut it
            if count is not None and copied >= count and packet.pts > last:
                break
            first = packet.pts if first is None else first
            last = max(last, packet.pts)
            copied += 1
            size += packet.size
            packet.pts, packet.dts = packet.pts - first, packet.dts - first  # the first picture is shown at 0
            packet.stream = new
            output.mux_one(packet)
    return size


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
