"""A camera's status is what matters most of what its thread, its pictures and the machine say."""

from __future__ import annotations

import logging

import pytest

from surveil.messages import CameraStatus
from surveil.status import LIVE, StatusBoard
from surveil.testing import SimulatedClock
from surveil.trigger.scene import Scene


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def board(clock: SimulatedClock) -> StatusBoard:
    return StatusBoard(["a", "b"], clock)


def test_a_camera_is_what_its_thread_says_until_it_is_online(board: StatusBoard, clock: SimulatedClock) -> None:
    assert board.current("a").state == "connecting"
    board.seen("a", Scene("covered", 0.0, "dark"))
    board.slow({"a": "too slow"})
    board.read(CameraStatus("a", "offline", 5.0, "no answer in time"))
    assert (board.current("a").state, board.current("a").detail) == ("offline", "no answer in time")
    board.read(CameraStatus("a", "online", 6.0))
    assert (board.current("a").state, board.current("a").detail) == ("covered", "dark")
    board.seen("a", Scene("online", 7.0))
    assert (board.current("a").state, board.current("a").detail) == ("degraded", "too slow")
    board.slow({})
    assert board.current("a").state == "online"
    assert board.current("b").state == "connecting"


def test_since_is_when_the_state_began_not_when_its_words_changed(board: StatusBoard, clock: SimulatedClock) -> None:
    board.read(CameraStatus("a", "online", clock.wall()))
    board.current("a")
    clock.advance(10)
    board.slow({"a": "20 of 30"})
    began = board.current("a").since
    assert began == clock.wall()
    clock.advance(10)
    board.slow({"a": "18 of 30"})
    assert board.current("a").since == began
    assert board.current("a").detail == "18 of 30"


def test_only_a_change_of_what_the_pictures_show_is_news_and_logged_once(
    board: StatusBoard, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    board.read(CameraStatus("a", "online", 0.0))
    board.current("a")
    calm, frozen = Scene("online", 0.0), Scene("frozen", 3.0, "the same for 20 s")
    assert [board.seen("a", scene) for scene in (calm, calm, frozen, frozen, calm)] == [True, False, True, False, True]
    board.seen("a", frozen)
    for _ in range(5):
        assert board.current("a").state == "frozen"
    assert caplog.text.count("camera=a is frozen: the same for 20 s") == 1


def test_a_camera_whose_pictures_are_wrong_is_still_alive() -> None:
    assert {"online", "frozen", "moved"} <= LIVE
    assert not {"offline", "stalled", "connecting", "disabled"} & LIVE
