"""What the eyes learn from: squares of random pictures as the VLM gets them, and what is at each token of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset

from surveil.assess.marks import marked
from surveil.demo.moment import Activity, Moment, Seen, Thing, Truth
from surveil.messages import Box, Image, Keyframe, Subject
from training import patches, situations
from training.small_qwen import WINDOW

Labels = NDArray[np.int64]
KINDS = ("nothing", "passing", "upright", "running", "crouching", "climbing", "parcel", "car", "dog")
"""Of people what the risk depends on: on the footpath, or in the yard and how, or on the fence."""
_DOING: tuple[Activity, ...] = ("walking", "standing", "running", "running", "crouching", "crouching")
_A_FRAME = 4
_PAGE = 812 / 960
"""How much smaller a whole keyframe is than the camera's picture."""


def labels(truth: Truth, shape: tuple[int, int], region: Box | None) -> Labels:
    """Return what is at each token, int64 (rows, columns, 3): its kind, whether it is night, whether it is covered.

    `shape` is the picture's height and width in pixels, `region` the part of the whole that it shows.
    """
    rows, columns = shape[0] // patches.CELL, shape[1] // patches.CELL
    x1, y1, x2, y2 = region or (0.0, 0.0, 1.0, 1.0)
    told = np.zeros((rows, columns, 3), np.int64)
    told[..., 1], told[..., 2] = truth.night, truth.covered
    for seen in sorted(truth.seen, key=lambda one: -one.thing.z):
        left, right = ((x - x1) / (x2 - x1) * columns for x in (seen.box[0], seen.box[2]))
        top, bottom = ((y - y1) / (y2 - y1) * rows for y in (seen.box[1], seen.box[3]))
        # A token counts where at least its middle is inside; what is smaller than a token has the one it is in.
        across = slice(*_span(left, right, columns))
        down = slice(*_span(top, bottom, rows))
        told[down, across, 0] = KINDS.index(_kind(seen))
    return told


def _kind(seen: Seen) -> str:
    thing = seen.thing
    if thing.label != "person":
        return thing.label
    if seen.place != "yard":
        return "climbing" if seen.place == "fence" else "passing"
    return thing.activity if thing.activity in {"running", "crouching"} else "upright"


def _span(low: float, high: float, most: int) -> tuple[int, int]:
    first, last = round(max(0.0, low)), round(min(float(most), high))
    if last <= first:
        first = int(np.clip((low + high) / 2, 0, most - 1))
        last = first + 1 if 0 <= (low + high) / 2 < most else first
    return first, last


class Squares(IterableDataset[Any]):  # type: ignore[misc]  # torch is untyped to us
    """Endless batches of `count` squares that the tower sees as one window each, drawn as they are needed.

    Each batch is the patches, their grids, and what is at each token, int64 (tokens, 3).
    """

    def __init__(self, split: Literal["train", "val"], count: int, first: int) -> None:
        self._split: Literal["train", "val"] = split
        self._count, self._first = count, first

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        waiting: list[tuple[Image, Labels]] = []
        for number in _numbers(self._first):
            waiting += _frame(self._split, number)
            while len(waiting) >= 3 * self._count:
                dice = np.random.default_rng([number, len(waiting)])
                chosen = [waiting.pop(int(dice.integers(len(waiting)))) for _ in range(self._count)]
                pixels, grids = patches.batch([picture for picture, _ in chosen])
                yield pixels, grids, torch.from_numpy(np.concatenate([told.reshape(-1, 3) for _, told in chosen]))


def _numbers(first: int) -> Iterator[int]:
    number = 10_000_000 + first * 1000  # apart from the keyframe sets' numbers
    while True:
        yield number
        number += 1


def _frame(split: Literal["train", "val"], number: int) -> list[tuple[Image, Labels]]:
    """Return squares of one picture, most of them with something in them."""
    dice = situations.dice_for(split, number)
    # One yard's pictures stand together, since a yard takes longer to make than its pictures.
    picture, truth = situations.scene(split, number // 40).picture(_situation(dice))
    scale = _PAGE if dice.random() < 0.5 else float(dice.uniform(0.75, 1.25))
    height, width = (round(side * scale) for side in picture.shape[:2])
    page = _numbered(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), truth, dice)
    return [_square(page, truth, dice) for _ in range(_A_FRAME)]


def _situation(dice: np.random.Generator) -> Moment:
    """Return more people than there are in the yard as a rule, and of each kind about as many."""
    there: list[Thing] = []
    for who in range(1, int(dice.integers(2, 6))):
        kind = dice.random()
        if kind < 0.27:
            there.append(situations.at_fence(dice, who))
        elif kind < 0.5:
            there.append(situations.on_path(dice, who, ("walking", "standing", "running")[dice.integers(3)]))
        elif kind < 0.56:
            there += (replace(one, who=one.who + 10 * who) for one in situations.meeting(dice, who))
        else:
            there.append(situations.in_yard(dice, who, _DOING[dice.integers(len(_DOING))]))
    covered = float(dice.uniform(0.85, 1)) if dice.random() < 0.03 else 0.0
    return Moment(situations.light(dice, dusk=0.05), (*situations.goods(dice, situations.FEW), *there), covered)


def _numbered(picture: Any, truth: Truth, dice: np.random.Generator) -> Image:
    """Return the picture with numbers on some of who is in it, as the daemon draws them."""
    subjects = tuple(
        Subject(one.thing.who, one.thing.label, 0.9, one.box, 1.0)
        for one in truth.seen
        if dice.random() < (0.7 if one.thing.label == "person" else 0.15)
    )
    numbers = {subject.track: int(dice.integers(1, 4)) for subject in subjects}
    # In a closer view there are no boxes, which would hide what it is about.
    region = (0.0, 0.0, 1.0, 1.0) if dice.random() < 0.3 else None
    return marked(Keyframe(0.0, lambda: np.asarray(picture, np.uint8), subjects, region=region), numbers)


def _square(page: Image, truth: Truth, dice: np.random.Generator) -> tuple[Image, Labels]:
    """Return a square around somebody, four times of five, and what is at its tokens."""
    height, width = page.shape[:2]
    people = truth.of("person") or truth.seen
    if people and dice.random() < 0.8:
        box = people[dice.integers(len(people))].box
        x, y = dice.uniform(box[0], box[2]) * width, dice.uniform(box[1], box[3]) * height
        left, top = x - dice.uniform(0.1, 0.9) * WINDOW, y - dice.uniform(0.1, 0.9) * WINDOW
    else:
        left, top = dice.uniform(0, width - WINDOW), dice.uniform(0, height - WINDOW)
    left, top = int(np.clip(left, 0, width - WINDOW)), int(np.clip(top, 0, height - WINDOW))
    region = (left / width, top / height, (left + WINDOW) / width, (top + WINDOW) / height)
    cut = np.ascontiguousarray(page[top : top + WINDOW, left : left + WINDOW])
    packed = cv2.imencode(".jpg", cut, [cv2.IMWRITE_JPEG_QUALITY, int(dice.integers(75, 96))])[1]
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8), labels(truth, (WINDOW, WINDOW), region)
