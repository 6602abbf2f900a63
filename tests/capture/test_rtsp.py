from __future__ import annotations

import itertools
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from surveil.capture.rtsp import READ_SECONDS, RtspAddress, RtspSource
from surveil.clock import SystemClock
from surveil.interfaces import AuthFailed, CaptureError
from surveil.messages import Frame
from tests.real.components import SYSTEM_PYTHON, free_port, process, rtsp_server, write_video

PASSWORD = "p@ss:w/rd #1%20"


def source(url: str, credentials: tuple[str, str] | None = None, transport: str = "tcp") -> RtspSource:
    return RtspSource("front", RtspAddress(url, credentials, transport), (120, 160), SystemClock())


def taken(camera: RtspSource, number: int) -> list[Frame]:
    camera.open()
    try:
        return list(itertools.islice(camera.frames(), number))
    finally:
        camera.close()


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("rtsp") / "long.mp4", frames=300)


@pytest.fixture(scope="module")
def server(long_video: Path) -> Iterator[str]:
    with rtsp_server(long_video, free_port()) as url:
        yield url


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_every_frame_comes_in_order_with_its_capture_time(server: str, transport: str) -> None:
    frames = taken(source(server, transport=transport), 12)
    assert [frame.index for frame in frames] == list(range(12))
    assert {frame.image.shape for frame in frames} == {(120, 160, 3)}
    assert frames[0].full().shape == (240, 320, 3)
    times = [frame.at for frame in frames]
    assert times == sorted(times)
    assert abs(frames[-1].at - time.monotonic()) < 60


@pytest.mark.slow
def test_a_picture_held_back_by_the_parser_keeps_the_time_at_which_it_came(tmp_path: Path) -> None:
    # FFmpeg gives a picture out when the next one begins: here half a second after it came.
    slow = write_video(tmp_path / "slow.mp4", frames=40, fps=2, bf="0")
    with rtsp_server(slow, free_port()) as url:
        camera = source(url)
        camera.open()
        ages = [time.monotonic() - frame.at for frame in itertools.islice(camera.frames(), 8)]
        camera.close()
    assert min(ages[3:]) > 0.3
    assert max(ages[3:]) < 1.0


@pytest.mark.slow
def test_the_password_opens_and_is_in_no_text(long_video: Path) -> None:
    with rtsp_server(long_video, free_port(), "viewer", PASSWORD) as url:
        assert len(taken(source(url, ("viewer", PASSWORD)), 3)) == 3
        with pytest.raises(AuthFailed, match=r"^127\.0\.0\.1:\d+ refuses this user name or password$") as caught:
            source(url, ("viewer", "wrong-" + PASSWORD)).open()
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__
        with pytest.raises(AuthFailed, match="wants a user name and a password"):
            source(url).open()


@pytest.mark.slow
def test_a_path_that_is_not_there(server: str) -> None:
    with pytest.raises(CaptureError, match="has no stream at the path that the config names"):
        source(server.replace("/cam", "/nothing")).open()


def test_nobody_there() -> None:
    with pytest.raises(CaptureError, match=r"127\.0\.0\.1:\d+: connection refused"):
        source(f"rtsp://127.0.0.1:{free_port()}/cam").open()


@pytest.mark.slow
def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(CaptureError, match="no answer"):
            source(f"rtsp://127.0.0.1:{silent.getsockname()[1]}/cam").open()
        assert time.monotonic() - began < 30


@pytest.mark.slow
def test_a_camera_that_stops_with_the_connection_open_is_given_up(long_video: Path) -> None:
    port = free_port()
    script = str(Path(__file__).parents[1] / "real" / "rtsp_server.py")
    import subprocess

    with process(SYSTEM_PYTHON, script, str(long_video), str(port), stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        server.stdout.readline()
        camera = source(f"rtsp://127.0.0.1:{port}/cam")
        camera.open()
        reading = camera.frames()
        next(reading)
        server.send_signal(signal.SIGSTOP)
        fault: list[str] = []
        ages: list[float] = []

        def read() -> None:
            try:
                ages.extend(time.monotonic() - frame.at for frame in reading)
            except CaptureError as error:
                fault.append(str(error))

        thread = threading.Thread(target=read)
        thread.start()
        thread.join(4 * READ_SECONDS)
        server.send_signal(signal.SIGCONT)
        thread.join(30)
        assert fault == [f"127.0.0.1:{port}: no answer in time"]
        camera.close()
        assert max(ages, default=0.0) < READ_SECONDS, "a picture of long ago was given out by the time-out"
