"""First the eyes: the vision tower learns to say of each token of a picture what is there, which is a great many
lessons a picture. The head that says so is thrown away; the tower goes on as part of the whole.

Usage: python -m training.vision FOLDER [--steps N] [--batch N]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, IterableDataset
from transformers import Qwen2_5_VLForConditionalGeneration

from surveil.assess.marks import marked
from surveil.assess.prompt import numbers
from surveil.demo.moment import Truth
from surveil.messages import Box, Image
from training import patches, shards
from training.checkpoint import Run, beside
from training.sets import KeyframeSet
from training.small_qwen import WINDOW

Labels = NDArray[np.int64]
KINDS = ("nothing", "walking", "standing", "running", "crouching", "meeting", "climbing", "parcel", "car", "dog")
_LEARNING_RATE = 1.5e-3
_CROPS = 3


def labels(truth: Truth, shape: tuple[int, int], region: Box | None) -> Labels:
    """Return what is at each token, int64 (rows, columns, 3): its kind, whether it is night, whether it is covered.

    `shape` is the picture's height and width in pixels, `region` the part of the whole that it shows.
    """
    rows, columns = shape[0] // patches.CELL, shape[1] // patches.CELL
    x1, y1, x2, y2 = region or (0.0, 0.0, 1.0, 1.0)
    told = np.zeros((rows, columns, 3), np.int64)
    told[..., 1], told[..., 2] = truth.night, truth.covered
    for seen in sorted(truth.seen, key=lambda one: -one.thing.z):
        kind = seen.thing.activity if seen.thing.label == "person" else seen.thing.label
        left, right = ((x - x1) / (x2 - x1) * columns for x in (seen.box[0], seen.box[2]))
        top, bottom = ((y - y1) / (y2 - y1) * rows for y in (seen.box[1], seen.box[3]))
        # A token counts where at least its middle is inside; what is smaller than a token has the one it is in.
        across = slice(*_span(left, right, columns))
        down = slice(*_span(top, bottom, rows))
        told[down, across, 0] = KINDS.index(kind)
    return told


def _span(low: float, high: float, most: int) -> tuple[int, int]:
    first, last = round(max(0.0, low)), round(min(float(most), high))
    if last <= first:
        first = int(np.clip((low + high) / 2, 0, most - 1))
        last = first + 1 if 0 <= (low + high) / 2 < most else first
    return first, last


class Crops(IterableDataset[Any]):  # type: ignore[misc]  # torch is untyped to us
    """Endless batches of squares of the marked pictures, most of them with somebody in them."""

    def __init__(self, folder: Path, split: Literal["train", "val"], count: int, seed: int) -> None:
        self._folder, self._split, self._count, self._seed = folder, split, count, seed

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        dice = np.random.default_rng(self._seed)
        waiting: list[tuple[Image, Labels]] = []
        for one in self._sets(dice):
            waiting += self._crops(one, dice)
            while len(waiting) >= 3 * self._count:
                chosen = [waiting.pop(int(dice.integers(len(waiting)))) for _ in range(self._count)]
                pixels, grids = patches.batch([picture for picture, _ in chosen])
                yield pixels, grids, torch.from_numpy(np.concatenate([told.reshape(-1, 3) for _, told in chosen]))

    def _sets(self, dice: np.random.Generator) -> Iterator[KeyframeSet]:
        while True:
            files = sorted((self._folder / self._split).glob("*.pickle"))
            for at in dice.permutation(len(files)):
                yield from shards.load(files[at])

    def _crops(self, one: KeyframeSet, dice: np.random.Generator) -> Iterator[tuple[Image, Labels]]:
        known = numbers(one.request.keyframes)
        whole = {view.at: truth for view, truth in zip(one.request.keyframes, one.truths, strict=True) if truth}
        for view in one.request.keyframes:
            picture = marked(view, known)
            told = labels(whole[view.at], picture.shape[:2], view.region)
            for _ in range(1 if view.region else _CROPS):
                yield _crop(picture, told, dice)


def _crop(picture: Image, told: Labels, dice: np.random.Generator) -> tuple[Image, Labels]:
    """Return a square of a picture that the tower sees as one window: around something, four times of five."""
    size = WINDOW // patches.CELL
    rows, columns = told.shape[:2]
    there = np.argwhere(told[..., 0] > 0)
    if len(there) and dice.random() < 0.8:
        row, column = there[dice.integers(len(there))]
        top, left = row - dice.integers(size), column - dice.integers(size)
    else:
        top, left = dice.integers(max(1, rows - size + 1)), dice.integers(max(1, columns - size + 1))
    top, left = (int(np.clip(at, 0, max(0, most - size))) for at, most in ((top, rows), (left, columns)))
    part = told[top : top + size, left : left + size]
    y, x = top * patches.CELL, left * patches.CELL
    cut = picture[y : y + part.shape[0] * patches.CELL, x : x + part.shape[1] * patches.CELL]
    return np.ascontiguousarray(cut), np.ascontiguousarray(part)


def train(folder: Path, steps: int, count: int) -> None:
    """Train the tower of the model in `folder`/qwen/start and leave it in `folder`/qwen/eyes; goes on where it was."""
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder / "qwen" / "start", dtype=torch.float32)
    tower, head = model.model.visual, torch.nn.Linear(model.config.text_config.hidden_size, len(KINDS) + 2)
    parts = torch.nn.ModuleDict({"tower": tower, "head": head})
    run = Run(folder / "qwen" / "eyes.pt", parts, _LEARNING_RATE, steps)
    loader = iter(
        DataLoader(
            Crops(folder / "sets", "train", count, run.step), batch_size=None, num_workers=1, worker_init_fn=beside
        )
    )
    held = list(islice(Crops(folder / "sets", "val", count, 0), 6))
    while run.step < steps:
        pixels, grids, told = next(loader)
        with torch.autocast("cpu", torch.bfloat16):
            said = head(tower(pixels, grid_thw=grids).pooler_output)
        loss = _loss(said.float(), told)
        run.learn(loss)
        if run.step % 250 == 0 or run.step == steps:
            print(f"{run.told()} {_measured(parts, held)}", flush=True)
    model.save_pretrained(folder / "qwen" / "eyes")


def _loss(said: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
    weight = torch.ones(len(KINDS))
    weight[0] = 0.3
    kind = torch.nn.functional.cross_entropy(said[:, : len(KINDS)], told[:, 0], weight)
    light = torch.nn.functional.binary_cross_entropy_with_logits(said[:, len(KINDS) :], told[:, 1:].float())
    return kind + 0.3 * light


@torch.inference_mode()  # type: ignore[untyped-decorator]
def _measured(parts: Any, held: list[Any]) -> str:
    """Return by kind how often a token of it is told right, of those in which there is something."""
    right: dict[int, list[float]] = {}
    light = []
    for pixels, grids, told in held:
        with torch.autocast("cpu", torch.bfloat16):
            said = parts["head"](parts["tower"](pixels, grid_thw=grids).pooler_output).float()
        hit = said[:, : len(KINDS)].argmax(dim=1) == told[:, 0]
        for kind in range(len(KINDS)):
            right.setdefault(kind, []).extend(hit[told[:, 0] == kind].float().tolist())
        light.append(float(((said[:, len(KINDS) :] > 0) == told[:, 1:].bool()).float().mean()))
    shares = " ".join(f"{KINDS[kind]} {np.mean(of):.2f}" for kind, of in sorted(right.items()) if of)
    return f"light {np.mean(light):.3f} {shares}"


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=48)
    told = parser.parse_args()
    torch.set_num_threads(2)
    began = time.monotonic()
    train(told.folder, told.steps, told.batch)
    print(f"trained for {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
