"""First the eyes: the vision tower learns to say of each token of a picture what is there, which is a great many
lessons a picture. The head that says so is thrown away; the tower goes on as part of the whole.

Usage: python -m training.vision FOLDER [--steps N] [--batch N]
"""

from __future__ import annotations

import argparse
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader
from transformers import Qwen2_5_VLForConditionalGeneration

from training import windows
from training.checkpoint import Run, beside
from training.squares import KINDS, Squares

_LEARNING_RATE = 1.2e-3


def train(folder: Path, steps: int, count: int) -> None:
    """Train the tower of the model in `folder`/qwen/start and leave it in `folder`/qwen/eyes; goes on where it was."""
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder / "qwen" / "start", dtype=torch.float32)
    tower, head = model.model.visual, torch.nn.Linear(model.config.text_config.hidden_size, len(KINDS) + 2)
    windows.together(tower)
    parts = torch.nn.ModuleDict({"tower": tower, "head": head})
    run = Run(folder / "qwen" / "eyes.pt", parts, _LEARNING_RATE, steps)
    loader = iter(
        DataLoader(
            Squares("train", count, run.step), batch_size=None, num_workers=1, prefetch_factor=4, worker_init_fn=beside
        )
    )
    held = list(islice(Squares("val", count, 0), 12))
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
