"""Tampering made on real footage and sent through a real encoder; and all that is no tampering."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from surveil.messages import CameraState, Image
from surveil.trigger.scene import SETTLED_SECONDS, Scene, SceneWatch
from tests.real import components
from tests.real.scenes import HEIGHT, WIDTH, coded, noisy, played

FPS = 5
Change = Callable[[Image, int], Image]
Told = list[tuple[float, CameraState]]


@pytest.fixture(scope="module")
def views(footage: Path) -> dict[str, list[Image]]:
    """Half a minute of a room with visitors, and of a lane with cars, whose asphalt has next to no outlines."""
    cars = components.shared("footage/car-detection.mp4")
    return {
        "room": [image for _, image in islice(played(footage, 2), 150)],
        "lane": [image for _, image in played(cars, 3)],
    }


def told(images: Iterable[Image], fps: int = FPS, watch: SceneWatch | None = None, begin: float = 0.0) -> Told:
    """Return each change of what is told, in seconds from the first picture."""
    watch = watch or SceneWatch()
    changes: Told = []
    state: CameraState = "online"
    for number, image in enumerate(images):
        now = watch.observe(image, begin + number / fps).state
        if now != state:
            changes.append((number / fps, now))
            state = now
    return changes


def played_on(images: list[Image], begin: int, end: int, change: Change | None = None) -> Iterator[Image]:
    for number in range(begin * FPS, end * FPS):
        image = images[number % len(images)]
        yield image if change is None else change(image, number)


def shifted(right: float, down: float) -> Change:
    matrix = np.array([[1, 0, right * WIDTH], [0, 1, down * WIDTH]], np.float32)
    return lambda image, _: np.asarray(
        cv2.warpAffine(image, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT), np.uint8
    )


def blurred(sigma: float) -> Change:
    return lambda image, _: np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)


def dimmed(gain: float, sigma: float) -> Change:
    return lambda image, number: noisy(image * gain, sigma, number)


def infrared(image: Image, number: int) -> Image:
    """Colour is gone, what was dark shines, what was bright is dull, and there is noise."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[..., None].repeat(3, 2)
    return noisy(200 - 0.6 * grey, 4, number)


def close_by(share: float) -> Change:
    """Something with a texture of its own stands in front of so much of the picture."""
    dice = np.random.default_rng(3)
    coat = cv2.resize(dice.normal(110, 40, (18, 32, 3)), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)

    def change(image: Image, _: int) -> Image:
        image = image.copy()
        image[:, : int(WIDTH * share)] = np.clip(coat, 0, 255)[:, : int(WIDTH * share)]
        return image

    return change


TAMPERS: dict[str, tuple[CameraState, Change]] = {
    "black": ("covered", lambda image, _: np.zeros_like(image)),
    "a hand": ("covered", lambda image, number: noisy(np.full(image.shape, 14.0), 4, number)),
    "paint": ("covered", lambda image, number: noisy(np.full(image.shape, 90.0), 6, number)),
    "grease": ("covered", lambda image, _: np.full_like(image, image.mean((0, 1)).astype(np.uint8))),
    "soft": ("blurred", blurred(3)),
    "out of focus": ("blurred", blurred(8)),
    "to the right": ("moved", shifted(0.05, 0)),
    "down": ("moved", shifted(0, 0.05)),
    "elsewhere": ("moved", lambda image, _: np.ascontiguousarray(image[::-1])),
    "white": ("flooded", lambda image, _: np.full_like(image, 255)),
    "glare": ("flooded", lambda image, _: np.clip(image.astype(np.int16) + 150, 0, 255).astype(np.uint8)),
}
HARMLESS: dict[str, Change] = {
    "lights out": dimmed(0.06, 2),
    "infrared": infrared,
    "wind": lambda image, number: shifted(0.008 * (number % 3 - 1), 0)(image, number),
    "rain": lambda image, number: noisy(image, 8, number),
    "bright": lambda image, _: np.clip(image * 1.4, 0, 255).astype(np.uint8),
    "somebody close by": close_by(0.7),
}


