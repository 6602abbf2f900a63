"""What every FrameSource promises, held against every implementation."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from surveil.capture.rtsp import RtspAddress, RtspSource
from surveil.capture.video_file import Pace, Unpaced, VideoFile
from surveil.clock import SystemClock
from surveil.interfaces import CaptureError, FrameSource
from tests.real.components import free_port, rtsp_server, write_video

SIZE = (120, 160)
Make = Callable[[str], FrameSource]
KINDS: dict[str, Make] = {
    "file": lambda where: VideoFile("front", where, SIZE, Unpaced(1000.0)),
    "paced file": lambda where: VideoFile("front", where, SIZE, Pace(SystemClock(), threading.Event())),
    "rtsp": lambda where: RtspSource("front", RtspAddress(where, None, "tcp"), SIZE, SystemClock()),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, video: Path, tmp_path: Path) -> Iterator[tuple[Make, str, str]]:
    if request.param != "rtsp":
        yield KINDS[request.param], str(video), str(video.with_name("absent.mp4"))
        return
    with rtsp_server(write_video(tmp_path / "long.mp4", frames=200), free_port()) as url:
        yield KINDS["rtsp"], url, f"rtsp://127.0.0.1:{free_port()}/cam"


@pytest.mark.slow
def test_frames_come_in_order_and_time_never_goes_back(kind: tuple[Make, str, str]) -> None:
    make, where, _ = kind
    source = make(where)
    source.open()
    frames = list(itertools.islice(source.frames(), 20))
    assert [frame.index for frame in frames] == list(range(20))
    assert all(earlier.at <= later.at for earlier, later in itertools.pairwise(frames))
    assert {frame.image.shape for frame in frames} == {(*SIZE, 3)}
    assert frames[7].full().shape == (240, 320, 3)
    assert {frame.camera for frame in frames} == {"front"}
    source.close()
    source.close()
    # A frame outlives its source: it may still become evidence.
    assert frames[3].full().shape == (240, 320, 3)


@pytest.mark.slow
def test_it_can_be_opened_again_after_it_was_closed(kind: tuple[Make, str, str]) -> None:
    make, where, _ = kind
    source = make(where)
    for _ in range(2):
        source.open()
        assert next(source.frames()).index == 0
        source.close()


@pytest.mark.slow
def test_what_is_not_there_raises_capture_error_in_one_line(kind: tuple[Make, str, str]) -> None:
    make, _, absent = kind
    with pytest.raises(CaptureError) as caught:
        make(absent).open()
    assert "\n" not in str(caught.value)
