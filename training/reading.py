"""Keyframe sets as the tower sees them, looked at once: what the language model learns to read with eyes shut."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from surveil.assess import prompt
from training import patches, shards
from training.checkpoint import beside
from training.lessons import Batch, Lesson, Plan, Teacher

_POOL = 96
_SHORT_TOKENS = 1100
_VIEWS = 0.15
"""So often a set is asked from one more angle instead of for its first answer."""


@dataclass(frozen=True, slots=True)
class Looked:
    """A set's two conversations, without their pictures, and what the tower says of these: (tokens, size), bfloat16."""

    first: Lesson
    view: Lesson
    seen: torch.Tensor


class _Shards(Dataset[Any]):  # type: ignore[misc]  # torch is untyped to us
    """Every set of the training part, a file at a time: its two lessons, and its pictures' patches and grids."""

    def __init__(self, folder: Path, processor: Any) -> None:
        self._files = sorted((folder / "sets" / "train").glob("*.pickle"))
        self._teacher = Teacher(processor)

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, at: int) -> list[tuple[Lesson, Lesson, torch.Tensor, torch.Tensor]]:
        dice = np.random.default_rng([at, 14])
        told = []
        for one in shards.load(self._files[at]):
            first = self._teacher.lesson(one)
            view = self._teacher.lesson(one, list(prompt.VIEWS)[dice.integers(len(prompt.VIEWS))])
            pixels, grids = patches.batch(first.pictures)
            told.append((replace(first, pictures=()), replace(view, pictures=()), pixels.bfloat16(), grids))
        return told


def looked(folder: Path, processor: Any, tower: Any) -> list[Looked]:
    """Let the tower look at every set of the training part; takes minutes, and two gigabytes of memory."""
    loader = DataLoader(
        _Shards(folder, processor), batch_size=None, num_workers=1, prefetch_factor=2, worker_init_fn=beside
    )
    found: list[Looked] = []
    for sets in loader:
        for begin in range(0, len(sets), 10):
            part = sets[begin : begin + 10]
            pixels, grids = (torch.cat([one[at] for one in part]) for at in (2, 3))
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
                said = tower(pixels.float(), grid_thw=grids).pooler_output.bfloat16().clone()
            counts = [len(one[2]) // patches.MERGE**2 for one in part]
            pieces = said.split(counts)
            found += [Looked(one[0], one[1], piece.clone()) for one, piece in zip(part, pieces, strict=True)]
    return found


def batches(sets: list[Looked], teacher: Teacher, plan: Plan) -> Iterator[Batch]:
    """Yield endless batches of lessons of about one length; those of few pictures alone until `plan.short_until`."""
    dice = np.random.default_rng([plan.first, 15])
    short = [one for one in sets if len(one.first.ids) <= _SHORT_TOKENS]
    given = plan.first
    while True:
        known = short if given < plan.short_until else sets
        pool = [known[at] for at in dice.choice(len(known), _POOL, replace=False)]
        chosen = [(one.view if dice.random() < _VIEWS else one.first, one.seen) for one in pool]
        chosen.sort(key=lambda lesson: len(lesson[0].ids))
        cuts = list(_cut(chosen, plan.tokens))
        for at in dice.permutation(len(cuts)):
            batch = teacher.batch([lesson for lesson, _ in cuts[at]])
            yield replace(batch, looked=torch.cat([seen for _, seen in cuts[at]]))
            given += 1


def _cut(chosen: list[tuple[Lesson, torch.Tensor]], tokens: int) -> Iterator[list[tuple[Lesson, torch.Tensor]]]:
    part: list[tuple[Lesson, torch.Tensor]] = []
    for lesson in chosen:
        if part and (len(part) + 1) * len(lesson[0].ids) > tokens:
            yield part
            part = []
        part.append(lesson)
    yield part
