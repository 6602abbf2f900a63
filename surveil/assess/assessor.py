"""From requests to answers: what a VLM is asked, what its texts are believed, and what becomes of them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal

from surveil.assess import prompt
from surveil.assess.answer import SecurityAnswer, ViewAnswer, clean, read
from surveil.assess.doubts import doubts, instructs
from surveil.assess.marks import marked
from surveil.assess.views import merge
from surveil.assess.vlm import Question, Said, Vlm
from surveil.clock import Clock
from surveil.interfaces import AssessorError, Tell
from surveil.messages import Answer, AssessmentRequest, Level

_log = logging.getLogger(__name__)
PACE_SHARE = 0.25
"""Further views are asked while one answer takes no longer than this share of the time there is."""
MARGIN_SECONDS = 0.5
"""Views end so long before the deadline, so that the first answer still goes out in time."""
_PACES = 5


@dataclass(frozen=True, slots=True)
class Manner:
    """How the config wants the VLM to be asked: language of the sentences, wording, further views."""

    language: str = "en"
    wording: str | None = None
    views: Literal["auto", "always", "never"] = "auto"


@dataclass(slots=True)
class _Inquiry:
    """One request on its way to an answer."""

    request: AssessmentRequest
    question: Question | None = None
    heard: bool = False
    said: SecurityAnswer | None = None
    error: AssessorError | None = None

    @property
    def wants_repair(self) -> bool:
        """Whether its answer was out of its bounds, and what was wrong is still to be told to the model."""
        return self.said is None and self.heard and self.question is not None and self.question.refused is not None

    def outcome(self, model: str) -> Answer | AssessorError:
        """Return what came of it, with our doubts."""
        if self.said is None:
            return self.error or AssessorError("the model said nothing")
        said = self.said
        sentences = [said.summary, said.activity, *said.evidence, said.recommended_action]
        return Answer(
            score=said.risk_score,
            verdict=said.verdict,
            summary=said.summary,
            activity=said.activity,
            evidence=tuple(line for line in said.evidence if line),
            recommended_action=said.recommended_action,
            scene_text=said.scene_text,
            confidence=said.confidence / 100,
            model=model,
            flags=tuple(doubts(said.seen, said.scene_text, sentences, self.request.keyframes)),
        )


class VlmAssessor:
    """An Assessor that asks a VLM: once, once more where the answer is out of its bounds, and from further angles
    where it is serious and there is time. Lives on the assessment stage's event loop.
    """

    def __init__(self, vlm: Vlm, manner: Manner, clock: Clock) -> None:
        self.batch = vlm.batch
        self.depth = vlm.depth
        self._vlm = vlm
        self._manner = manner
        self._clock = clock
        self._model = ""
        self._paces: deque[float] = deque(maxlen=_PACES)

    @property
    def fault(self) -> str | None:
        """What keeps it from answering now, for people; None when nothing is known to."""
        return self._vlm.fault

    async def start(self) -> str:
        """Load or connect; return the model's name. Raises AssessorError."""
        self._model = await self._vlm.start()
        self.batch, self.depth = self._vlm.batch, self._vlm.depth
        return self._model

    async def close(self) -> None:
        """Let go of the model; nothing of it keeps running."""
        await self._vlm.close()

    async def assess(self, requests: Sequence[AssessmentRequest], tell: Tell) -> None:
        """Call `tell` with what came of each request, as soon as it is known."""
        # Decoding, scaling and drawing take a while: not on the loop that watches the deadlines.
        inquiries = await asyncio.to_thread(lambda: [self._inquiry(request) for request in requests])
        began = self._clock.monotonic()
        await self._ask(inquiries)
        if any(inquiry.heard for inquiry in inquiries):
            self._paces.append(self._clock.monotonic() - began)
        # What is settled does not wait for what needs a second try or further views.
        open_ones = self._told([inquiry for inquiry in inquiries if not inquiry.wants_repair], tell)
        repaired = [inquiry for inquiry in inquiries if inquiry.wants_repair]
        if repaired:
            await self._ask(repaired)
            open_ones += self._told(repaired, tell)
        if open_ones:
            for inquiry, outcome in zip(open_ones, await self._viewed(open_ones), strict=True):
                tell(inquiry.request, outcome)

    def _told(self, inquiries: Sequence[_Inquiry], tell: Tell) -> list[_Inquiry]:
        """Tell of all that deserve no further views; return the others."""
        serious = []
        for inquiry in inquiries:
            outcome = inquiry.outcome(self._model)
            if self._deserves_views(inquiry.request, outcome):
                serious.append(inquiry)
            else:
                tell(inquiry.request, outcome)
        return serious

    def _inquiry(self, request: AssessmentRequest) -> _Inquiry:
        known = prompt.numbers(request.keyframes)
        try:
            pictures = tuple(marked(keyframe, known) for keyframe in request.keyframes)
        except Exception as error:  # noqa: BLE001 - whatever a decoder raises ends this request, not the stage
            return _Inquiry(request, error=AssessorError(f"a picture cannot be made: {type(error).__name__}"))
        asked = prompt.question(request, self._manner.language)
        system = prompt.system(self._manner.wording)
        return _Inquiry(request, Question(system, pictures, asked, "answer", request.deadline_at))

    async def _ask(self, inquiries: Sequence[_Inquiry]) -> None:
        """Ask each inquiry's question, and read what is said; what cannot be read leaves its text to be refused."""
        open_ones = [inquiry for inquiry in inquiries if inquiry.question is not None]
        texts = await self._say([inquiry.question for inquiry in open_ones if inquiry.question is not None])
        for inquiry, text in zip(open_ones, texts, strict=True):
            _hear(inquiry, text)

    async def _say(self, questions: Sequence[Question]) -> list[Said]:
        return await self._vlm.say(questions) if questions else []

    def _deserves_views(self, request: AssessmentRequest, outcome: Answer | AssessorError) -> bool:
        if isinstance(outcome, AssessorError) or self._manner.views == "never":
            return False
        if max(request.floor, Level.of(outcome.score)) < Level.high:
            return False
        if self._manner.views == "always":
            return True
        pace = median(self._paces)
        left = request.deadline_at - MARGIN_SECONDS - self._clock.monotonic()
        return pace <= PACE_SHARE * (request.deadline_at - request.triggered_at) and left >= 2 * pace

    async def _viewed(self, inquiries: Sequence[_Inquiry]) -> list[Answer | AssessorError]:
        """Ask about each incident from further angles, all in one go; where there is no answer in time, the first
        one stands alone.
        """
        answers = [inquiry.outcome(self._model) for inquiry in inquiries]
        asked = [question for inquiry in inquiries for question in self._angles(inquiry)]
        left = min(question.deadline_at for question in asked) - self._clock.monotonic()
        try:
            async with asyncio.timeout(max(0.0, left)):
                texts = await self._say(asked)
        except TimeoutError:
            return answers
        width = len(prompt.VIEWS)
        rows = [texts[n : n + width] for n in range(0, len(texts), width)]
        return [_merged(answer, row) for answer, row in zip(answers, rows, strict=True)]

    def _angles(self, inquiry: _Inquiry) -> list[Question]:
        first = inquiry.question
        if first is None:
            return []
        system = prompt.view_system(self._manner.wording)
        until = first.deadline_at - MARGIN_SECONDS
        # The same pictures and facts first, and the angle last: a model may reuse all that it has read of them.
        return [
            Question(system, first.pictures, prompt.view(angle, first.text), "view", until) for angle in prompt.VIEWS
        ]


