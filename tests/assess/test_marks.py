from __future__ import annotations

import numpy as np

from surveil.assess.marks import marked
from surveil.messages import Box, Image, Keyframe, Subject
from surveil.testing import picture

GREY = 127


def subject(box: Box, track: int = 5) -> Subject:
    return Subject(track, "person", 0.9, box, 1.0)


def changed(image: Image) -> tuple[int, int, int, int]:
    """Return the bounds of what was drawn on a grey picture, x1 y1 x2 y2 in pixels."""
    rows, columns = np.nonzero((image != GREY).any(axis=2))
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


def test_a_box_and_a_number_are_drawn_where_the_subject_is_and_the_picture_itself_stays() -> None:
    original = picture(640, 360, GREY)
    image = marked(Keyframe(0.0, lambda: original, (subject((0.25, 0.25, 0.75, 0.75)),)), {5: 1})
    x1, y1, x2, y2 = changed(image)
    assert max(abs(x1 - 160), abs(x2 - 479), abs(y2 - 269)) <= 2  # the lines are smooth
    assert 60 <= y1 <= 90  # the number stands on the box
    assert (original == GREY).all()
    assert (image[150:260, 200:470] == GREY).all()  # nothing inside: what the subject does is to be seen


def test_numbers_differ_and_stay_inside_the_picture() -> None:
    corners: list[Box] = [(0.0, 0.0, 0.1, 0.1), (0.99, 0.0, 1.0, 0.2), (0.9, 0.99, 1.2, 1.4)]
    for box in corners:
        drawn = [marked(Keyframe(0.0, lambda: picture(640, 360, GREY), (subject(box),)), {5: n}) for n in (1, 2, 12)]
        assert not (drawn[0] == drawn[1]).all()
        assert not (drawn[1] == drawn[2]).all()


def test_a_closer_view_has_the_number_where_its_subject_is_and_no_box() -> None:
    region = (0.5, 0.0, 1.0, 1.0)
    keyframe = Keyframe(0.0, lambda: picture(400, 400, GREY), (subject((0.75, 0.5, 0.8, 0.6)),), region=region)
    x1, _, x2, y2 = changed(marked(keyframe, {5: 3}))
    assert 195 <= x1 <= 205  # three quarters of the whole are half of this part
    assert x2 - x1 < 40
    assert y2 <= 205


def test_a_picture_with_nobody_in_it_is_shown_as_it_is() -> None:
    assert (marked(Keyframe(0.0, lambda: picture(64, 64, GREY), ()), {}) == GREY).all()
