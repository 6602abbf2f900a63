from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from surveil.messages import Image, Track
from surveil.testing import track
from surveil.trigger.background import TOLD_SECONDS, BackgroundModel, Region
from tests.real.components import shared
from tests.trigger import scenes
from tests.trigger.scenes import BAG, PERSON, film, watch, with_bag, with_person


@pytest.fixture(scope="module")
def room(footage: Path) -> Image:
    return scenes.still(footage, 0.0)


@pytest.fixture(scope="module")
def occupied(footage: Path) -> Image:
    return scenes.still(footage, 18.0)


def seen(model: BackgroundModel, video: Path, tracks: scenes.Tracks = scenes.nobody) -> dict[int, tuple[Region, float]]:
    """Return each region that was ever there, with when it was last, and hold each to its promises."""
    found = {}
    for observed in watch(model, video, tracks):
        for region in model.regions:
            assert region.verdict is not None
            assert 0.5 <= region.verdict.confidence <= 1.0
            found[region.number] = (region, observed.frame.at)
    return found


def shaded(image: Image, factor: np.ndarray) -> Image:
    return np.asarray(np.clip(image * factor[..., None], 0, 255), np.uint8)


def test_a_thing_that_was_left_is_seen_with_who_left_it(room: Image, occupied: Image, tmp_path: Path) -> None:
    def scene(image: Image, at: float) -> Image:
        image = with_bag(image) if at >= 16 else image
        return with_person(image, occupied, -0.25) if 14 <= at < 20 else image

    box = (PERSON[0] - 0.25, PERSON[1], PERSON[2] - 0.25, PERSON[3])
    video = film(tmp_path / "left.mp4", room, scene, 40)
    model = BackgroundModel()
    found = seen(model, video, lambda at: (track(7, box=box),) if 14 <= at < 20 else ())
    ((region, last),) = found.values()
    assert region.change == "left"
    assert region.box == pytest.approx(BAG, abs=0.02)
    assert region.nearby == {7}
    assert region.seconds == pytest.approx(40 - 20, abs=1.0)
    assert last > 39
    assert region.number == -1


def test_who_stands_before_a_thing_neither_hides_nor_renews_it(room: Image, occupied: Image, tmp_path: Path) -> None:
    def scene(image: Image, at: float) -> Image:
        image = with_bag(image) if at >= 12 else image
        return with_person(image, occupied, -0.3) if 20 <= at < 38 else image

    box = (PERSON[0] - 0.3, PERSON[1], PERSON[2] - 0.3, PERSON[3])
    video = film(tmp_path / "before.mp4", room, scene, 45)
    found = seen(BackgroundModel(), video, lambda at: (track(7, box=box),) if 20 <= at < 38 else ())
    ((region, last),) = found.values()
    assert region.change == "left"
    assert region.seconds == pytest.approx(45 - 12, abs=1.5)
    assert last > 44
    assert not region.nearby


def test_a_door_or_a_screen_that_shows_something_else_in_its_frame_is_nothing(room: Image, tmp_path: Path) -> None:
    frame = scenes.pixels((0.2, 0.15, 0.3, 0.45))

    def scene(image: Image, at: float) -> Image:
        image = image.copy()
        image[frame] = (30, 30, 30)
        inside = image[frame][6:-6, 6:-6]
        inside[:] = (60, 140, 90) if at < 35 else (190, 120, 40)
        return image

    assert not seen(BackgroundModel(), film(tmp_path / "door.mp4", room, scene, 50))


def test_what_is_taken_away_again_was_not_removed(room: Image, tmp_path: Path) -> None:
    video = film(tmp_path / "taken.mp4", room, lambda image, at: with_bag(image) if 12 <= at < 30 else image, 45)
    ((region, last),) = seen(BackgroundModel(), video).values()
    assert region.change == "left"
    assert 30 < last < 33


def test_what_stood_there_and_is_gone_was_removed(room: Image, tmp_path: Path) -> None:
    video = film(tmp_path / "gone.mp4", room, lambda image, at: with_bag(image) if at < 40 else image, 55)
    ((region, _),) = seen(BackgroundModel(), video).values()
    assert region.change == "removed"
    assert region.box == pytest.approx(BAG, abs=0.02)


