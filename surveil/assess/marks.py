"""The numbers of the prompt's list, drawn on the keyframes where the subjects are."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from surveil.messages import Box, Image, Keyframe

_COLOUR = (40, 220, 255)
_GROUND = (20, 20, 20)


def marked(keyframe: Keyframe, numbers: Mapping[int, int]) -> Image:
    """Return the keyframe's picture with a thin box and a number on each subject; `numbers` by track.

    In a closer view the subject fills the picture: it gets its number and no box, which would hide what it holds.
    """
    image = np.array(keyframe.image(), np.uint8)
    for subject in keyframe.subjects:
        left, top, right, bottom = _pixels(image, _within(subject.box, keyframe.region))
        if keyframe.region is None:
            cv2.rectangle(image, (left, top), (right, bottom), _COLOUR, 1, cv2.LINE_AA)
        _tag(image, str(numbers[subject.track]), left, top)
    return image


def _within(box: Box, region: Box | None) -> Box:
    """Return a box of the whole picture in fractions of the part of it that is shown."""
    if region is None:
        return box
    x1, y1, x2, y2 = region
    width, height = max(x2 - x1, 1e-6), max(y2 - y1, 1e-6)
    return (box[0] - x1) / width, (box[1] - y1) / height, (box[2] - x1) / width, (box[3] - y1) / height


def _pixels(image: Image, box: Box) -> tuple[int, int, int, int]:
    height, width = image.shape[:2]
    x1, x2 = (round(float(np.clip(x, 0, 1)) * (width - 1)) for x in (box[0], box[2]))
    y1, y2 = (round(float(np.clip(y, 0, 1)) * (height - 1)) for y in (box[1], box[3]))
    return x1, y1, x2, y2


def _tag(image: Image, text: str, left: int, top: int) -> None:
    """Write a number on a dark ground at a box's upper left corner, inside the picture."""
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.6, 2)
    left = min(left, image.shape[1] - width - 4)
    bottom = max(top, height + below + 4)
    cv2.rectangle(image, (left, bottom - height - below - 4), (left + width + 4, bottom), _GROUND, cv2.FILLED)
    cv2.putText(image, text, (left + 2, bottom - below), cv2.FONT_HERSHEY_SIMPLEX, 0.6, _COLOUR, 2, cv2.LINE_AA)
