"""The demo's RTSP server, asked by clients that are not ours, and by some that no server should trust."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import av
import pytest

from surveil.capture.rtsp import RtspAddress, RtspSource
from surveil.clock import SystemClock
from surveil.demo.camera import AccessUnit, YardCamera
from surveil.demo.rtsp_client import MOST_WAITING, Waiting
from surveil.demo.rtsp_server import RtspServer
from surveil.interfaces import AuthFailed
from tests.real.components import SYSTEM_PYTHON, missing, wait_for

pytestmark = pytest.mark.slow
WATCHER = str(Path(__file__).parents[1] / "real" / "rtsp_watcher.py")


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[RtspServer, RtspServer]]:
    """One server that anybody may watch, and one with a password, before the same camera."""
    open_one, closed = RtspServer(), RtspServer(credentials=("viewer", "s3:cret/"))

    filming = threading.Event()

    def send(unit: AccessUnit) -> None:
        open_one.send(unit)
        closed.send(unit)
        filming.set()

    camera = YardCamera(1, SystemClock(), send)
    open_one.start()
    closed.start()
    camera.start()
    assert filming.wait(60)  # on a busy machine the yard takes its time to be drawn
    yield open_one, closed
    camera.stop()
    open_one.stop()
    closed.stop()


@pytest.fixture
def server(both: tuple[RtspServer, RtspServer]) -> RtspServer:
    return both[0]


@pytest.fixture
def guarded(both: tuple[RtspServer, RtspServer]) -> RtspServer:
    return both[1]


def port(server: RtspServer) -> int:
    return int(server.url.rsplit(":", 1)[1].split("/")[0])


def asked(server: RtspServer, text: str | bytes, connection: socket.socket | None = None) -> str:
    """Send a text, and return what is answered."""
    link = connection or socket.create_connection(("127.0.0.1", port(server)), 5)
    try:
        link.sendall(text.encode() if isinstance(text, str) else text)
        return link.recv(65536).decode()
    finally:
        if connection is None:
            link.close()


def request(server: RtspServer, method: str, number: int = 1, *headers: str) -> str:
    return "\r\n".join([f"{method} {server.url} RTSP/1.0", f"CSeq: {number}", *headers, "", ""])


def playing(server: RtspServer) -> tuple[socket.socket, str]:
    """Set up and play by hand; return the connection and the session."""
    link = socket.create_connection(("127.0.0.1", port(server)), 5)
    setup = asked(server, request(server, "SETUP", 1, "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"), link)
    session = next(line for line in setup.splitlines() if line.startswith("Session:")).split()[1].partition(";")[0]
    assert "200 OK" in asked(server, request(server, "PLAY", 2, f"Session: {session}"), link)
    return link, session


def test_pyav_decodes_it(server: RtspServer) -> None:
    with av.open(server.url, options={"rtsp_transport": "tcp"}, timeout=10) as container:
        frames = [frame for frame, _ in zip(container.decode(video=0), range(20), strict=False)]
    assert {(frame.width, frame.height) for frame in frames} == {(960, 540)}
    times = [frame.time or 0.0 for frame in frames]
    steps = [round(later - sooner, 3) for sooner, later in pairwise(times)]
    assert min(steps) == pytest.approx(1 / 15, abs=0.002)


def test_ffprobe_reads_it(server: RtspServer) -> None:
    if shutil.which("ffprobe") is None:
        missing("ffprobe")
    command = ["ffprobe", "-v", "error", "-rtsp_transport", "tcp", "-show_streams", "-of", "json", server.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    assert done.stderr == ""
    (stream,) = json.loads(done.stdout)["streams"]
    assert (stream["codec_name"], stream["width"], stream["height"]) == ("h264", 960, 540)
    assert stream["avg_frame_rate"] == "15/1"


def test_gstreamer_decodes_it(server: RtspServer) -> None:
    done = watched_by_gstreamer(server.url)
    assert done.stdout.split() == ["20", "960", "540"], done.stderr


def test_gstreamer_proves_its_password(guarded: RtspServer) -> None:
    url = guarded.url.replace("rtsp://", "rtsp://viewer:s3%3Acret%2F@")
    done = watched_by_gstreamer(url)
    assert done.stdout.split() == ["20", "960", "540"], done.stderr
    assert watched_by_gstreamer(guarded.url).returncode == 1


def watched_by_gstreamer(url: str) -> subprocess.CompletedProcess[str]:
    probe = "import gi; gi.require_version('Gst', '1.0'); from gi.repository import Gst"
    if subprocess.run([SYSTEM_PYTHON, "-c", probe], capture_output=True, check=False).returncode:
        missing("GStreamer's Python")
    command = [SYSTEM_PYTHON, WATCHER, url, "20"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_daemons_own_source_reads_it(server: RtspServer) -> None:
    source = RtspSource("yard", RtspAddress(server.url, None, "tcp"), (384, 384), SystemClock())
    source.open()
    frames = [frame for frame, _ in zip(source.frames(), range(5), strict=False)]
    source.close()
    assert frames[-1].image.shape == (216, 384, 3)
    assert frames[-1].full().shape == (540, 960, 3)


def test_a_wrong_password_is_refused(guarded: RtspServer) -> None:
    for credentials in (None, ("viewer", "wrong"), ("somebody", "s3:cret/")):
        with pytest.raises(AuthFailed):
            RtspSource("yard", RtspAddress(guarded.url, credentials, "tcp"), (384, 384), SystemClock()).open()
    right = RtspSource("yard", RtspAddress(guarded.url, ("viewer", "s3:cret/"), "tcp"), (384, 384), SystemClock())
    right.open()
    assert next(iter(right.frames())).image.shape == (216, 384, 3)
    right.close()


def test_several_watch_at_a_time(server: RtspServer) -> None:
    links = [playing(server)[0] for _ in range(4)]
    for link in links:
        assert link.recv(1)
        link.close()
    wait_for(lambda: server.clients == 0, 5, "all are forgotten")


def test_teardown_frees(server: RtspServer) -> None:
    link, session = playing(server)
    assert server.clients == 1
    link.sendall(request(server, "TEARDOWN", 3, f"Session: {session}").encode())
    said = b""
    while part := link.recv(65536):
        said += part
    assert b"RTSP/1.0 200 OK\r\nCSeq: 3" in said
    link.close()
    wait_for(lambda: server.clients == 0, 5, "it is forgotten")


def test_a_client_that_vanishes_is_forgotten(server: RtspServer) -> None:
    link, _ = playing(server)
    # Without a word of farewell: a reset, as of a process that was killed with data unread.
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    link.close()
    wait_for(lambda: server.clients == 0, 5, "it is forgotten")


def test_one_that_takes_nothing_holds_nobody_up(server: RtspServer) -> None:
    stuck, _ = playing(server)
    with av.open(server.url, options={"rtsp_transport": "tcp"}, timeout=10) as container:
        began = time.monotonic()
        assert len([frame for frame, _ in zip(container.decode(video=0), range(30), strict=False)]) == 30
    assert time.monotonic() - began < 20
    stuck.close()


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n", 200),
        ("DESCRIBE rtsp://127.0.0.1/other RTSP/1.0\r\nCSeq: 1\r\n\r\n", 404),
        ("RECORD {url} RTSP/1.0\r\nCSeq: 1\r\n\r\n", 405),
        ("OPTIONS {url} RTSP/2.0\r\nCSeq: 1\r\n\r\n", 505),
        ("OPTIONS {url} RTSP/1.0\r\n\r\n", 400),
        ("PLAY {url} RTSP/1.0\r\nCSeq: 1\r\n\r\n", 455),
        ("PLAY {url} RTSP/1.0\r\nCSeq: 1\r\nSession: 12\r\n\r\n", 454),
        ("TEARDOWN {url} RTSP/1.0\r\nCSeq: 1\r\n\r\n", 454),
        ("SETUP {url} RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP;unicast;client_port=5000-5001\r\n\r\n", 461),
        ("SETUP {url} RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP;interleaved=900-901\r\n\r\n", 461),
        ("SETUP {url} RTSP/1.0\r\nCSeq: 1\r\n\r\n", 461),
        ("OPTIONS {url} RTSP/1.0\r\nCSeq: 1\r\nRequire: magic\r\n\r\n", 551),
        ("$\0\0\4rtcpGET_PARAMETER {url} RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 3\r\n\r\nabc", 200),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("nonsense\r\n\r\n", 400),
        ("OPTIONS {url} RTSP/1.0\r\nno colon\r\n\r\n", 400),
        ("OPTIONS {url} RTSP/1.0\r\nContent-Length: -4\r\n\r\n", 400),
        ("OPTIONS {url} RTSP/1.0\r\nContent-Length: 99999999\r\n\r\n", 400),
        ("OPTIONS {url} RTSP/1.0\r\n" + "A: b\r\n" * 100 + "\r\n", 400),
        ("X" * 20000 + "\r\n", 400),
    ],
)
def test_what_cannot_be_is_answered_with_an_error(server: RtspServer, text: str, status: int) -> None:
    said = asked(server, text.replace("{url}", server.url))
    assert said.startswith(f"RTSP/1.0 {status} ")


def test_bytes_that_are_no_text_are_answered_with_an_error(server: RtspServer) -> None:
    assert asked(server, b"\xff\xfe\xfd RTSP\r\n\r\n").startswith("RTSP/1.0 400 ")


def test_a_second_server_on_a_port_is_told(server: RtspServer) -> None:
    with pytest.raises(OSError, match="in use"):
        RtspServer(port(server)).start()


def unit(number: int, key: bool) -> AccessUnit:
    return AccessUnit((bytes([number]),), key, number)


def test_a_slow_client_loses_all_up_to_the_next_key_frame() -> None:
    waiting = Waiting()
    waiting.put(unit(0, False), [])
    assert waiting.lost == 1  # nothing can be decoded before the first key frame
    waiting.put(unit(1, True), [])
    for number in range(2, MOST_WAITING + 1):
        waiting.put(unit(number, False), [])
    assert waiting.lost == 1
    waiting.put(unit(100, False), [])
    waiting.put(unit(101, False), [])
    assert waiting.lost == 3