def test_what_has_been_told_of_becomes_background_and_can_then_be_removed(room: Image, tmp_path: Path) -> None:
    taken = 20 + TOLD_SECONDS
    video = film(
        tmp_path / "long.mp4", room, lambda image, at: with_bag(image) if 10 <= at < taken else image, taken + 20
    )
    found = list(seen(BackgroundModel(longest=0.0), video).values())
    assert [region.change for region, _ in found] == ["left", "removed"]
    assert found[0][1] == pytest.approx(10 + TOLD_SECONDS, abs=2)
    assert found[0][0].number != found[1][0].number


def test_a_person_who_stands_still_is_no_thing_even_when_the_detector_loses_him(
    room: Image, occupied: Image, tmp_path: Path
) -> None:
    def scene(image: Image, at: float) -> Image:
        return with_person(image, occupied) if 12 <= at < 52 else image

    video = film(tmp_path / "stands.mp4", room, scene, 60)
    here = track(3, box=PERSON)
    assert not seen(BackgroundModel(), video, lambda at: (here,) if 12 <= at < 52 else ())
    assert not seen(BackgroundModel(), video, lambda at: (here,) if 12 <= at < 20 else ())
    # Nobody ever saw a person in it: then it is something that stands there.
    assert [region.change for region, _ in seen(BackgroundModel(), video).values()] == ["left"]


def test_light_shadow_and_daylight_leave_nothing(room: Image, tmp_path: Path) -> None:
    rows, columns = np.mgrid[: scenes.HEIGHT, : scenes.WIDTH].astype(np.float32)
    lamp = 1 + 0.8 * np.exp(-((columns - 200) ** 2 + (rows - 280) ** 2) / (2 * 50**2))
    switched = np.broadcast_to(np.linspace(0.35, 0.7, scenes.WIDTH, dtype=np.float32), rows.shape)
    shadow = np.ones_like(rows)
    for corners in ([[100, 260], [220, 250], [260, 340], [120, 350]], [[120, 60], [220, 40], [240, 140], [120, 150]]):
        cv2.fillPoly(shadow, [np.array(corners)], 0.6)
    shadow = cv2.GaussianBlur(shadow, (9, 9), 0)
    cases: dict[str, scenes.Scene] = {
        "lamp": lambda image, at: shaded(image, lamp) if at >= 12 else image,
        "switch": lambda image, at: shaded(image, switched) if 12 <= at < 26 else image,
        "shadow": lambda image, at: shaded(image, shadow) if at >= 12 else image,
        "daylight": lambda image, at: shaded(image, np.full_like(rows, 1 - 0.4 * at / 40)),
        "noise": lambda image, at: image,
    }
    for name, scene in cases.items():
        assert not seen(BackgroundModel(), film(tmp_path / f"{name}.mp4", room, scene, 40)), name


def test_a_camera_that_shakes_is_moved_or_covered_leaves_nothing(room: Image, tmp_path: Path) -> None:
    def shaking(image: Image, at: float) -> Image:
        return np.roll(image, (int(3 * np.sin(7 * at)), int(4 * np.cos(11 * at))), (0, 1)) if at >= 12 else image

    cases: dict[str, scenes.Scene] = {
        "shaking": shaking,
        "moved": lambda image, at: np.roll(image, (3, 6), (0, 1)) if at >= 12 else image,
        "a little": lambda image, at: np.roll(image, 2, 1) if at >= 12 else image,
        "covered": lambda image, at: np.full_like(image, 20) if 12 <= at < 26 else image,
    }
    for name, scene in cases.items():
        assert not seen(BackgroundModel(), film(tmp_path / f"{name}.mp4", room, scene, 40)), name


def test_after_the_light_went_off_things_are_seen_again(room: Image, tmp_path: Path) -> None:
    def scene(image: Image, at: float) -> Image:
        image = with_bag(image) if at >= 35 else image
        return shaded(image, np.full(image.shape[:2], 0.4)) if at >= 12 else image

    ((region, _),) = seen(BackgroundModel(), film(tmp_path / "dark.mp4", room, scene, 50)).values()
    assert region.change == "left"


