"""Two real streams of one scene: the small one is watched, the large one gives the pictures."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from surveil.capture import detail
from surveil.capture.decoding import full
from surveil.capture.detail import NEAR_SECONDS, DetailedSource, DetailSource, DetailStream, picture_near
from surveil.capture.packets import CodedPacket, Coding, Gop, PacketRing
from surveil.capture.rtsp import RtspAddress
from surveil.capture.video_file import Unpaced, VideoFile
from surveil.clock import SystemClock
from surveil.messages import Frame, Image
from surveil.testing import SimulatedClock, frame, picture
from tests.real.components import free_port, rtsp_server, wait_for, write_video

FPS = 10
SMALL, LARGE = (320, 240), (640, 480)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detail, "PICTURE_SECONDS", 60.0)


def number_of(image: Image) -> int:
    """Return the number that write_video gave a picture, modulo 160 (large) or 80 (small)."""
    return int(np.argmax(image[image.shape[0] // 2].sum(axis=1) > 450)) // 4


def packets_of(video: Path) -> tuple[Coding, list[CodedPacket]]:
    """Return a file's packets, captured as they are decoded: one every 100 ms."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        coding = Coding("h264", stream.codec_context.extradata, stream.time_base, *LARGE)
        read = [packet for packet in container.demux(stream) if packet.size]
        return coding, [
            CodedPacket(bytes(packet), packet.is_keyframe, packet.pts, packet.dts, n / FPS, n / FPS)
            for n, packet in enumerate(read)
        ]


def gop_of(video: Path) -> Gop:
    coding, packets = packets_of(video)
    gop = Gop(coding, packets[0])
    for packet in packets[1:]:
        gop.append(packet)
    return gop


@pytest.mark.parametrize("bf", ["0", "3"])
def test_the_picture_captured_nearest_to_a_moment(tmp_path: Path, bf: str) -> None:
    gop = gop_of(write_video(tmp_path / "v.mp4", frames=50, size=LARGE, g="50", bf=bf))
    found = [number_of(picture_near(gop, number / FPS + 0.02)) for number in range(50)]
    if bf == "0":
        assert found == list(range(50))
    else:
        # Captured when all that is shown before it was: a picture later where frames are reordered.
        assert all(abs(a - b) <= 3 for a, b in zip(found, range(50), strict=True))
        assert found == sorted(found)


