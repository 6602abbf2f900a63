"""Figures of `surveil eval`, one a backend: is its confidence true, what is mistaken for what, how long it takes."""

from __future__ import annotations

import re
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from surveil.evaluation import unwritable
from surveil.samples import LEVELS
from surveil.score import BINS, FAILED, Score

_WIDTH, _HEIGHT, _DOTS = 15.0, 5.4, 110
_BLUE = "#3b6ea5"
_GREY = "#8a8a8a"
_LIGHT = "#c8d6e5"


class Plots:
    """Writes a figure for each score into a folder. Raises StorageError where it cannot be made or written to."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(folder, error) from None
        self._folder = folder
        self._drawn = 0

    def draw(self, score: Score) -> None:
        """Write one figure: reliability, confusion and latency side by side."""
        self._drawn += 1
        # A figure of its own instead of pyplot, which keeps a global state and asks for a screen: this one is Agg's.
        figure = Figure(figsize=(_WIDTH, _HEIGHT), dpi=_DOTS, layout="constrained")
        title = f"{score.backend}: {score.model}, samples: {len(score.outcomes)}"
        figure.suptitle(title, fontsize=13, parse_math=False)  # a $ in a file's name is no formula
        reliability, confusion, latency = figure.subplots(1, 3)
        _reliability(reliability, score)
        _confusion(confusion, score)
        _latency(latency, score)
        safe = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(score.backend).stem).strip("-")
        file = self._folder / f"{self._drawn}-{safe or 'backend'}.png"
        try:
            figure.savefig(file, format="png")
        except OSError as error:
            raise unwritable(file, error) from None


def _reliability(axes: Axes, score: Score) -> None:
    """Draw how many answers of each confidence are right, and how many answers that is."""
    bins = score.bins()
    axes.bar(
        [of.begin for of in bins], [of.right for of in bins], 1 / BINS, align="edge", color=_LIGHT, edgecolor=_BLUE,
        label="level right, of so many answers",
    )  # fmt: skip
    axes.plot([0, 1], [0, 1], "--", color=_GREY, linewidth=1, label="as sure as right")
    axes.plot([of.confidence for of in bins], [of.right for of in bins], "o", color=_BLUE, markersize=5)
    for of in bins:
        above = of.right < 0.9
        axes.annotate(
            str(of.answers), ((of.begin + of.end) / 2, of.right), (0, 7 if above else -7), textcoords="offset points",
            ha="center", va="bottom" if above else "top", fontsize=9,
        )  # fmt: skip
    told = "" if score.ece is None else f"\nECE {score.ece:.3f}, Brier {score.brier:.3f}"
    axes.set(title=f"Reliability{told}", xlabel="confidence", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1.02))
    axes.set_aspect("equal")
    if bins:
        axes.legend(loc="best", fontsize=9, framealpha=0.9)
    else:
        _nothing(axes)


def _confusion(axes: Axes, score: Score) -> None:
    """Draw how many samples of each expected level were said to be of which."""
    expected = [level.name for level in LEVELS]
    said = [*expected, FAILED]
    counts = [[score.confusion[row][column] for column in said] for row in expected]
    most = max(1, *(count for row in counts for count in row))
    axes.imshow(counts, cmap="Blues", vmin=0, vmax=most)
    for y, row in enumerate(counts):
        for x, count in enumerate(row):
            axes.text(x, y, str(count), ha="center", va="center", color="white" if count > most * 0.6 else "black")
    axes.set_xticks(range(len(said)), said)
    axes.set_yticks(range(len(expected)), expected)
    told = "" if score.level_accuracy is None else f"\nlevel right {100 * score.level_accuracy:.0f} %"
    axes.set(title=f"Confusion{told}", xlabel="said", ylabel="expected")


def _latency(axes: Axes, score: Score) -> None:
    """Draw how long the answers took."""
    axes.set(title="Latency", xlabel="seconds to the answer", ylabel="answers")
    latency = score.latency
    if latency is None:
        _nothing(axes)
        return
    axes.hist(score.seconds, bins="auto", color=_LIGHT, edgecolor=_BLUE)
    for name, style in (("p50", "-"), ("p95", "--")):
        axes.axvline(latency[name], color=_BLUE, linestyle=style, label=f"{name} {latency[name]:.2f} s")
    axes.set_xlim(left=0)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize=9)
    axes.set_title(f"Latency\nof answers: {len(score.answered)}")


def _nothing(axes: Axes) -> None:
    axes.text(
        0.5, 0.5, "no answers", transform=axes.transAxes, ha="center", va="center", color=_GREY, backgroundcolor="white"
    )