@pytest.mark.parametrize("name", ["one-by-one-person.mp4", "car-detection.mp4"])
def test_the_footage_leaves_nothing_for_half_a_minute(name: str) -> None:
    """Six people stand at a table for up to 20 s each, and nobody says that they are persons; cars drive through."""
    model = BackgroundModel()
    for _ in watch(model, shared(f"footage/{name}")):
        assert all(region.seconds < 30 for region in model.regions)


def still_life(moments: Iterable[float], bag_from: int = 0, size: tuple[int, int] = (320, 180)) -> BackgroundModel:
    """Show a plain picture at these moments, with a bag in it from the `bag_from`th on."""
    model = BackgroundModel()
    width, height = size
    for number, at in enumerate(moments):
        image = np.full((height, width, 3), 150, np.uint8)
        if bag_from and number >= bag_from:
            cv2.rectangle(image, (width // 4, height // 2), (width // 3, 2 * height // 3), (30, 40, 90), -1)
        model.observe(image, at, ())
    return model


def test_the_first_seconds_say_nothing() -> None:
    assert not still_life([0.0], 1).regions
    assert not still_life(np.arange(0, 40, 0.1), 2).regions  # it was there before anything was known


def test_a_clock_that_stands_still_ages_nothing() -> None:
    moments = [*np.arange(0, 30, 0.5), *[30.0] * 200]
    assert not still_life(moments, 60).regions


def test_a_clock_that_leaps_or_goes_back_ages_nothing_and_loses_nothing() -> None:
    before, after = np.arange(0, 30, 0.5), np.arange(30, 50, 0.5)
    (usual,) = still_life([*before, *after], 60).regions
    (leaped,) = still_life([*before, *(after + 86_400)], 60).regions
    (back,) = still_life([*before, *(after - 1000)], 60).regions
    assert usual.change == leaped.change == back.change == "left"
    assert usual.seconds == pytest.approx(20, abs=1)
    assert leaped.seconds == pytest.approx(usual.seconds, abs=2)
    assert back.seconds == pytest.approx(usual.seconds, abs=2)


def test_a_picture_of_another_shape_begins_anew_one_of_another_size_does_not() -> None:
    model = still_life(np.arange(0, 40, 0.5), 50)
    (region,) = model.regions
    larger = np.full((360, 640, 3), 150, np.uint8)
    cv2.rectangle(larger, (160, 180), (213, 240), (30, 40, 90), -1)
    model.observe(larger, 40.0, ())
    assert model.regions == (region,)
    model.observe(np.full((480, 640, 3), 150, np.uint8), 41.0, ())
    assert not model.regions


def test_the_same_frames_give_the_same_regions(room: Image, tmp_path: Path) -> None:
    video = film(tmp_path / "left.mp4", room, lambda image, at: with_bag(image) if at >= 12 else image, 24)
    once, twice = (
        [(r.number, r.change, r.box, r.seconds, r.verdict) for _ in watch(model, video) for r in model.regions]
        for model in (BackgroundModel(), BackgroundModel())
    )
    assert once == twice
    assert once


def test_regions_do_not_pile_up_in_a_picture_of_noise() -> None:
    random = np.random.default_rng(7)
    model = BackgroundModel()
    for number in range(120):
        tracks = tuple(Track(number * 10 + n, "person", 0.9, (0.1, 0.1, 0.12, 0.2)) for n in range(10))
        model.observe(random.integers(0, 255, (90, 160, 3), np.uint8), number * 0.5, tracks)
    assert not model.regions


def test_every_frame_of_a_damaged_or_odd_shape_is_taken(footage: Path) -> None:
    model = BackgroundModel()
    for number, shape in enumerate([(1, 1), (2, 2000), (2000, 2), (37, 53), (1080, 1920)]):
        model.observe(np.zeros((*shape, 3), np.uint8), float(number), ())
    with av.open(str(footage)) as container:
        for picture in container.decode(video=0):
            model.observe(np.asarray(picture.to_ndarray(format="bgr24"), np.uint8), 10.0, ())
            break
