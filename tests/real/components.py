"""The real things that tests run against: mosquitto, GStreamer's RTSP server, the shared model and footage."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("SURVEIL_SHARED", ROOT.parent / "shared"))
SYSTEM_PYTHON = "/usr/bin/python3"


def missing(what: str) -> None:
    """Skip for want of a real component on a user's machine; fail for want of it in CI."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is not here, and CI may not skip for want of it")
    pytest.skip(f"{what} is not here")


def shared(name: str) -> Path:
    """Return a file or folder of the shared models and footage, which users do not have."""
    path = SHARED / name
    if not path.exists():
        missing(f"the shared {name}")
    return path


def free_port() -> int:
    """Return a TCP port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Return the first true result of `condition`; fail after `seconds`."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if result := condition():
            return result
        time.sleep(0.02)
    return pytest.fail(f"not within {seconds} s: {what}")


def listening(port: int) -> bool:
    """Return whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def write_video(
    path: Path, frames: int = 30, fps: int = 10, size: tuple[int, int] = (320, 240), **options: str
) -> Path:
    """Write real H.264 in which frame n has a white bar at n pixels from the left."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"g": "10", **options})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            image = np.full((size[1], size[0], 3), 60, np.uint8)
            image[:, number * 4 % size[0] : number * 4 % size[0] + 8] = 255
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


@contextlib.contextmanager
def process(*command: str, **how: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a child process, and end it."""
    child = subprocess.Popen(command, text=True, **how)
    try:
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.wait(10)
        for stream in (child.stdout, child.stderr):
            if stream is not None:
                stream.close()


@contextlib.contextmanager
def mosquitto(folder: Path, port: int, *lines: str) -> Iterator[subprocess.Popen[str]]:
    """Run a real broker on a port of this machine."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        missing("mosquitto")
    assert program is not None
    config = folder / f"mosquitto-{port}.conf"
    text = [f"listener {port} 127.0.0.1", *lines]
    if os.getuid() == 0:
        text.append("user root")  # else it gives up the right to read the test's own folder
    if not any(line.startswith("allow_anonymous") for line in lines):
        text.append("allow_anonymous true")
    config.write_text("\n".join(text) + "\n")
    with process(program, "-c", str(config), stderr=subprocess.DEVNULL) as broker:
        wait_for(lambda: listening(port), 10, "mosquitto listens")
        yield broker


@contextlib.contextmanager
def rtsp_server(video: Path, port: int, *credentials: str) -> Iterator[str]:
    """Serve a video's H.264 over RTSP with GStreamer; yields the URL."""
    script = str(Path(__file__).with_name("rtsp_server.py"))
    with process(SYSTEM_PYTHON, script, str(video), str(port), *credentials, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        if server.stdout.readline().strip() != "READY":
            missing("GStreamer's RTSP server")
        yield f"rtsp://127.0.0.1:{port}/cam"


class Subscriber:
    """A real subscriber that keeps what it receives, with the moment it came."""

    def __init__(self, port: int, topic: str = "#", protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5) -> None:
        self.messages: list[tuple[float, str, bytes, bool]] = []
        self._arrived = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=protocol)
        self._client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self._client.on_subscribe = lambda *_: self._arrived.set()
        self._client.on_message = lambda _c, _u, m: self.messages.append(
            (time.time(), m.topic, bytes(m.payload), m.retain)
        )
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._arrived.wait(10), "the subscriber could not subscribe"

    def payloads(self, ending: str) -> list[bytes]:
        """Return what came on topics that end so."""
        return [payload for _, topic, payload, _ in list(self.messages) if topic.endswith(ending)]

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alert messages in the order in which they came."""
        return [json.loads(payload) for payload in self.payloads("/alert")]

    def say(self, topic: str, payload: str | bytes, retain: bool = False) -> None:
        """Publish, and wait until the broker has it."""
        self._client.publish(topic, payload, 1, retain).wait_for_publish(10)

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()


class Daemon:
    """`surveil run` as a child process; its log is read as it comes."""

    def __init__(self, config: Path) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "surveil", "run", "--config", str(config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    @property
    def log(self) -> str:
        """Everything it has said."""
        return "\n".join(self.lines)

    def wait_for(self, text: str, seconds: float = 60) -> None:
        """Wait for a line; fail with the whole log when the daemon ends or time is over."""
        until = time.monotonic() + seconds
        while text not in self.log:
            if time.monotonic() > until or self.process.poll() is not None:
                self._reader.join(2)
                if text in self.log:
                    return
                pytest.fail(f"the daemon never said {text!r}:\n{self.log}")
            time.sleep(0.02)

    def stop(self, seconds: float = 15) -> int:
        """Send SIGTERM; return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended(seconds)

    def ended(self, seconds: float) -> int:
        """Return the exit code once it has ended."""
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code

    def kill(self) -> None:
        """End it, however it is."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        self._reader.join(5)
        if self.process.stdout:
            self.process.stdout.close()
