"""Keyframe sets as the language model learns from them: the daemon's own conversation, and the answer to be given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset

from surveil.assess import prompt
from surveil.assess.marks import marked
from surveil.assess.vlm import Question
from surveil.messages import Image
from training import patches, shards
from training.answers import answer, view_answer
from training.sets import KeyframeSet

_PAD = "<|image_pad|>"
_POOL = 96
_SHORT = 2
_VIEWS = 0.2
"""So often a set is asked from one more angle instead of for its first answer."""
DIGIT_WEIGHT = 4.0
"""A score and a count are all in their digits, which are few among the tokens of an answer."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """One conversation: `ids` and `weights` (n,), 0 but for the answer, `positions` (3, n), and its pictures."""

    ids: NDArray[np.int64]
    weights: NDArray[np.float32]
    positions: NDArray[np.int64]
    pictures: tuple[Image, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """Lessons of about one length, padded at their ends: `ids` and `weights` (b, n), `positions` (3, b, n).

    Their pictures are there as `pixels` and `grids`, or as `looked`: what the tower says of them, (tokens, size).
    """

    ids: torch.Tensor
    weights: torch.Tensor
    positions: torch.Tensor
    pixels: torch.Tensor | None = None
    grids: torch.Tensor | None = None
    looked: torch.Tensor | None = None


def question(one: KeyframeSet, angle: str | None) -> Question:
    """Return what the daemon would ask about a set; `angle` names a further view."""
    known = prompt.numbers(one.request.keyframes)
    pictures = tuple(marked(view, known) for view in one.request.keyframes)
    asked = prompt.question(one.request, "en")
    if angle is None:
        return Question(prompt.system(None), pictures, asked, "answer", one.request.deadline_at)
    return Question(prompt.view_system(None), pictures, prompt.view(angle, asked), "view", one.request.deadline_at)


class Teacher:
    """Makes lessons in one tokenizer's tokens."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor
        self._tokenizer = processor.tokenizer
        self.pad, self.image = (self._tokenizer.convert_tokens_to_ids(name) for name in ("<|endoftext|>", _PAD))
        self._digits = np.isin(
            np.arange(len(self._tokenizer)), [self._tokenizer.convert_tokens_to_ids(digit) for digit in "0123456789"]
        )

    def lesson(self, one: KeyframeSet, angle: str | None = None) -> Lesson:
        """Return one set as a lesson."""
        from surveil.assess.qwen_model import _conversation

        asked = question(one, angle)
        text = _conversation(self._processor, asked)
        for picture in asked.pictures:
            height, width = picture.shape[:2]
            count = (height // patches.CELL) * (width // patches.CELL)
            text = text.replace(_PAD, "\0" * count, 1)
        said = answer(one.right) if angle is None else view_answer(one.right, angle)
        before = self._tokens(text.replace("\0", _PAD))
        after = self._tokens(f"{said}<|im_end|>")
        ids = np.array([*before, *after], np.int64)
        weights = np.zeros(len(ids), np.float32)
        weights[len(before) :] = np.where(self._digits[ids[len(before) :]], DIGIT_WEIGHT, 1.0)
        return Lesson(ids, weights, self._positions(ids, asked.pictures), asked.pictures)

    def _tokens(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _positions(self, ids: NDArray[np.int64], pictures: tuple[Image, ...]) -> NDArray[np.int64]:
        """Return each token's place in time, height and width, as Qwen2.5-VL counts them."""
        positions = np.zeros((3, len(ids)), np.int64)
        at, following = 0, 0
        for picture in pictures:
            start = at + int(np.argmax(ids[at:] == self.image))
            positions[:, at:start] = following + np.arange(start - at)
            following += start - at
            rows, columns = (side // patches.CELL for side in picture.shape[:2])
            end = start + rows * columns
            grid = np.indices((1, rows, columns)).reshape(3, -1)
            positions[:, start:end] = following + grid
            at, following = end, following + max(rows, columns)
        positions[:, at:] = following + np.arange(len(ids) - at)
        return positions

    def batch(self, lessons: list[Lesson]) -> Batch:
        """Return lessons as one batch."""
        longest = max(len(lesson.ids) for lesson in lessons)
        ids = np.full((len(lessons), longest), self.pad, np.int64)
        weights = np.zeros((len(lessons), longest), np.float32)
        positions = np.zeros((3, len(lessons), longest), np.int64)
        for row, lesson in enumerate(lessons):
            length = len(lesson.ids)
            ids[row, :length], weights[row, :length] = lesson.ids, lesson.weights
            positions[:, row, :length] = lesson.positions
        told, heavy, placed = (torch.from_numpy(array) for array in (ids, weights, positions))
        pictures = [picture for lesson in lessons for picture in lesson.pictures]
        return Batch(told, heavy, placed, *(patches.batch(pictures) if pictures else ()))


@dataclass(frozen=True, slots=True)
class Plan:
    """How lessons are given: batches of at most `tokens`, from the `first` on.

    Before batch `short_until` only sets of one or two pictures are shown: they teach nearly as much, at a third of the
    cost.
    """

    tokens: int
    first: int
    short_until: int


class Lessons(IterableDataset[Batch]):  # type: ignore[misc]  # torch is untyped to us
    """Endless batches of lessons of about one length."""

    def __init__(self, folder: Path, processor: Any, plan: Plan) -> None:
        self._folder, self._teacher, self._plan = folder, Teacher(processor), plan

    def __iter__(self) -> Iterator[Batch]:
        dice = np.random.default_rng([self._plan.first, 13])
        pool: list[Lesson] = []
        given = self._plan.first
        for one in self._sets(dice):
            if given < self._plan.short_until and len(one.request.keyframes) > _SHORT:
                continue
            angle = list(prompt.VIEWS)[dice.integers(len(prompt.VIEWS))] if dice.random() < _VIEWS else None
            pool.append(self._teacher.lesson(one, angle))
            if len(pool) == _POOL:
                pool.sort(key=lambda lesson: len(lesson.ids))
                cuts = list(self._cut(pool))
                for at in dice.permutation(len(cuts)):
                    yield self._teacher.batch(cuts[at])
                    given += 1
                pool = []

    def _cut(self, pool: list[Lesson]) -> Iterator[list[Lesson]]:
        chosen: list[Lesson] = []
        for lesson in pool:
            if chosen and (len(chosen) + 1) * len(lesson.ids) > self._plan.tokens:
                yield chosen
                chosen = []
            chosen.append(lesson)
        yield chosen

    def _sets(self, dice: np.random.Generator) -> Iterator[KeyframeSet]:
        while True:
            files = sorted((self._folder / "train").glob("*.pickle"))
            for at in dice.permutation(len(files)):
                sets = shards.load(files[at])
                yield from (sets[n] for n in dice.permutation(len(sets)))
