"""The yard: what a picture shows is what is told of it, and always the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from surveil.demo import storyline
from surveil.demo.lens import HEIGHT, WIDTH
from surveil.demo.moment import FENCE_Z, Light, Moment, Thing, Truth
from surveil.demo.moves import CLIMB_SECONDS, after
from surveil.demo.scene import Scene
from surveil.messages import Image

SOMEBODY = Thing("person", 1, 5, 0.0, 9.0, 0.0, "walking", 0.4)
DAY = Light(noise=0.0)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(3)


def only(truth: Truth) -> tuple[float, float, float, float]:
    (one,) = truth.seen
    return one.box


def differing(first: Image, second: Image) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of what differs clearly between two pictures."""
    rows, columns = np.nonzero(np.abs(first.astype(int) - second).max(axis=2) > 24)
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def test_the_same_seed_and_moment_give_the_same_picture() -> None:
    moment = storyline.moment(3, 30.0)
    first, truth = Scene(3).picture(moment)
    again, same = Scene(3).picture(moment)
    assert first.shape == (HEIGHT, WIDTH, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert truth == same
    assert not np.array_equal(first, Scene(4).picture(moment)[0])


def test_a_box_is_tight_around_who_is_drawn(scene: Scene) -> None:
    # Without sun there is no hard shadow, which would differ too.
    light = replace(DAY, sun=0.0)
    empty, nobody = scene.picture(Moment(light))
    picture, truth = scene.picture(Moment(light, (SOMEBODY,)))
    assert nobody.seen == ()
    x1, y1, x2, y2 = only(truth)
    left, top, right, bottom = differing(empty, picture)
    assert abs(left - x1 * WIDTH) <= 3
    assert abs(top - y1 * HEIGHT) <= 3
    assert abs(right - x2 * WIDTH) <= 3
    assert abs(bottom - y2 * HEIGHT) <= 3 + 6  # the soft dark below the feet


def test_who_is_far_is_small(scene: Scene) -> None:
    near, far = (only(scene.picture(Moment(DAY, (replace(SOMEBODY, z=z),)))[1]) for z in (8.0, 13.0))
    assert (near[3] - near[1]) / (far[3] - far[1]) == pytest.approx(13 / 8, rel=0.05)


def test_a_box_ends_where_something_hides_the_rest(scene: Scene) -> None:
    behind = replace(SOMEBODY, x=-0.05, z=10.0, activity="standing")
    before = replace(SOMEBODY, who=2, x=0.1, z=8.9, activity="standing", phase=0.0)
    alone = only(scene.picture(Moment(DAY, (behind,)))[1])
    both = {one.thing.who: one for one in scene.picture(Moment(DAY, (behind, before)))[1].seen}
    assert both[2].visible == 1.0
    left = both[1].box  # the farther one's, beside the nearer
    assert both[1].visible < 0.9
    assert left[2] - left[0] < 0.85 * (alone[2] - alone[0])


def test_who_is_behind_the_house_is_not_told_of(scene: Scene) -> None:
    hidden = replace(SOMEBODY, x=-8.0, z=16.0)
    assert scene.picture(Moment(DAY, (hidden,)))[1].seen == ()


def test_the_fence_hides_little_of_who_passes(scene: Scene) -> None:
    (one,) = scene.picture(Moment(DAY, (replace(SOMEBODY, x=0.8, z=16.0),)))[1].seen
    assert one.place == "path"
    assert 0.4 < one.visible < 1.0
    assert (one.box[3] - one.box[1]) * HEIGHT > 60  # from head to feet, seen between the bars


def test_a_covered_camera_shows_nobody_and_says_so(scene: Scene) -> None:
    picture, truth = scene.picture(Moment(DAY, (SOMEBODY,), cover=1.0))
    assert truth.covered
    assert truth.seen == ()
    assert picture.mean() < 60


def test_nights_are_dark_but_not_black(scene: Scene) -> None:
    day, _ = scene.picture(Moment(DAY))
    night, truth = scene.picture(Moment(replace(DAY, darkness=1.0)))
    assert truth.night
    assert 15 < night.mean() < 0.7 * day.mean()


def test_the_storyline_tells_all_that_it_should(scene: Scene) -> None:
    seconds = [float(second) for second in np.arange(0, storyline.LOOP_SECONDS, 0.5)]
    told = [(second, scene.picture(storyline.moment(3, second))[1]) for second in seconds]
    doing = {(one.thing.activity, one.place) for _, truth in told for one in truth.seen if one.thing.label == "person"}
    assert {
        ("walking", "path"),
        ("climbing", "fence"),
        ("crouching", "yard"),
        ("running", "yard"),
        ("meeting", "yard"),
    } <= doing
    labels = {one.thing.label for _, truth in told for one in truth.seen}
    assert labels == {"person", "car", "dog", "parcel"}
    assert any(truth.covered for _, truth in told)
    assert not told[0][1].seen
    assert not told[0][1].night
    assert any(truth.night for _, truth in told)
    assert told[-1][1].seen == ()


def test_each_turn_has_other_people() -> None:
    first, second = (storyline.moment(3, 9.0 + turn * storyline.LOOP_SECONDS) for turn in (0, 1))
    assert [thing.x for thing in first.things] == pytest.approx([thing.x for thing in second.things])
    assert {thing.look for thing in first.things}.isdisjoint({thing.look for thing in second.things})


def test_going_on_is_straight_ahead_and_a_climb_ends_inside() -> None:
    assert after(SOMEBODY, 2.0).x == pytest.approx(2.8)
    assert after(replace(SOMEBODY, activity="standing"), 2.0).x == 0.0
    up = replace(SOMEBODY, activity="climbing", phase=0.1)
    assert after(up, 0.1).z > FENCE_Z
    assert after(up, CLIMB_SECONDS).z < FENCE_Z
    assert after(up, CLIMB_SECONDS / 2).lift > 0.5
