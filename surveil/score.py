"""How a VLM did on labelled samples: what it would have raised, how sure it was of it, how long it took.

What it leaves unanswered counts against it, but for false alarms, calibration and latency, which are of its answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from surveil.messages import Answer, Assessment, Level, Risk
from surveil.samples import LEVELS, Sample

BINS = 10
FAILED = "failed"
_HEADINGS = ("answers", "recall", "false\nalarms", "level\nright", "Brier", "ECE", "p50\ns", "p95\ns", "flags")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one sample."""

    sample: Sample
    assessment: Assessment

    @property
    def answer(self) -> Answer | None:
        """What the model said; None where it gave no answer."""
        return self.assessment.answer

    @property
    def said(self) -> Level | None:
        """The level that the model's score comes to; None where it gave no answer."""
        return None if self.answer is None else Risk.of(Level.none, self.answer.score).level

    @property
    def right(self) -> bool:
        """Whether it said just the level that was expected."""
        return self.said == self.sample.expected

    @property
    def confidence(self) -> float:
        """How sure the model was, 0 to 1; 0 where it gave no answer."""
        return 0.0 if self.answer is None else self.answer.confidence

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values."""
        answer, said = self.answer, self.said
        return {
            "sample": self.sample.name,
            "expected": self.sample.expected.name,
            "said": None if said is None else said.name,
            "score": None if answer is None else answer.score,
            "confidence": None if answer is None else answer.confidence,
            "summary": None if answer is None else answer.summary,
            "flags": [] if answer is None else list(answer.flags),
            "error": self.assessment.error,
            "latency_ms": self.assessment.latency_ms,
        }


@dataclass(frozen=True, slots=True)
class Bin:
    """The answers whose confidence is from `begin` up to `end`: how many, how sure, how many of them right (0 to 1)."""

    begin: float
    end: float
    answers: int
    confidence: float
    right: float


@dataclass(frozen=True, slots=True)
class Score:
    """How a backend did; all shares are 0 to 1, and None where there is nothing to take them from.

    `unreadable` says of each sample that could not be shown why; those are in no figure.
    """

    backend: str
    model: str
    detector: str
    notify_at: Level
    outcomes: tuple[Outcome, ...]
    unreadable: tuple[str, ...] = ()

    @property
    def answered(self) -> tuple[Outcome, ...]:
        """The samples that it gave an answer to."""
        return tuple(outcome for outcome in self.outcomes if outcome.said is not None)

    @property
    def recall(self) -> float | None:
        """Of the samples at or above `notify_at`, the share that was said to be."""
        return _share(self._raised(outcome) for outcome in self.outcomes if self._matters(outcome))

    @property
    def false_alarm_rate(self) -> float | None:
        """Of the answers about samples below `notify_at`, the share that said they were at or above it."""
        return _share(self._raised(outcome) for outcome in self.answered if not self._matters(outcome))

    @property
    def level_accuracy(self) -> float | None:
        """The share of samples whose level was said exactly."""
        return _share(outcome.right for outcome in self.outcomes)

    def _matters(self, outcome: Outcome) -> bool:
        return outcome.sample.expected >= self.notify_at

    def _raised(self, outcome: Outcome) -> bool:
        return outcome.said is not None and outcome.said >= self.notify_at

    @property
    def brier(self) -> float | None:
        """The mean squared difference between confidence and being right (Brier 1950): 0 is best, 1 worst."""
        return _mean((of.confidence - of.right) ** 2 for of in self.answered) if self.answered else None

    @property
    def ece(self) -> float | None:
        """The expected calibration error: how far confidence is from the share that is right, on average of the bins
        by their number of answers (Naeini, Cooper and Hauskrecht, Obtaining well calibrated probabilities using
        Bayesian binning, AAAI 2015, with its ten bins of equal width)."""
        number = len(self.answered)
        apart = sum(of.answers / number * abs(of.right - of.confidence) for of in self.bins())
        return round(apart, 4) if number else None

    def bins(self) -> list[Bin]:
        """Return the answers by their confidence; a bin without any is left out."""
        binned: dict[int, list[Outcome]] = {}
        for outcome in self.answered:
            binned.setdefault(min(int(outcome.confidence * BINS), BINS - 1), []).append(outcome)
        return [
            Bin(
                begin=number / BINS,
                end=(number + 1) / BINS,
                answers=len(outcomes),
                confidence=_mean(outcome.confidence for outcome in outcomes),
                right=_mean(outcome.right for outcome in outcomes),
            )
            for number, outcomes in sorted(binned.items())
        ]

    @property
    def seconds(self) -> list[float]:
        """How long each answer took."""
        return [(outcome.assessment.latency_ms or 0) / 1000 for outcome in self.answered]

    @property
    def latency(self) -> dict[str, float] | None:
        """p50 and p95 of the seconds that answers took."""
        if not self.answered:
            return None
        p50, p95 = np.percentile(self.seconds, [50, 95])
        return {"p50": round(float(p50), 3), "p95": round(float(p95), 3)}

    @property
    def flags(self) -> dict[str, int]:
        """How often each doubt about an answer was told."""
        counted = Counter(flag for outcome in self.answered if outcome.answer for flag in outcome.answer.flags)
        return dict(counted.most_common())

    @property
    def confusion(self) -> dict[str, dict[str, int]]:
        """How many samples of each expected level were said to be of which; `failed` where nothing was said."""
        said = [*(level.name for level in LEVELS), FAILED]
        table = {level.name: dict.fromkeys(said, 0) for level in LEVELS}
        for outcome in self.outcomes:
            table[outcome.sample.expected.name][FAILED if outcome.said is None else outcome.said.name] += 1
        return table

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values."""
        return {
            "backend": self.backend,
            "model": self.model,
            "detector": self.detector,
            "notify_risk": self.notify_at.name,
            "samples": len(self.outcomes),
            "answered": len(self.answered),
            "failed": len(self.outcomes) - len(self.answered),
            "recall": self.recall,
            "false_alarm_rate": self.false_alarm_rate,
            "level_accuracy": self.level_accuracy,
            "brier": self.brier,
            "ece": self.ece,
            "latency_s": self.latency,
            "flags": self.flags,
            "confusion": self.confusion,
            "reliability": [asdict(of) for of in self.bins()],
            "unreadable": list(self.unreadable),
            "outcomes": [outcome.as_dict() for outcome in self.outcomes],
        }


def _share(hits: Iterable[bool]) -> float | None:
    counted = list(hits)
    return _mean(counted) if counted else None


def _mean(values: Iterable[float]) -> float:
    return round(float(np.mean(list(values))), 4)


def table(scores: Sequence[Score]) -> Table:
    """Return the scores as a table for people, one row a backend, and below it which model each of them is."""
    shown = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, caption_justify="left")
    shown.caption = "\n".join(f"{_short(score)}: {score.model}; {score.detector}" for score in scores)
    shown.add_column("backend", overflow="fold")
    for heading in _HEADINGS:
        shown.add_column(heading, justify="right", no_wrap=True)
    for score in scores:
        latency = score.latency or {}
        shown.add_row(
            _short(score),
            f"{len(score.answered)}/{len(score.outcomes)}",
            *(_percent(share) for share in (score.recall, score.false_alarm_rate, score.level_accuracy)),
            *("-" if value is None else f"{value:.3f}" for value in (score.brier, score.ece)),
            *(f"{latency[name]:.2f}" if latency else "-" for name in ("p50", "p95")),
            str(sum(score.flags.values())),
        )
    return shown


def _short(score: Score) -> str:
    return Path(score.backend).name


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"
