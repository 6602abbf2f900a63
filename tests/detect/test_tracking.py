from __future__ import annotations

import numpy as np
import pytest

from surveil.detect.tracking import LOST_FRAMES, ByteTracker
from surveil.messages import Detections, Track

SIZE = (360, 640)


def boxes(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    data = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(data[:, :4], data[:, 4], data[:, 5].astype(np.int64))


def walk(tracker: ByteTracker, frames: range, speed: float = 4.0) -> list[tuple[Track, ...]]:
    """Move a person to the right, `speed` pixels a frame."""
    return [tracker.update(boxes((n * speed, 100, n * speed + 50, 250, 0.9, 0)), SIZE) for n in frames]


def test_somebody_who_walks_keeps_an_id_and_boxes_are_fractions() -> None:
    seen = walk(ByteTracker(("person", "car"), 0.25), range(50))
    ids = {track.id for tracks in seen for track in tracks}
    assert len(ids) == 1
    (last,) = seen[-1]
    assert last.label == "person"
    assert last.confidence == pytest.approx(0.9, abs=1e-3)
    assert last.box == pytest.approx((196 / 640, 100 / 360, 246 / 640, 250 / 360), abs=1e-3)


def test_a_short_gap_keeps_the_id_a_long_one_does_not() -> None:
    for gap, same in ((10, True), (LOST_FRAMES + 20, False)):
        tracker = ByteTracker(("person",), 0.25)
        before = walk(tracker, range(30), speed=0.0)[-1][0].id
        for _ in range(gap):
            assert tracker.update(Detections.empty(), SIZE) == ()
        after = walk(tracker, range(30, 34), speed=0.0)[-1][0].id
        assert (before == after) is same


def test_cameras_do_not_share_ids() -> None:
    one, two = ByteTracker(("person",), 0.25), ByteTracker(("person",), 0.25)
    assert walk(one, range(5))[-1][0].id == walk(two, range(5))[-1][0].id


def test_two_people_are_two_tracks_and_labels_follow_the_class() -> None:
    tracker = ByteTracker(("person", "car"), 0.25)
    for _ in range(5):
        tracks = tracker.update(boxes((10, 10, 60, 160, 0.8, 0), (300, 100, 500, 200, 0.7, 1)), SIZE)
    assert sorted((track.label, track.confidence > 0.6) for track in tracks) == [("car", True), ("person", True)]


def test_boxes_beyond_the_picture_are_cut_and_degenerate_ones_are_no_fault() -> None:
    tracker = ByteTracker(("person",), 0.25)
    for _ in range(3):
        tracks = tracker.update(boxes((-20, -20, 700, 400, 0.9, 0), (50, 50, 50, 50, 0.9, 0)), SIZE)
    assert [track.box for track in tracks] == [(0.0, 0.0, 1.0, 1.0)]


def test_in_a_frame_that_the_detector_does_not_see_things_move_on() -> None:
    tracker = ByteTracker(("person",), 0.25)
    assert tracker.between() == ()
    before = walk(tracker, range(20))[-1][0]
    (between,) = tracker.between()
    assert between.id == before.id
    assert between.predicted
    assert not before.predicted
    moved = (between.box[0] - before.box[0]) * SIZE[1]
    assert moved == pytest.approx(4.0, abs=1.0)
    (after,) = tracker.update(boxes((21 * 4, 100, 21 * 4 + 50, 250, 0.9, 0)), SIZE)
    assert after.id == before.id


def test_every_third_frame_is_enough_to_keep_an_id() -> None:
    tracker = ByteTracker(("person",), 0.25)
    ids = set()
    for n in range(90):
        tracks = tracker.between() if n % 3 else walk(tracker, range(n, n + 1))[0]
        ids |= {track.id for track in tracks}
    assert len(ids) == 1


def test_a_camera_that_changes_its_size_keeps_its_tracks() -> None:
    tracker = ByteTracker(("person",), 0.25)
    before = walk(tracker, range(20))[-1][0]
    (after,) = tracker.update(boxes((2 * 80, 200, 2 * 130, 500, 0.9, 0)), (SIZE[0] * 2, SIZE[1] * 2))
    assert after.id == before.id
    assert after.box == pytest.approx((80 / 640, 100 / 360, 130 / 640, 250 / 360), abs=1e-3)
