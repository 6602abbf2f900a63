from __future__ import annotations

import numpy as np
import pytest

from surveil.messages import Image
from surveil.trigger.pixel_memory import LEARN_SECONDS, STILL_SECONDS, Mask, PixelMemory, covered_by

SHAPE = (90, 160)
NOBODY: Mask = np.zeros(SHAPE, bool)


def plain(value: int = 120) -> Image:
    return np.full((*SHAPE, 3), value, np.uint8)


def with_thing(image: Image) -> Image:
    image = image.copy()
    image[20:40, 30:50] = (20, 60, 200)
    return image


def show(memory: PixelMemory, image: Image, seconds: float, covered: Mask = NOBODY) -> None:
    for _ in range(round(seconds * 2)):
        memory.sample(image, covered, 0.5)


def learnt() -> PixelMemory:
    memory = PixelMemory(SHAPE)
    show(memory, plain(), LEARN_SECONDS + 1)
    return memory


def test_the_background_is_what_stood_still_for_long_enough() -> None:
    memory = PixelMemory(SHAPE)
    show(memory, plain(), LEARN_SECONDS)
    assert not memory.known.any()
    show(memory, plain(), 1)
    assert memory.known.all()
    assert np.abs(memory.expected.astype(int) - 120).max() <= 1


def test_what_is_new_differs_at_once_and_is_static_in_time() -> None:
    memory = learnt()
    show(memory, with_thing(plain()), 0.5)
    assert memory.differs[30, 40]
    assert not memory.static.any()
    show(memory, with_thing(plain()), STILL_SECONDS)
    assert memory.static.sum() == 20 * 20
    assert not memory.disturbed
    show(memory, plain(), 0.5)
    assert not memory.differs.any()


def test_what_the_living_cover_is_neither_learnt_nor_static() -> None:
    memory = learnt()
    covered = covered_by([(0.1, 0.1, 0.5, 0.6)], SHAPE)
    show(memory, with_thing(plain()), 20, covered)
    assert not memory.static.any()
    assert not memory.differs[30, 40]
    show(memory, plain(), 0.5)
    assert not memory.differs.any()


def test_what_is_absorbed_is_the_background() -> None:
    memory = learnt()
    show(memory, with_thing(plain()), 5)
    memory.absorb(memory.static.copy(), 5.0)
    show(memory, with_thing(plain()), 0.5)
    assert not memory.differs.any()
    assert memory.proven[30, 40] == pytest.approx(5.5)
    show(memory, plain(), 0.5)
    assert memory.differs[30, 40]


@pytest.mark.parametrize("value", [80, 160])
def test_another_exposure_is_the_same_background(value: int) -> None:
    memory = learnt()
    show(memory, plain(value), 0.5)
    assert not memory.differs.any()
    show(memory, with_thing(plain(value)), 4)
    assert memory.static.sum() == 20 * 20


@pytest.mark.parametrize("value", [0, 20, 250])
def test_another_picture_is_a_disturbance_until_it_is_learnt(value: int) -> None:
    memory = learnt()
    show(memory, plain(value), 5)
    assert (memory.disturbed, bool(memory.differs.all())) == (True, True)
    memory.relearn()
    show(memory, plain(value), 0.5)
    assert (memory.disturbed, bool(memory.differs.any())) == (False, False)


def test_somebody_who_fills_the_picture_is_a_disturbance_too() -> None:
    memory = learnt()
    show(memory, plain(), 0.5, covered_by([(0.1, 0.0, 0.95, 1.0)], SHAPE))
    assert memory.disturbed


def test_boxes_cover_a_little_more_than_themselves_and_never_leave_the_picture() -> None:
    mask = covered_by([(0.4, 0.4, 0.6, 0.6), (-0.5, -0.5, 0.01, 0.01), (0.99, 0.99, 1.5, 1.5)], SHAPE)
    assert mask[int(0.61 * 90), int(0.38 * 160)]
    assert not mask[int(0.7 * 90), int(0.5 * 160)]
    assert mask[0, 0]
    assert mask[-1, -1]
    assert not covered_by([], SHAPE).any()
