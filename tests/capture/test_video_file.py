from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path

import pytest

from surveil.capture.video_file import Pace, Unpaced, VideoFile
from surveil.clock import SystemClock
from surveil.interfaces import CaptureError, EndOfFile


def test_unpaced_time_is_the_videos_own(video: Path) -> None:
    source = VideoFile("front", str(video), (120, 160), Unpaced(1000.0))
    source.open()
    reading = source.frames()
    times = [(frame.index, round(frame.at, 3), round(frame.wall, 3)) for frame in itertools.islice(reading, 30)]
    assert times == [(n, round(n / 10, 3), round(1000 + n / 10, 3)) for n in range(30)]
    with pytest.raises(EndOfFile):
        next(reading)
    source.close()
    source.close()


def test_a_looping_file_goes_on_without_a_jump(video: Path) -> None:
    source = VideoFile("front", str(video), (120, 160), Unpaced(0.0), loop=True)
    source.open()
    times = [frame.at for frame in itertools.islice(source.frames(), 75)]
    source.close()
    steps = [round(later - earlier, 3) for earlier, later in itertools.pairwise(times)]
    assert set(steps) == {0.1}


def test_a_paced_file_never_runs_ahead_of_its_time(video: Path) -> None:
    clock = SystemClock()
    source = VideoFile("front", str(video), (120, 160), Pace(clock, threading.Event()))
    source.open()
    for frame in itertools.islice(source.frames(), 8):
        assert clock.monotonic() >= frame.at
        assert abs((frame.wall - frame.at) - (time.time() - time.monotonic())) < 1
    source.close()


def test_a_paced_file_stops_at_once(video: Path) -> None:
    stop = threading.Event()
    source = VideoFile("front", str(video), (120, 160), Pace(SystemClock(), stop), loop=True)
    source.open()
    taken = 0
    for _ in source.frames():
        taken += 1
        stop.set()
    assert taken == 1
    source.close()


def test_faults_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    source = VideoFile("front", str(tmp_path / "text.mp4"), (64, 64), Unpaced(0))
    with pytest.raises(CaptureError, match=r"text\.mp4: this is no video that can be read"):
        source.open()
    with pytest.raises(CaptureError, match=r"before open"):
        next(source.frames())