def test_what_detail_cannot_show_comes_from_the_source(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    gop = gop_of(write_video(tmp_path / "v.mp4", frames=20, size=LARGE, g="50", bf="0"))
    ring = PacketRing()
    for packet in gop.packets:
        ring.add(gop.coding, packet)

    def pictured(at: float) -> tuple[int, ...]:
        class Once:
            def open(self) -> None: ...
            def close(self) -> None: ...
            def frames(self) -> Iterator[Frame]:
                yield frame(at, image=picture(*SMALL))

        (given,) = DetailedSource(Once(), ring).frames()
        return given.full().shape

    assert pictured(1.0) == (480, 640, 3)
    assert pictured(gop.last.at + NEAR_SECONDS - 0.01) == (480, 640, 3)
    assert pictured(gop.last.at + NEAR_SECONDS + 0.01) == (240, 320, 3)
    assert caplog.text == ""
    assert pictured(gop.began - NEAR_SECONDS - 0.01) == (240, 320, 3)
    assert "camera=front a picture came from the source, not from detail: it has none of that moment" in caplog.text
    ring.begin()
    for number, packet in enumerate(gop.packets):
        data = packet.data[:-20] + 20 * b"\xaa" if number == 10 else packet.data
        ring.add(gop.coding, replace(packet, data=data, at=packet.at + 4))
    assert pictured(4.5) == (480, 640, 3)
    assert pictured(5.5) == (240, 320, 3)
    assert "not from detail: it is damaged" in caplog.text
    broken = Gop(gop.coding, replace(gop.packets[0], data=bytes(500)))
    ring.add(broken.coding, replace(broken.packets[0], at=9.0))
    assert pictured(9.0) == (240, 320, 3)
    unknown = replace(gop.coding, codec="no codec at all")
    ring.add(unknown, replace(gop.packets[0], at=19.0))
    assert pictured(19.0) == (240, 320, 3)


def test_a_picture_that_takes_too_long_comes_from_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gop = gop_of(write_video(tmp_path / "v.mp4", frames=5, size=LARGE, bf="0"))
    monkeypatch.setattr(detail, "PICTURE_SECONDS", -1.0)
    with pytest.raises(detail._Unusable, match="took too long"):
        picture_near(gop, 0.2)


def test_nothing_is_decoded_while_nobody_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = write_video(tmp_path / "small.mp4", frames=20, bf="0")
    coding, packets = packets_of(write_video(tmp_path / "large.mp4", frames=20, size=LARGE, bf="0"))
    made: list[Coding] = []
    real = detail._decoder

    def counting(coding: Coding) -> av.VideoCodecContext:
        made.append(coding)
        return real(coding)

    monkeypatch.setattr(detail, "_decoder", counting)
    ring = PacketRing()
    source = DetailedSource(VideoFile("front", str(video), (120, 160), Unpaced(0.0)), ring)
    source.open()
    frames = []
    for packet, given in zip(packets, source.frames(), strict=False):
        frames.append(given)
        ring.add(coding, packet)
    source.close()
    assert len(frames) == 20
    assert made == []
    assert frames[12].full().shape == (480, 640, 3)
    assert made == [coding]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("scene")
    return (
        write_video(folder / "small.mp4", frames=600, fps=FPS, size=SMALL, bf="0"),
        write_video(folder / "large.mp4", frames=600, fps=FPS, size=LARGE, bf="0", g="15"),
    )


def started(url: str) -> DetailStream:
    clock = SystemClock()
    stream = DetailStream("front", lambda _stop: DetailSource(RtspAddress(url, None, "tcp"), clock), clock)
    stream.grabber.start()
    return stream


@pytest.mark.slow
def test_the_large_picture_of_the_same_moment(videos: tuple[Path, Path]) -> None:
    from surveil.capture.rtsp import RtspSource

    small, large = videos
    with rtsp_server(small, free_port()) as source_url, rtsp_server(large, free_port()) as detail_url:
        stream = started(detail_url)
        wait_for(lambda: stream.ring.newest() is not None, 20, "a key packet")
        source = RtspSource("front", RtspAddress(source_url, None, "tcp"), (120, 160), SystemClock())
        both = DetailedSource(source, stream.ring)
        both.open()
        frames = list(itertools.islice(both.frames(), 60))
        both.close()
        assert stream.away is None
        stream.grabber.stop()
        assert stream.grabber.join(5)
    pictures = [given.full() for given in frames[5:50]]
    assert {image.shape for image in pictures} == {(480, 640, 3)}
    # What each picture of the large stream was captured at, from all its packets decoded in one go.
    shown = truth(stream.ring)
    for given, image in zip(frames[5:50], pictures, strict=True):
        nearest = min(shown, key=lambda moment, at=given.at: abs(moment - at))  # type: ignore[misc]
        assert abs(number_of(image) - shown[nearest]) <= 1
    # Both scenes run at the same pace, so that their distance stays what it was when they began.
    ahead = [(number_of(image) - given.index) % 160 for given, image in zip(frames[5:50], pictures, strict=True)]
    assert max(ahead) - min(ahead) <= 3


def truth(ring: PacketRing) -> dict[float, int]:
    """Return the number of each picture in the ring by the moment it was captured; without reordered frames."""
    shown: dict[float, int] = {}
    for gop in ring.gops():
        decoder = av.CodecContext.create(gop.coding.codec, "r")
        assert isinstance(decoder, av.VideoCodecContext)
        decoder.extradata = gop.coding.extradata
        pictures = [p for coded in gop.packets for p in decoder.decode(av.Packet(coded.data))] + decoder.decode(None)
        for coded, image in zip(gop.packets, pictures, strict=True):
            shown[coded.at] = number_of(full(image)())
    return shown


@pytest.mark.slow
def test_it_says_that_it_is_away_and_comes_back(
    videos: tuple[Path, Path], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("surveil.backoff.Backoff.next", lambda _self: 0.1)
    caplog.set_level("INFO")
    port = free_port()
    stream = started(f"rtsp://127.0.0.1:{port}/cam")
    refused = f"its detail stream is offline: 127.0.0.1:{port}: connection refused"
    wait_for(lambda: stream.away == refused, 10, "refused")
    assert stream.changed()
    assert not stream.changed()
    with rtsp_server(videos[1], port):
        wait_for(lambda: stream.away is None, 20, "packets")
        assert stream.changed()
    wait_for(lambda: stream.away is not None, 20, "the end")
    wait_for(lambda: stream.away == refused, 20, "refused again")
    assert stream.changed()
    with rtsp_server(videos[1], port):
        wait_for(lambda: stream.away is None, 20, "packets again")
    stream.grabber.stop()
    assert stream.grabber.join(10)
    told = [record.message for record in caplog.records if record.message.startswith("camera=front detail is")]
    assert told[0] == f"camera=front detail is offline: 127.0.0.1:{port}: connection refused"
    assert told.count("camera=front detail is online") == 2
    assert len(told) <= 7
    assert "/cam" not in caplog.text


def test_a_stalled_stream_is_away() -> None:
    clock = SimulatedClock()
    stream = DetailStream("front", lambda _stop: DetailSource(RtspAddress("rtsp://h/1", None, "tcp"), clock), clock)
    stream.grabber._seen()
    assert stream.away is None
    clock.advance(6.0)
    assert stream.changed()
    assert stream.away == "its detail stream is stalled: no picture for 6 s"


def test_the_address_is_in_no_text() -> None:
    address = RtspAddress("rtsp://h/secret-path", ("viewer", "secret"), "tcp")
    assert "secret" not in repr(address)
    assert "secret" not in str(address.explained("404 not found"))
