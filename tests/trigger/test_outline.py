from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from surveil.messages import Image
from surveil.trigger.outline import judge
from surveil.trigger.pixel_memory import Mask
from tests.trigger import scenes

BAG = scenes.pixels(scenes.BAG)


@pytest.fixture(scope="module")
def room(footage: Path) -> Image:
    return scenes.still(footage, 0.0)


def where(part: tuple[slice, slice] = BAG) -> Mask:
    mask = np.zeros((scenes.HEIGHT, scenes.WIDTH), bool)
    mask[part] = True
    return mask


def test_a_thing_has_its_edges_in_the_picture_that_shows_it(room: Image) -> None:
    bag = scenes.with_bag(room)
    left, removed = judge(where(), room, bag), judge(where(), bag, room)
    assert (left.change, removed.change) == ("left", "removed")
    assert left.confidence == removed.confidence
    assert 0.5 < left.confidence <= 1.0


def test_a_thing_for_another_in_the_same_place_is_neither(room: Image) -> None:
    one, other = room.copy(), room.copy()
    one[BAG], other[BAG] = (200, 60, 30), (200, 160, 120)
    assert judge(where(), one, other).change == "unclear"


@pytest.mark.parametrize("factor", [0.5, 0.7, 1.4])
def test_the_same_boards_in_another_light_are_light(room: Image, factor: float) -> None:
    lit = room.copy()
    lit[BAG] = np.clip(lit[BAG] * factor, 0, 255)
    assert judge(where(), room, lit).change == "light"


def test_on_a_plain_wall_colour_tells_a_thing_from_a_shadow() -> None:
    wall = np.full((scenes.HEIGHT, scenes.WIDTH, 3), 180, np.uint8)
    shadow, poster, hole = wall.copy(), wall.copy(), wall.copy()
    shadow[BAG], poster[BAG], hole[BAG] = 120, (60, 60, 150), 30
    assert judge(where(), wall, shadow).change == "light"
    assert judge(where(), shadow, wall).change == "light"
    assert judge(where(), wall, poster).change == "left"
    assert judge(where(), wall, hole).change == "left"
    assert judge(where(), poster, wall).change == "removed"


def test_any_mask_gets_an_answer(room: Image) -> None:
    for part in ((slice(0, 360), slice(0, 640)), (slice(0, 1), slice(0, 1)), (slice(100, 101), slice(5, 300))):
        assert judge(where(part), room, cv2.flip(room, 1)).change in {"left", "removed", "light", "unclear"}
    black = np.zeros_like(room)
    assert judge(where(), black, black).change in {"light", "unclear"}
