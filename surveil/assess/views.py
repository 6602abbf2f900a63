"""Several views of one serious incident become one answer, by fixed rules."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from statistics import median_low

from surveil.assess.answer import ViewAnswer
from surveil.messages import Answer, Level, Verdict

MAX_EVIDENCE = 4
_ALIKE = 0.5
"""Two findings that share so much of their words say the same (Jaccard index)."""
_SHORT = 4


def merge(answer: Answer, views: Mapping[str, ViewAnswer]) -> Answer:
    """Return the first answer with what further views, by name of the angle, add to it.

    The score is the median of all, which no single voice can drag away; of an even number the lower middle, since the
    floor holds anyway. The verdict is the majority's, or `unclear`. Confidence is multiplied by the share of voices
    that agree on the level. Findings that agree are told once. `views_differ` says that levels lay apart.
    """
    if not views:
        return answer
    scores = [answer.score, *(view.risk_score for view in views.values())]
    score = median_low(scores)
    agreeing = sum(Level.of(said) == Level.of(score) for said in scores) / len(scores)
    levels = [list(Level).index(Level.of(said)) for said in scores]
    advice = views.get("advice")
    told = [view.finding for name, view in views.items() if name != "advice" and view.finding]
    return replace(
        answer,
        score=score,
        verdict=_majority([answer.verdict, *(view.verdict for view in views.values())]),
        confidence=round(answer.confidence * agreeing, 3),
        evidence=(*answer.evidence, *_new(told, [answer.summary, *answer.evidence]))[:MAX_EVIDENCE],
        recommended_action=answer.recommended_action or (advice.finding if advice else ""),
        flags=(*answer.flags, "views_differ") if max(levels) - min(levels) > 1 else answer.flags,
    )


def _majority(verdicts: list[Verdict]) -> Verdict:
    verdict, votes = Counter(verdicts).most_common(1)[0]
    return verdict if 2 * votes > len(verdicts) else "unclear"


def _new(lines: list[str], known: list[str]) -> list[str]:
    """Return the lines that do not say again what is known or what an earlier one says."""
    kept: list[str] = []
    for line in lines:
        if not any(_alike(line, other) for other in (*known, *kept)):
            kept.append(line)
    return kept


def _alike(one: str, other: str) -> bool:
    first, second = _words(one), _words(other)
    if not first or not second:
        return one.strip() == other.strip()
    return len(first & second) / len(first | second) >= _ALIKE


def _words(line: str) -> set[str]:
    """Return the words that carry meaning: short ones do not, and endings say little."""
    return {word[:6] for word in re.findall(r"\w+", line.casefold()) if len(word) >= _SHORT}
