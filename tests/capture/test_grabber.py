from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count

import pytest

from surveil.capture.grabber import STALL_SECONDS, Grabber
from surveil.clock import SystemClock
from surveil.interfaces import AuthFailed, CaptureError, EndOfFile
from surveil.messages import CameraStatus, Frame
from surveil.testing import SimulatedClock, frame
from tests.real.components import wait_for


class Camera:
    """A FrameSource: each life gives some frames, then what it was told to raise."""

    def __init__(self, *lives: tuple[int, Exception]) -> None:
        self.lives = iter(lives)
        self.opened = 0
        self.closed = 0
        self._numbers = count()

    def open(self) -> None:
        self.opened += 1
        self.life = next(self.lives)
        if self.life[0] < 0:
            raise self.life[1]

    def frames(self) -> Iterator[Frame]:
        for _ in range(self.life[0]):
            yield frame(0.0, index=next(self._numbers))
        raise self.life[1]

    def close(self) -> None:
        self.closed += 1


class Watched:
    """A grabber with what it told."""

    def __init__(self, camera: Camera, clock: SimulatedClock | SystemClock | None = None) -> None:
        self.frames: list[Frame] = []
        self.statuses: list[CameraStatus] = []
        self.camera = camera
        self.grabber = Grabber(
            "front", lambda _stop: camera, self.frames.append, self.statuses.append, clock or SystemClock()
        )

    @property
    def states(self) -> list[str]:
        return [status.state for status in self.statuses]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("surveil.backoff.Backoff.next", lambda _self: 0.0)


def test_a_camera_that_breaks_is_opened_again() -> None:
    watched = Watched(Camera((3, CaptureError("gone")), (-1, CaptureError("not yet")), (2, EndOfFile("end of file"))))
    watched.grabber.start()
    assert watched.grabber.join(10)
    assert [f.index for f in watched.frames] == [0, 1, 2, 3, 4]
    assert watched.states == ["connecting", "online", "offline", "offline", "online", "offline"]
    assert [s.detail for s in watched.statuses][2:4] == ["gone", "not yet"]
    assert watched.statuses[-1].detail == "end of file"
    assert watched.camera.opened == watched.camera.closed == 3


def test_the_same_fault_again_is_told_once() -> None:
    faults = [(-1, CaptureError("connection refused"))] * 20
    watched = Watched(Camera(*faults, (1, EndOfFile("end of file"))))
    watched.grabber.start()
    assert watched.grabber.join(10)
    assert watched.states == ["connecting", "offline", "online", "offline"]


def test_a_wrong_password_is_not_tried_again_soon() -> None:
    watched = Watched(Camera((-1, AuthFailed("refuses this user name or password")), (1, EndOfFile(""))))
    watched.grabber.start()
    wait_for(lambda: watched.states == ["connecting", "auth_failed"], 5, "auth_failed")
    assert not watched.grabber.join(0.2)
    assert watched.camera.opened == 1
    watched.grabber.stop()
    assert watched.grabber.join(5)


def test_a_fault_of_our_own_is_logged_and_does_not_end_the_camera(caplog: pytest.LogCaptureFixture) -> None:
    watched = Watched(Camera((1, ZeroDivisionError("ours")), (1, EndOfFile("end of file"))))
    watched.grabber.start()
    assert watched.grabber.join(10)
    assert len(watched.frames) == 2
    assert "a fault in its thread" in caplog.text


def test_a_stall_is_told_by_our_own_watch_and_ends_with_the_next_frame() -> None:
    clock = SimulatedClock()
    go_on, reading = threading.Event(), threading.Event()

    class Stalling(Camera):
        def frames(self) -> Iterator[Frame]:
            yield frame(0.0)
            reading.set()
            go_on.wait(10)
            yield frame(0.0, index=1)
            raise EndOfFile("end of file")

    watched = Watched(Stalling((1, EndOfFile(""))), clock)
    watched.grabber.start()
    assert reading.wait(5)
    clock.advance(STALL_SECONDS - 0.1)
    assert watched.grabber.check() is None
    clock.advance(0.2)
    stalled = watched.grabber.check()
    assert stalled is not None
    assert (stalled.state, stalled.detail) == ("stalled", "no picture for 5 s")
    assert watched.grabber.check() is None
    go_on.set()
    assert watched.grabber.join(5)
    assert watched.states == ["connecting", "online", "online", "offline"]


def test_stop_ends_a_camera_that_goes_on_for_ever() -> None:
    watched = Watched(Camera((10**9, EndOfFile(""))))
    watched.grabber.start()
    wait_for(lambda: len(watched.frames) > 5, 5, "frames")
    watched.grabber.stop()
    assert watched.grabber.join(5)
    assert watched.camera.closed == 1
