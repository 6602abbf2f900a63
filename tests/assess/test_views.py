from __future__ import annotations

from dataclasses import replace

import pytest

from surveil.assess.answer import ViewAnswer
from surveil.assess.views import MAX_EVIDENCE, merge
from surveil.messages import Answer
from surveil.testing import answer

FIRST = replace(answer(70, "A man climbs over the fence."), evidence=("one leg over the fence",), confidence=0.8)


def view(score: int, finding: str = "", verdict: str = "confirmed") -> ViewAnswer:
    return ViewAnswer(risk_score=score, verdict=verdict, finding=finding)  # type: ignore[arg-type]


def merged(*views: ViewAnswer, first: Answer = FIRST) -> Answer:
    return merge(first, dict(zip(("scene", "behaviour", "risk", "advice"), views, strict=False)))


def test_without_views_the_first_answer_stands() -> None:
    assert merged() is FIRST


@pytest.mark.parametrize(
    ("scores", "score"),
    [((70, 70, 70, 70), 70), ((0, 0, 75, 79), 70), ((0, 0, 0, 100), 0), ((65, 100, 100, 100), 100), ((60,), 60)],
)
def test_the_score_is_the_median_of_all_voices(scores: tuple[int, ...], score: int) -> None:
    assert merged(*map(view, scores)).score == score


def test_disagreement_lowers_the_confidence_and_never_raises_it() -> None:
    assert merged(*map(view, (70, 65, 75, 61))).confidence == pytest.approx(0.8)
    apart = merged(*map(view, (70, 10, 75, 61)))
    assert apart.confidence == pytest.approx(0.8 * 4 / 5)
    assert apart.flags == ("views_differ",)
    assert merged(*map(view, (70, 50, 75, 61))).flags == ()


def test_the_verdict_is_the_majoritys_or_unclear() -> None:
    assert merged(view(70), view(70, verdict="not_seen")).verdict == "confirmed"
    assert merged(view(70, verdict="not_seen")).verdict == "unclear"


def test_findings_that_agree_are_told_once() -> None:
    said = merged(
        view(70, "A man is climbing over the garden fence"),
        view(70, "He carries a long ladder"),
        view(70, "He carries a ladder"),
        view(70, "Call the guard now"),
    )
    assert said.evidence == ("one leg over the fence", "He carries a long ladder")
    assert said.recommended_action == FIRST.recommended_action
    assert len(merged(*(view(70, f"thing {word}") for word in ("alpha", "bravo", "charlie"))).evidence) <= MAX_EVIDENCE


def test_advice_helps_out_where_the_first_answer_has_none() -> None:
    silent = replace(FIRST, recommended_action="")
    assert (
        merged(*(view(70),) * 3, view(70, "Call the guard now"), first=silent).recommended_action
        == "Call the guard now"
    )