def _hear(inquiry: _Inquiry, text: Said) -> None:
    again = inquiry.question is not None and inquiry.question.refused is not None
    if isinstance(text, AssessorError):
        inquiry.error = inquiry.error if again else text
        return
    inquiry.heard = True
    try:
        inquiry.said = read(text, SecurityAnswer)
    except AssessorError as error:
        inquiry.error = error
        if not again and inquiry.question is not None:
            # What it said may be writing of the scene's, which must not open a turn of its own in the chat.
            quoted, complaint = (said.replace("<|", "< |") for said in (clean(text[:1000]), str(error)))
            inquiry.question = replace(inquiry.question, refused=(quoted, complaint))


def _merged(answer: Answer | AssessorError, texts: Sequence[Said]) -> Answer | AssessorError:
    if isinstance(answer, AssessorError):
        return answer
    views: dict[str, ViewAnswer] = {}
    for angle, text in zip(prompt.VIEWS, texts, strict=True):
        if isinstance(text, AssessorError):
            continue
        try:
            views[angle] = read(text, ViewAnswer)
        except AssessorError as error:
            _log.debug("the view of %s is left out: %s", angle, error)
    merged = merge(answer, views)
    if "text_instructs" not in merged.flags and any(instructs(view.finding) for view in views.values()):
        merged = replace(merged, flags=(*merged.flags, "text_instructs"))
    return merged
