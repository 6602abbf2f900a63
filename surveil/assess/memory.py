"""Whether a VLM fits this box: what its weights, its work and the detector need of the graphics card's memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Precision = Literal["none", "nf4"]
"""How the weights are kept: `none` in half precision, `nf4` in four bits (Dettmers et al., QLoRA, 2023)."""
PRECISIONS: tuple[Precision, ...] = ("none", "nf4")

WEIGHTS_7B_GB = 16.6
"""Qwen2.5-VL-7B's 8.3 billion parameters in half precision; what a model is taken for that is not on this machine."""
WORK_SHARE = 0.144
"""What answering needs beside half-precision weights: cache, activations of pictures, the allocator's loss. With it and
the detector's share the 7B model wants the 20 GB from which the contract takes it as it is."""
NF4_SHARE = 0.48
"""What weights and work come to in nf4, as a share of the half-precision weights: the language layers shrink to 0.26 of
theirs (four bits, and a scale for each 64), vision tower, embedding and head stay. 7B wants the contract's 9 GB."""
DETECTOR_GB = 1.0
"""What is left to the detector, which is loaded already, to grow by."""
QUESTION_GB = 0.4
"""What one more question in a batch needs: cache of some 2,500 tokens (57 kB each) and activations of its pictures."""
LARGEST_BATCH = 16


@dataclass(frozen=True, slots=True)
class Fit:
    """The sum: what is there, what each way of keeping the weights needs, and which one it will be."""

    free_gb: float
    ceiling_gb: float
    weights_gb: float
    wanted: Literal["auto", "none", "nf4"]
    precision: Precision | None
    """None where nothing that is wanted fits."""

    @property
    def smallest(self) -> Precision:
        """The smallest way of keeping the weights that is wanted."""
        return "none" if self.wanted == "none" else "nf4"

    @property
    def needed_gb(self) -> float:
        """What the chosen precision needs, or the smallest that is wanted where none fits."""
        return needed(self.weights_gb, self.precision or self.smallest)

    @property
    def batch(self) -> int:
        """How many questions fit beside the weights at a time."""
        return 1 + max(0, min(LARGEST_BATCH - 1, int((self.ceiling_gb - self.needed_gb) / QUESTION_GB)))

    def line(self) -> str:
        """Return the sum for people."""
        have = f"{self.free_gb:.1f} GB of GPU memory are free, {self.ceiling_gb:.1f} of them for the VLM"
        if self.precision is None and self.wanted == "none":
            small = needed(self.weights_gb, "nf4")
            return f"{have}, and it needs {self.needed_gb:.1f} in half precision (quantize: auto: {small:.1f} in nf4)"
        if self.precision is None:
            return f"{have}, and it needs {self.needed_gb:.1f} even in nf4"
        kind = "half precision" if self.precision == "none" else "nf4"
        return f"{have}; in {kind} it needs {self.needed_gb:.1f}"


def needed(weights_gb: float, precision: Precision) -> float:
    """Return the gigabytes that a model needs whose half-precision weights have `weights_gb`."""
    return weights_gb * ((1 + WORK_SHARE) if precision == "none" else NF4_SHARE)


def fit(
    free_gb: float, weights_gb: float, wanted: Literal["auto", "none", "nf4"], ceiling_gb: float | None = None
) -> Fit:
    """Return how a model fits into `free_gb` of free memory; `ceiling_gb` is the most that it may take."""
    ceiling = free_gb - DETECTOR_GB
    if ceiling_gb is not None:
        ceiling = min(ceiling, ceiling_gb)
    ways = PRECISIONS if wanted == "auto" else (wanted,)
    precision = next((way for way in ways if needed(weights_gb, way) <= ceiling), None)
    return Fit(free_gb, max(0.0, ceiling), weights_gb, wanted, precision)
