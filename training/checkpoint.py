"""One training run that can be cut off at any time: its step, its schedule, and its file."""

from __future__ import annotations

import math
import time
from collections import deque
from pathlib import Path
from typing import Any

import cv2
import torch

_WARM_UP = 100
_SAVE_SECONDS = 60.0


def beside(_worker: int) -> None:
    """Begin a worker that makes batches beside the training: one thread is its share."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


class Run:
    """Steps of AdamW on a cosine, kept in one file every minute and at the end."""

    def __init__(self, path: Path, module: Any, rate: float, steps: int) -> None:
        self.step = 0
        self._path, self._module, self._rate, self._steps = path, module, rate, steps
        own = [parameter for parameter in module.parameters() if parameter.requires_grad]
        self._optimizer = torch.optim.AdamW(own, lr=rate, betas=(0.9, 0.98), weight_decay=0.02)
        self._losses: deque[float] = deque(maxlen=200)
        self._saved = self._began = time.monotonic()
        self._first = 0
        if path.exists():
            kept = torch.load(path, weights_only=True)
            module.load_state_dict(kept["module"])
            self._optimizer.load_state_dict(kept["optimizer"])
            self.step = self._first = int(kept["step"])

    def learn(self, loss: torch.Tensor) -> None:
        """Take one step down a loss."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate * self._scale()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._module.parameters(), 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._losses.append(loss.item())
        self.step += 1
        if time.monotonic() - self._saved > _SAVE_SECONDS or self.step == self._steps:
            self.keep()

    def told(self) -> str:
        """Return how far it has come, in one line."""
        pace = (time.monotonic() - self._began) / max(1, self.step - self._first)
        loss = sum(self._losses) / max(1, len(self._losses))
        return f"step {self.step}/{self._steps} {pace:.2f} s a step, loss {loss:.4f}"

    def _scale(self) -> float:
        if self.step < _WARM_UP:
            return (self.step + 1) / _WARM_UP
        return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, self.step / self._steps)))

    def keep(self) -> None:
        """Write all that it takes to go on."""
        cut = self._path.with_suffix(".part")
        kept = {"module": self._module.state_dict(), "optimizer": self._optimizer.state_dict(), "step": self.step}
        torch.save(kept, cut)
        cut.rename(self._path)
        self._saved = time.monotonic()
