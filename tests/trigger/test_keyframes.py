from __future__ import annotations

import cv2
import numpy as np
import pytest

from surveil.messages import Box, Frame, Image, Subject
from surveil.testing import frame, picture
from surveil.trigger.keyframes import (
    KEYFRAMES,
    MAX_PIXELS,
    SPACING_SECONDS,
    Shortlist,
    around,
    sharpness,
    view_score,
    within_budget,
)


def subject(confidence: float = 0.9, box: Box = (0.4, 0.3, 0.6, 0.9)) -> Subject:
    return Subject(1, "person", confidence, box, 1.0)


def test_the_best_view_wins_not_the_first() -> None:
    shortlist = Shortlist()
    views = [subject(0.7), subject(0.9), subject(0.8)]
    for number, view in enumerate(views):
        shortlist.consider(frame(number / 10), [view])
    best = shortlist.best()
    assert best is not None
    assert best.at == 0.1


def test_keyframes_are_spread_in_time_few_and_the_oldest_first() -> None:
    shortlist = Shortlist()
    for number in range(100):
        shortlist.consider(frame(number / 10), [subject(0.5 + number / 250)])
    moments = [keyframe.at for keyframe in shortlist.keyframes()]
    assert len(moments) == KEYFRAMES
    assert moments == sorted(moments)
    assert min(np.diff(moments)) >= SPACING_SECONDS
    assert moments[-1] == 9.9


def test_another_look_gets_newer_keyframes_and_the_snapshot_stays_the_best_of_all() -> None:
    shortlist = Shortlist()
    for number in range(10):
        shortlist.consider(frame(number / 2), [subject(0.9)])
    shortlist.renew()
    assert shortlist.keyframes()  # nothing newer yet: better the best of before than none
    for number in range(20, 24):
        shortlist.consider(frame(number / 2), [subject(0.5)])
    assert [keyframe.at for keyframe in shortlist.keyframes()] == [10.0, 10.5, 11.0, 11.5]
    best = shortlist.best()
    assert best is not None
    assert best.at < 5.0


def test_the_full_picture_is_made_only_when_asked_for() -> None:
    made: list[float] = []

    def counting(at: float) -> Frame:
        def full() -> Image:
            made.append(at)
            return picture(1920, 1080)

        return Frame("front", 0, at, at, picture(), full)

    shortlist = Shortlist()
    for number in range(50):
        shortlist.consider(counting(float(number)), [subject(number / 50)])
    keyframes = shortlist.keyframes()
    assert made == []
    assert [k.image().shape for k in keyframes] == [(448, 812, 3)] * KEYFRAMES
    assert made == [46.0, 47.0, 48.0, 49.0]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (subject(0.9), subject(0.6)),
        (subject(), subject(box=(0.45, 0.5, 0.5, 0.6))),  # larger
        (subject(), subject(box=(0.0, 0.3, 0.2, 0.9))),  # not cut off by the side
        (subject(box=(0.4, 0.4, 0.6, 1.0)), subject(box=(0.8, 0.3, 1.0, 0.9))),  # the feet matter least
    ],
)
def test_a_good_view_is_sure_large_and_whole(better: Subject, worse: Subject) -> None:
    assert 1 >= view_score(better) > view_score(worse) > 0


@pytest.mark.parametrize("size", [(1080, 1920), (2160, 3840), (432, 768), (240, 320), (20, 20), (1000, 50)])
def test_pictures_keep_within_the_token_budget(size: tuple[int, int]) -> None:
    height, width = within_budget(np.zeros((*size, 3), np.uint8)).shape[:2]
    assert height % 28 == width % 28 == 0
    assert height * width <= MAX_PIXELS
    if min(size) > 200:
        assert abs(width / height - size[1] / size[0]) < 0.12


def test_of_two_views_that_are_alike_the_sharp_one_is_kept() -> None:
    dice = np.random.default_rng(0)
    sharp = dice.integers(0, 255, (360, 640, 3), np.uint8).astype(np.uint8)
    smeared = np.asarray(cv2.blur(sharp, (15, 1)), np.uint8)
    for order in ([smeared, sharp], [sharp, smeared]):
        shortlist = Shortlist()
        for number, image in enumerate(order):
            shortlist.consider(frame(number / 10, image=image), [subject()])
        best = shortlist.best()
        assert best is not None
        assert best.image is sharp
    assert 0.5 <= sharpness(smeared, (0.4, 0.3, 0.6, 0.9)) < sharpness(sharp, (0.4, 0.3, 0.6, 0.9)) <= 1.0
    assert sharpness(sharp, (0.4, 0.3, 0.4, 0.9)) == 0.5  # no area to judge


def test_a_moment_with_nobody_in_it_gives_a_picture_too() -> None:
    shortlist = Shortlist()
    shortlist.consider(frame(1.0), [])
    assert shortlist.best() is not None
    shortlist.consider(frame(2.0), [subject(0.5)])
    best = shortlist.best()
    assert best is not None
    assert best.at == 2.0


def test_a_small_subject_is_shown_closer_too() -> None:
    whole = picture(1920, 1080, value=0)
    whole[500:600, 900:950] = 255  # 50 by 100 pixels

    def full() -> Image:
        return whole

    tiny = subject(box=(900 / 1920, 500 / 1080, 950 / 1920, 600 / 1080))
    other = Subject(2, "person", 0.1, (0.1, 0.1, 0.2, 0.5), 1.0)
    shortlist = Shortlist()
    shortlist.consider(Frame("front", 0, 1.0, 1.0, picture(640, 360), full), [other, tiny])
    view, closer = shortlist.keyframes()
    assert view.region is None
    assert closer.region is not None
    assert closer.subjects == (tiny,)
    image = closer.image()
    assert image.shape == (196, 196, 3)
    assert 0.1 < (image > 128).mean() < 0.16  # an eighth of the square around it
    shortlist = Shortlist()
    shortlist.consider(frame(1.0), [subject()])
    assert [keyframe.region for keyframe in shortlist.keyframes()] == [None]


@pytest.mark.parametrize(
    "box", [(0.0, 0.0, 0.02, 0.05), (0.98, 0.9, 1.0, 1.0), (0.4, 0.1, 0.6, 1.0), (0.5, 0.5, 0.5, 0.5)]
)
def test_the_surroundings_stay_inside_the_picture(box: Box) -> None:
    x1, y1, x2, y2 = around(box, 16 / 9)
    assert -1e-9 <= x1 <= x2 <= 1 + 1e-9
    assert -1e-9 <= y1 <= y2 <= 1 + 1e-9
    assert x1 <= box[0] + 1e-9
    assert y2 >= box[3] - 1e-9