@pytest.mark.parametrize("view", ["room", "lane"])
@pytest.mark.parametrize("name", TAMPERS)
def test_tampering_is_told_within_5_seconds_and_its_end_too(
    views: dict[str, list[Image]], view: str, name: str
) -> None:
    state, change = TAMPERS[name]
    images = [*played_on(views[view], 0, 8), *played_on(views[view], 8, 16, change), *played_on(views[view], 16, 22)]
    (begin, what), (end, then) = told(coded(images, FPS))
    assert (what, then) == (state, "online")
    assert 8 < begin <= 13
    assert 16 < end <= 21


@pytest.mark.parametrize("view", ["room", "lane"])
@pytest.mark.parametrize("name", HARMLESS)
def test_light_weather_and_passers_by_are_no_tampering(views: dict[str, list[Image]], view: str, name: str) -> None:
    change = HARMLESS[name]
    images = [*played_on(views[view], 0, 8), *played_on(views[view], 8, 16, change), *played_on(views[view], 16, 22)]
    assert told(coded(images, FPS)) == []


@pytest.mark.parametrize("name", ["one-by-one-person.mp4", "car-detection.mp4"])
def test_nothing_is_told_of_the_footage_as_it_is(name: str) -> None:
    watch = SceneWatch()
    video = components.shared(f"footage/{name}")
    assert {watch.observe(image, at).state for at, image in played(video)} == {"online"}


@pytest.mark.parametrize(("view", "night"), [("room", 0.0), ("lane", 0.05)])
def test_nothing_is_told_between_day_and_night(views: dict[str, list[Image]], view: str, night: float) -> None:
    fps, minutes = 1, 4
    gains = [1.0] * 10 * fps + list(np.linspace(1, night, minutes * 60 * fps)) + [night] * 20 * fps
    images = views[view]
    dusk = (noisy(images[n % len(images)] * gain, 1.5, n) for n, gain in enumerate(gains + gains[::-2]))
    assert told(coded(dusk, fps), fps) == []


def test_frozen_is_told_after_20_seconds_and_ends(views: dict[str, list[Image]]) -> None:
    room = views["room"]
    images = [*room[:50], *[room[50]] * 30 * FPS, *room[50:90]]
    (begin, what), (end, then) = told(coded(images, FPS, rate="800000"))
    assert (what, then) == ("frozen", "online")
    assert 10 + 15 <= begin <= 10 + 22
    assert 40 < end <= 45


def empty_room(views: dict[str, list[Image]], gain: float, sigma: float) -> Iterator[Image]:
    return (noisy(views["room"][0] * gain, sigma, number) for number in range(32 * FPS))


@pytest.mark.parametrize(
    ("gain", "sigma", "options"),
    [
        (0.25, 0.5, {"rate": "200000"}),
        (0.25, 1.0, {"rate": "100000"}),
        (0.1, 1.0, {"rate": "200000"}),
        (1.0, 0.5, {"rate": "2000000"}),
        (0.25, 1.0, {"rate": "200000", "g": "50"}),  # a key picture every 10 s
    ],
)
def test_a_quiet_live_scene_is_not_frozen(
    views: dict[str, list[Image]], gain: float, sigma: float, options: dict[str, str]
) -> None:
    assert told(coded(empty_room(views, gain, sigma), FPS, **options)) == []


