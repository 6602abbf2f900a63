from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

import numpy as np
import pytest

from surveil.channels import FrameQueue
from surveil.clock import SystemClock
from surveil.detect.detection import DetectionStage, Tracking, detections
from surveil.interfaces import ModelError, Pending
from surveil.messages import Detections, Image, Observation
from surveil.metrics import Metrics
from surveil.testing import ScriptedDetector, frame, picture
from tests.real.components import wait_for

ONE = Detections(np.array([[10, 5, 30, 30]], np.float32), np.array([0.9], np.float32), np.array([0]))


class Stage:
    """A running detection stage and what it handed on."""

    def __init__(self, detector: ScriptedDetector, cameras: Sequence[str] = ("a", "b")) -> None:
        self.seen: list[Observation] = []
        self.room = True
        self.metrics = Metrics()
        self.queue = FrameQueue(cameras)
        self.stage = DetectionStage(
            Tracking(detector, cameras, 0.25), self.queue, self._take, self.metrics, SystemClock()
        )

    def _take(self, observation: Observation, _timeout: float) -> bool:
        if self.room:
            self.seen.append(observation)
        return self.room


def test_all_cameras_share_a_batch_and_keep_their_own_tracks() -> None:
    detector = ScriptedDetector(*[ONE] * 10)
    running = Stage(detector)
    for index in range(5):
        running.queue.put(frame(index / 10, "a", index))
        running.queue.put(frame(index / 10, "b", index))
    running.stage.start()
    wait_for(lambda: len(running.seen) == 10, 5, "all frames are seen")
    assert running.stage.stop(5)
    assert detector.batches == [8, 2]
    for camera in ("a", "b"):
        own = [seen for seen in running.seen if seen.frame.camera == camera]
        assert [seen.frame.index for seen in own] == [0, 1, 2, 3, 4]
        assert {track.id for seen in own for track in seen.tracks} == {1}
        assert running.metrics.counted("frames_detected", camera) == 5


class Deep(ScriptedDetector):
    """Takes one picture in a go, three goes at a time, and says in which order they were waited for."""

    batch = 1
    depth = 3

    def __init__(self) -> None:
        super().__init__()
        self.started = 0
        self.most = 0
        self.finished: list[int] = []

    def start(self, images: Sequence[Image]) -> Pending:
        number = self.started
        self.started += 1
        self.most = max(self.most, self.started - len(self.finished))
        pending = super().start(images)

        def finish() -> list[Detections]:
            self.finished.append(number)
            return pending()

        return finish


def test_a_deep_detector_is_kept_busy_and_order_is_kept() -> None:
    detector = Deep()
    running = Stage(detector, ["a"])
    for index in range(8):
        running.queue.put(frame(index / 10, "a", index))
    running.stage.start()
    wait_for(lambda: len(running.seen) == 8, 5, "also the last are finished when no more come")
    assert running.stage.stop(5)
    assert [seen.frame.index for seen in running.seen] == list(range(8))
    assert detector.finished == list(range(8))
    assert detector.most == 3


def test_stopping_finishes_what_is_queued() -> None:
    running = Stage(ScriptedDetector(), ["a"])
    for index in range(8):
        running.queue.put(frame(index / 10, "a", index))
    running.stage.start()
    assert running.stage.stop(5)
    assert len(running.seen) == 8


def test_a_full_hand_over_holds_the_detector_back_but_not_its_end() -> None:
    running = Stage(ScriptedDetector(), ["a"])
    running.room = False
    running.queue.put(frame(0.0, "a"))
    running.stage.start()
    assert running.stage.stop(5)


class Failing(ScriptedDetector):
    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def start(self, images: Sequence[Image]) -> Pending:
        if self.times:
            self.times -= 1
            raise ModelError("the detector failed: out of memory")
        return super().start(images)


class Faulty(Failing):
    """A fault of ours, not of the model."""

    def start(self, images: Sequence[Image]) -> Pending:
        try:
            return super().start(images)
        except ModelError:
            raise IndexError("ours") from None


@pytest.mark.parametrize("kind", [Failing, Faulty])
@pytest.mark.parametrize(("failures", "fatal"), [(3, False), (100, True)])
def test_a_glitch_passes_a_broken_model_is_told(kind: type[Failing], failures: int, fatal: bool) -> None:
    running = Stage(kind(failures), ["a"])
    running.stage.start()
    for index in range(30):
        running.queue.put(frame(index / 10, "a", index))
        wait_for(lambda: not len(running.queue) or running.stage.fault, 5, "the frame is taken")
        if running.stage.fault:
            break
    if fatal:
        wait_for(lambda: running.stage.fault, 5, "the fault")
    assert running.stage.stop(5)
    assert (running.stage.fault is not None) is fatal


def test_every_nth_frame_is_detected_and_none_is_left_out() -> None:
    detector = ScriptedDetector(*[ONE] * 10)
    tracking = Tracking(detector, ["a", "b"], 0.25, every=3)
    seen: list[Observation] = []
    for index in range(9):
        seen += tracking.observe([frame(index / 10, "a", index)])
    seen += tracking.observe([frame(0.0, "b", 0), frame(0.9, "a", 9), frame(1.0, "a", 10)])
    while not tracking.idle:
        seen += tracking.observe([])
    assert detector.batches == [1, 1, 1, 2]
    assert [s.frame.index for s in seen if s.frame.camera == "a"] == list(range(11))
    assert [s.frame.index for s in seen if s.tracks and not s.tracks[0].predicted] == [0, 3, 6, 0, 9]
    assert all(s.tracks[0].id == 1 for s in seen)


def test_frames_between_wait_for_no_device() -> None:
    detector = Deep()
    tracking = Tracking(detector, ["a"], 0.25, every=2)
    seen: list[int] = []
    for index in range(12):
        seen += [s.frame.index for s in tracking.observe([frame(index / 10, "a", index)])]
    assert detector.most == 3  # the frames in between take none of its places
    while not tracking.idle:
        seen += [s.frame.index for s in tracking.observe([])]
    assert seen == list(range(12))


def test_pictures_to_measure_with_keep_a_deep_detector_busy_and_are_all_waited_for() -> None:
    detector = Deep()
    assert len(list(detections(detector, [picture()] * 7))) == 7
    assert detector.most == 3
    assert detector.finished == list(range(7))
    some = detections(detector, repeat(picture()))
    next(some)
    some.close()
    assert len(detector.finished) == detector.started
