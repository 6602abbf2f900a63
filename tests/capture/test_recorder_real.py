"""Clips of real cameras: GStreamer's RTSP server and recordings, read as the daemon reads them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from surveil import build
from surveil.capture.recorder import POST_SECONDS, PRE_SECONDS, ClipRecorder
from surveil.clock import SystemClock
from surveil.config import Config
from surveil.messages import Frame
from surveil.metrics import Metrics
from tests.capture.numbered import number_of, numbers, write_numbered
from tests.capture.test_recorder import NAME, Told
from tests.real.components import free_port, rtsp_server, wait_for


def maker(tmp_path: Path, source: str, more: str = "") -> build.SourceMaker:
    config = Config.model_validate_json(f'{{"cameras": {{"front": {{"source": "{source}"{more}}}}}}}')
    return build.source("front", config.cameras["front"], (120, 160), SystemClock(), Metrics())


def test_a_camera_with_masks_keeps_no_packets(tmp_path: Path) -> None:
    assert maker(tmp_path, "rtsp://h/1").ring is not None
    assert maker(tmp_path, "rtsp://h/1", ', "masks": [[[0, 0], [0.5, 0], [0.5, 1]]]').ring is None


def test_a_camera_with_a_main_stream_has_its_clips_from_there() -> None:
    text = '{"cameras": {"front": {"source": "rtsp://h/1", "detail": "rtsp://h/2"}}}'
    camera = Config.model_validate_json(text).cameras["front"]
    detail = build.detail("front", camera, SystemClock())
    assert detail is not None
    made = build.source("front", camera, (120, 160), SystemClock(), Metrics(), detail)
    assert made.ring is detail.ring


class Reader:
    """Reads a camera as the daemon does, on a thread, and remembers when each picture was captured."""

    def __init__(self, make: build.SourceMaker) -> None:
        self.seen: list[tuple[int, float]] = []
        self._make = make
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        source = self._make(self._stop)
        source.open()
        for frame in source.frames():
            self._note(frame)
            if self._stop.is_set():
                break
        source.close()

    def _note(self, frame: Frame) -> None:
        self.seen.append((number_of(frame.full()), frame.at))

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(20)


def check_visit(made: build.SourceMaker, tmp_path: Path, seconds: float) -> None:
    """Record a visit that begins after so many seconds and lasts for one, and check all that its clip shows."""
    assert made.ring is not None
    recorder = ClipRecorder(tmp_path / "data", {"front": made.ring}, SystemClock())
    recorder.start()
    told = Told()
    with Reader(made) as reader:
        wait_for(lambda: reader.seen and reader.seen[-1][1] > reader.seen[0][1] + seconds, 40, "pictures")
        at = reader.seen[-1][1]
        recorder.begin("A", "front", at, NAME)
        wait_for(lambda: reader.seen[-1][1] > at + 1.0, 20, "the visit")
        last = reader.seen[-1][1]
        recorder.finish("A", last, told)
        wait_for(lambda: told.all, 30, "the clip")
    assert recorder.stop(10)
    assert told.all == [(NAME, "")]
    kept = numbers(tmp_path / "data" / NAME)
    assert kept == list(range(kept[0], kept[0] + len(kept)))
    captured = dict(reader.seen)
    first = min(number for number, when in captured.items() if when >= at - PRE_SECONDS)
    # Rounded down to a key picture; times are those at which packets were read, not those of the camera.
    assert kept[0] % 20 == 0
    assert first - 22 <= kept[0] <= first + 1
    final = max(number for number, when in captured.items() if when <= last + POST_SECONDS)
    assert final - 2 <= kept[-1] <= final + 2


@pytest.mark.slow
@pytest.mark.parametrize("bf", ["0", "2"])
def test_a_visit_before_a_real_rtsp_camera(bf: str, tmp_path: Path) -> None:
    video = write_numbered(tmp_path / "v.mp4", 900, bf=bf)
    with rtsp_server(video, free_port()) as url:
        check_visit(maker(tmp_path, url), tmp_path, 8.0)


@pytest.mark.slow
def test_a_visit_in_a_recording(tmp_path: Path) -> None:
    check_visit(maker(tmp_path, str(write_numbered(tmp_path / "v.mp4", 300))), tmp_path, 8.0)


@pytest.mark.slow
def test_a_camera_that_comes_back_goes_on_in_the_clip(tmp_path: Path) -> None:
    video = write_numbered(tmp_path / "v.mp4", 900)
    port = free_port()
    made = maker(tmp_path, f"rtsp://127.0.0.1:{port}/cam")
    assert made.ring is not None
    clock = SystemClock()
    recorder = ClipRecorder(tmp_path, {"front": made.ring}, clock)
    recorder.start()
    told = Told()
    seen: list[Frame] = []
    for _ in range(2):
        with rtsp_server(video, port):
            source = made(threading.Event())
            source.open()
            for frame in source.frames():
                seen.append(frame)
                if len(seen) % 45 == 0:
                    break
            source.close()
        if len(seen) == 45:
            recorder.begin("A", "front", clock.monotonic(), NAME)
    recorder.finish("A", clock.monotonic() - POST_SECONDS, told)
    assert told.one() == (NAME, "")
    assert recorder.stop(10)
    kept = numbers(tmp_path / NAME)
    again = kept.index(0, 1)
    assert kept == [*range(again), *range(len(kept) - again)]
    assert min(again, len(kept) - again) >= 40