def test_a_picture_in_which_a_clock_runs_is_not_frozen(views: dict[str, list[Image]]) -> None:
    def clock(image: Image, second: int) -> Image:
        image = image.copy()
        cv2.putText(image, f"12:00:{second:02}", (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1)
        return image

    images = [clock(views["room"][0], number // FPS) for number in range(32 * FPS)]
    assert told(coded(images, FPS, rate="800000")) == []


def lamp(image_level: float, number: int, lit: bool = True) -> Image:
    """A night in which nothing but one lamp is to be seen."""
    picture = np.full((HEIGHT, WIDTH, 3), image_level, np.float32)
    if lit:
        cv2.circle(picture, (500, 80), 9, (230.0, 230.0, 230.0), -1)
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 3), np.float32)
    return noisy(picture, 3, number)


def test_a_dark_night_with_a_lamp_is_not_covered_until_it_is() -> None:
    images = [lamp(8, number, lit=number < 20 * FPS) for number in range(28 * FPS)]
    ((begin, what),) = told(coded(images, FPS))
    assert what == "covered"
    assert 20 < begin <= 25


def test_a_camera_that_starts_in_the_dark_comes_to_see(views: dict[str, list[Image]]) -> None:
    dawn = [noisy(views["room"][n % 50] * min(1.0, n / 200), 1.5, n) for n in range(250)]
    assert [state for _, state in told(coded(dawn, FPS))] in ([], ["covered", "online"])
    night = [lamp(8, number) for number in range(10 * FPS)]
    assert told(coded([*night, *views["room"]], FPS)) == []  # the light is switched on


def test_before_there_is_a_reference_only_what_needs_none_is_told(views: dict[str, list[Image]]) -> None:
    room, lane = views["room"], views["lane"]
    assert told([*room[:10], *lane[:50]]) == []
    black = [np.zeros_like(room[0])] * 30
    white = [np.full_like(room[0], 255)] * 30
    assert [state for _, state in told([*black, *room[:50]])] == ["covered", "online"]
    assert [state for _, state in told([*white, *room[:50]])] == ["flooded", "online"]


def learnt(images: list[Image], seconds: float | None = None) -> SceneWatch:
    """A watch that has seen ten seconds, from 100 to 110."""
    watch = SceneWatch(seconds)
    assert told(images[: 10 * FPS], watch=watch, begin=100.0) == []
    return watch


def test_a_camera_that_comes_back_looking_elsewhere_has_moved(views: dict[str, list[Image]]) -> None:
    watch = learnt(views["room"])
    ((begin, what),) = told(views["lane"][:50], watch=watch, begin=10_000.0)
    assert what == "moved"
    assert begin <= 5
    assert watch.scene.since >= 10_000
    assert "another view" in watch.scene.detail
    assert told(views["room"][:50], watch=learnt(views["room"]), begin=10_000.0) == []


def test_a_new_view_becomes_the_usual_one_once_it_is_steady(views: dict[str, list[Image]]) -> None:
    watch = learnt(views["room"])
    images = [shifted(0.1, 0)(views["room"][n % 150], n) for n in range(80 * FPS)]
    (begin, what), (end, then) = told(images, watch=watch, begin=110.0)
    assert (what, then) == ("moved", "online")
    assert begin <= 5
    assert SETTLED_SECONDS <= end <= SETTLED_SECONDS + 8
    assert told(views["room"][:50], watch=watch, begin=190.0)[0][1] == "moved"


def test_clocks_that_stand_still_leap_or_go_back_tell_nothing(views: dict[str, list[Image]]) -> None:
    watch = learnt(views["room"])
    black = np.zeros_like(views["room"][0])
    for at in (110.0, 110.0, 86_510.0, 50.0, 50.1, 200.0, 100_000.0):
        assert watch.observe(black, at).state == "online"
        assert watch.scene.since <= at
    assert told([black] * 30, watch=watch, begin=100_001.0)[0][1] == "covered"


def test_pictures_of_another_size_make_a_new_reference(views: dict[str, list[Image]]) -> None:
    watch = learnt(views["room"])
    squares = [np.ascontiguousarray(image[:, :360]) for image in views["lane"]]
    assert told(squares[:75], watch=watch, begin=110.0) == []
    tiny = [np.ascontiguousarray(image[::30, ::30]) for image in views["room"]]
    assert told(tiny[:75], watch=watch, begin=125.0) == []


def test_for_says_how_long_something_must_hold(views: dict[str, list[Image]]) -> None:
    black = [np.zeros_like(views["room"][0])] * 20 * FPS
    assert told(black, watch=learnt(views["room"], 0.0), begin=111.0) == [(0.0, "covered")]
    assert told(black, watch=learnt(views["room"], 10.0), begin=111.0) == [(10.2, "covered")]


def test_what_is_told_has_a_sentence_with_what_was_measured(views: dict[str, list[Image]]) -> None:
    watch = learnt(views["room"])
    told([np.zeros_like(views["room"][0])] * 20, watch=watch, begin=111.0)
    assert watch.scene == Scene("covered", 111.0, watch.scene.detail)
    assert watch.scene.detail.startswith("outlines in 0.0% of the picture, usually 3")
