"""What a VLM is to the assessor: questions in, texts out, whether it lives in this box or on a server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from surveil.interfaces import AssessorError
from surveil.messages import Image

Shape = Literal["answer", "view"]
"""Which of `answer.SHAPES` a text must have."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One question, complete: it can be asked by another process or on another machine.

    `system` is the same for all questions of one kind and comes first, then the pictures (blue first, sides multiples
    of 28, the oldest first), then `text`: so what a model has read of the beginning can be reused. `refused` is an
    earlier text of the model's and what was wrong with it. No answer is wanted after monotonic `deadline_at`.
    """

    system: str
    pictures: tuple[Image, ...]
    text: str
    shape: Shape
    deadline_at: float
    refused: tuple[str, str] | None = None


def complaint(why: str) -> str:
    """Return what a model is told whose answer was refused."""
    return f"That was refused: {why}. Answer again, with the JSON object alone."


Said = str | AssessorError
"""What came of one question: the model's text, or why there is none."""


class Vlm(Protocol):
    """A model that looks at pictures. Asked from the assessment stage's event loop."""

    batch: int
    """How many questions it answers in one go."""
    depth: int
    """How many goes may be under way at a time."""

    @property
    def fault(self) -> str | None:
        """What keeps it from answering now, for people; None when nothing is known to."""

    async def start(self) -> str:
        """Load or connect; return the model's name. Raises AssessorError."""

    async def say(self, questions: Sequence[Question]) -> list[Said]:
        """Return what came of each question, in their order; raises nothing of the model's."""

    async def close(self) -> None:
        """Let go of the model; nothing of it keeps running."""
