"""How often the small Qwen2.5-VL is right, asked by the daemon's own assessor about yards and people it never saw."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from surveil.assess.answer import SecurityAnswer, read
from surveil.assess.assessor import Manner, VlmAssessor
from surveil.assess.qwen import QwenVlm, Residence
from surveil.assess.vlm import Question, Said
from surveil.clock import SystemClock
from surveil.interfaces import AssessorError
from surveil.messages import Answer, Level
from training.sets import KeyframeSet, Twist, keyframe_set, pair

_BATCH = 8
_PATIENCE = 600.0
"""Seconds that a batch may take: what is measured is whether it is right, not when."""
_PAIRS_FROM = 100_000
"""Pairs are numbered from here, so that none of them is one of the sets."""


class _Heard:
    """The daemon's Vlm, with an ear at the door: what the model said word for word."""

    def __init__(self, vlm: QwenVlm) -> None:
        self._vlm = vlm
        self.batch, self.depth = vlm.batch, vlm.depth
        self.first: list[Said] = []

    @property
    def fault(self) -> str | None:
        """What keeps it from answering now."""
        return self._vlm.fault

    async def start(self) -> str:
        """Load the model; return its name."""
        return await self._vlm.start()

    async def say(self, questions: Sequence[Question]) -> list[Said]:
        """Pass the questions on, and keep what is said first."""
        said = await self._vlm.say(questions)
        if questions and questions[0].shape == "answer" and questions[0].refused is None:
            self.first = list(said)
        return said

    async def close(self) -> None:
        """Let go of the model."""
        await self._vlm.close()


async def measured(model: Path, count: int, pairs: int) -> dict[str, Any]:
    """Return the shares that are right, of `count` sets and of `pairs` pairs of each twist."""
    heard = _Heard(QwenVlm(Residence(str(model), batch=_BATCH), SystemClock(), patience=_PATIENCE))
    assessor = VlmAssessor(heard, Manner(), SystemClock())
    name = await assessor.start()
    began = time.monotonic()
    try:
        tally = Counter[str]()
        for first in range(0, count, _BATCH):
            sets = [keyframe_set("held_out", number) for number in range(first, min(first + _BATCH, count))]
            tally += await _asked(assessor, heard, sets)
        told = {key: round(tally[key] / max(1, count), 4) for key in ("valid", "level", "people")}
        each = {twist: await _pairs_right(assessor, heard, twist, pairs) for twist in get_args(Twist)}
    finally:
        await assessor.close()
    size = sum(file.stat().st_size for file in model.iterdir() if file.suffix == ".safetensors")
    seconds = round(time.monotonic() - began)
    return {"model": name, "bytes": size, "sets": count, **told, "pairs": pairs, **each, "seconds": seconds}


async def _asked(assessor: VlmAssessor, heard: _Heard, sets: Sequence[KeyframeSet]) -> Counter[str]:
    """Return how many of the answers are valid at once, and right in their level and in their number of people."""
    until = time.monotonic() + _PATIENCE
    outcomes: dict[str, Answer | AssessorError] = {}
    heard.first = []
    requests = [replace(one.request, incident=str(at), deadline_at=until) for at, one in enumerate(sets)]
    await assessor.assess(requests, lambda request, outcome: outcomes.update({request.incident: outcome}))
    tally = Counter[str]()
    for at, (one, text) in enumerate(zip(sets, heard.first, strict=True)):
        outcome = outcomes[str(at)]
        if isinstance(outcome, AssessorError) or isinstance(text, AssessorError):
            continue
        try:
            said = read(text, SecurityAnswer)
        except AssessorError:
            continue
        tally["valid"] += 1
        tally["level"] += Level.of(outcome.score) == Level.of(one.right.score)
        tally["people"] += _people(said.seen) == one.right.counts.get("person", 0)
    return tally


def _people(seen: Sequence[str]) -> int:
    return sum(int(entry.split()[0]) for entry in seen if entry.split()[1] == "person")


async def _pairs_right(assessor: VlmAssessor, heard: _Heard, twist: Twist, count: int) -> float:
    """Return the share of pairs of which both answers have the right level."""
    right = 0
    for number in range(_PAIRS_FROM, _PAIRS_FROM + count):
        tally = await _asked(assessor, heard, pair("held_out", number, twist))
        right += tally["level"] == 2
    return round(right / max(1, count), 4)
