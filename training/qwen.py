"""Trains the demo's Qwen2.5-VL on the yard with the daemon's own prompts, and measures it through the daemon's code.

Usage: python -m training.qwen train FOLDER [--steps N] [--tokens N]    goes on where it was cut off
       python -m training.qwen measure FOLDER [MODEL] [--sets N] [--pairs N]          on held-out yards and people
       python -m training.qwen publish FOLDER MODEL                                   as a folder to load
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration

from training import reading, shards, small_qwen, windows
from training.checkpoint import Run, beside
from training.lessons import Batch, Lessons, Plan, Teacher
from training.measuring import measured
from training.vision import train as train_eyes

_READING_SHARE = 0.75
_SHORT_SHARE = 0.6
"""Of the steps, so many are with sets of few pictures, which show as much at a third of the cost."""
EYE_STEPS, STEPS = 3500, 2000


def prepare(folder: Path, sets: int) -> None:
    """Draw the keyframe sets and build the untrained model, where that has not been done yet."""
    shards.write(folder / "sets", "val", 100)
    shards.write(folder / "sets", "train", sets)
    if not (folder / "qwen" / "start").exists():
        small_qwen.build(folder / "qwen" / "start", shards.read(folder / "sets", "val"))


@dataclass(frozen=True, slots=True)
class Stage:
    """One of the two in which the whole learns: from which model to which, with how many steps of how many tokens."""

    before: str
    name: str
    steps: int
    tokens: int
    rate: float
    eyes_open: bool


def stages(steps: int, tokens: int) -> tuple[Stage, Stage]:
    """Return the two stages: the language model learns to read what the tower says, then both learn together."""
    return (
        Stage("eyes", "reading", int(_READING_SHARE * steps), tokens, 1e-3, eyes_open=False),
        Stage("reading", "whole", steps - int(_READING_SHARE * steps), tokens, 6e-4, eyes_open=True),
    )


def train(folder: Path, stage: Stage) -> None:
    """Train one stage to its end; goes on where it was cut off, and passes over what is complete."""
    if (folder / "qwen" / stage.name).exists():
        return
    processor = AutoProcessor.from_pretrained(folder / "qwen" / "start")
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder / "qwen" / stage.before, dtype=torch.float32)
    model.model.visual.requires_grad_(stage.eyes_open)
    windows.together(model.model.visual)
    run = Run(folder / "qwen" / f"{stage.name}.pt", model, stage.rate, stage.steps)
    plan = Plan(stage.tokens, run.step, int(_SHORT_SHARE * stage.steps))
    teacher = Teacher(processor)
    loader = _seen(folder, processor, plan) if stage.eyes_open else _read(folder, processor, plan, model)
    held = [teacher.lesson(one) for one in shards.load(folder / "sets" / "val" / "000000.pickle")]
    while run.step < stage.steps:
        run.learn(_loss(model, next(loader), teacher.image))
        if run.step % 100 == 0 or run.step == stage.steps:
            print(f"{stage.name}: {run.told()} {_digits_right(model, teacher, held)}", flush=True)
    model.save_pretrained(folder / "qwen" / stage.name)
    processor.save_pretrained(folder / "qwen" / stage.name)


def _seen(folder: Path, processor: Any, plan: Plan) -> Iterator[Batch]:
    lessons = Lessons(folder / "sets", processor, plan)
    return iter(DataLoader(lessons, batch_size=None, num_workers=1, prefetch_factor=4, worker_init_fn=beside))


def _read(folder: Path, processor: Any, plan: Plan, model: Any) -> Iterator[Batch]:
    return reading.batches(reading.looked(folder, processor, model.model.visual), Teacher(processor), plan)


def _said(model: Any, batch: Batch, image: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the logits at the places where an answer goes on, the tokens that are right there, and their weights."""
    inner = model.model
    with torch.autocast("cpu", torch.bfloat16):
        embedded = inner.language_model.embed_tokens(batch.ids)
        looked = batch.looked
        if looked is None:
            looked = inner.visual(batch.pixels, grid_thw=batch.grids).pooler_output
        embedded = embedded.masked_scatter((batch.ids == image)[..., None], looked.to(embedded.dtype))
        # Padded at the end and looked at from before only, so that no mask is needed.
        hidden = inner.language_model(inputs_embeds=embedded, position_ids=batch.positions, use_cache=False)
        there = batch.weights[:, 1:] > 0
        logits = model.lm_head(hidden.last_hidden_state[:, :-1][there])
    return logits.float(), batch.ids[:, 1:][there], batch.weights[:, 1:][there]


def _loss(model: Any, batch: Batch, image: int) -> torch.Tensor:
    logits, right, weights = _said(model, batch, image)
    losses = torch.nn.functional.cross_entropy(logits, right, reduction="none")
    return (losses * weights).sum() / weights.sum()


@torch.inference_mode()  # type: ignore[untyped-decorator]
def _digits_right(model: Any, teacher: Teacher, held: list[Any]) -> str:
    """Return how often all digits of an answer are right, given those before: a quick look, no measurement."""
    scores, digits = [], []
    for first in range(0, len(held), 10):
        for lesson in held[first : first + 10]:
            logits, right, weights = _said(model, teacher.batch([lesson]), teacher.image)
            hit = logits.argmax(dim=1) == right
            scores.append(bool(hit[1]))
            digits.append(bool(hit[weights > 1].all()))
    return f"levels {sum(scores) / len(scores):.2f} all digits {sum(digits) / len(digits):.2f}"


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "measure", "publish"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--eye-steps", type=int, default=EYE_STEPS)
    parser.add_argument("--tokens", type=int, default=12_000)
    parser.add_argument("--train-sets", type=int, default=7500)
    parser.add_argument("--sets", type=int, default=500)
    parser.add_argument("--pairs", type=int, default=100)
    told = parser.parse_args()
    torch.set_num_threads(2)
    began = time.monotonic()
    model = told.model or told.folder / "qwen" / "whole"
    if told.what == "train":
        prepare(told.folder, told.train_sets)
        train_eyes(told.folder, told.eye_steps, 32)
        for stage in stages(told.steps, told.tokens):
            train(told.folder, stage)
        print(f"trained for {time.monotonic() - began:.0f} s")
    elif told.what == "measure":
        print(json.dumps(asyncio.run(measured(model, told.sets, told.pairs))))
    else:
        Qwen2_5_VLForConditionalGeneration.from_pretrained(told.folder / "qwen" / "whole").save_pretrained(model)
        AutoProcessor.from_pretrained(told.folder / "qwen" / "whole").save_pretrained(model)


if __name__ == "__main__":
    main()
