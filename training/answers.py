"""What a right answer is, by fixed rules from what is known to be in the pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from surveil.demo.moment import LABELS, Activity, Seen, Truth
from surveil.messages import Verdict

_IN_YARD: dict[Activity, tuple[int, int, str]] = {
    "running": (45, 65, "a person runs through the yard"),
    "crouching": (45, 65, "a person crouches in the yard"),
    "meeting": (25, 50, "people meet in the yard"),
    "walking": (25, 50, "a person walks through the yard"),
    "standing": (25, 50, "a person stands in the yard"),
}
"""By what somebody does in the yard: the score by day and by night, and how it is told."""
_ACTIONS = (
    (60, "Look at the live picture and call security."),
    (40, "Check the yard."),
    (20, "Keep watching."),
    (0, "Do nothing."),
)
_BY_SERIOUSNESS: tuple[Activity, ...] = ("climbing", "running", "crouching", "meeting", "walking", "standing")
_FINDINGS = {
    "scene": "Does not belong here.",
    "behaviour": "The intent looks bad.",
    "risk": "A break-in may follow.",
    "advice": "Call security now.",
}
"""By angle of `assess.prompt.VIEWS`: what is found where something serious goes on."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a set of pictures shows: `score` 0 to 100, `told` in a few words, `counts` by label of most at once."""

    score: int
    told: str
    night: bool
    covered: bool
    activities: tuple[Activity, ...]
    counts: dict[str, int]
    verdict: Verdict


def judged(truths: Sequence[Truth], reported: str) -> Judged:
    """Return what a set shows.

    Args:
        truths: of each whole picture of it.
        reported: what the rules are about: person, object, or tamper.
    """
    most = {label: max(len(truth.of(label)) for truth in truths) for label in LABELS}
    counts: dict[str, int] = {label: count for label, count in most.items() if count}
    covered = truths[-1].covered
    seen = [one for truth in truths for one in truth.seen]
    night = truths[0].night
    score, told = (
        (70, "the camera is covered") if covered else max((_scored(one, night) for one in seen), default=_NOTHING)
    )
    doing = {one.thing.activity for one in seen if one.thing.label == "person"}
    activities = tuple(activity for activity in _BY_SERIOUSNESS if activity in doing)
    wanted = {"person": bool(counts.get("person")), "tamper": covered, "object": bool(set(counts) - {"person"})}
    verdict: Verdict = "confirmed" if wanted[reported] else "not_seen"
    return Judged(score, told, night, covered, activities, counts, verdict)


_NOTHING = (0, "nothing goes on")


def _scored(one: Seen, night: bool) -> tuple[int, str]:
    label, place = one.thing.label, one.place
    if label == "person":
        if place == "fence":
            return (75 if night else 65), "a person climbs over the fence"
        if place == "path":
            return (30 if night else 20), "a person is on the footpath"
        by_day, by_night, told = _IN_YARD[one.thing.activity]
        return (by_night if night else by_day), told
    if label == "parcel" and place == "yard":
        return 42, "a parcel lies in the yard"
    return 5, f"a {label} is there"


def answer(of: Judged) -> str:
    """Return the first answer, a line of JSON with the keys in the order in which they are asked for."""
    light = "covered" if of.covered else "night" if of.night else "day"
    told = of.told[0].upper() + of.told[1:]
    return json.dumps(
        {
            "risk_score": of.score,
            "verdict": of.verdict,
            "confidence": 90,
            "seen": [f"{count} {label}" for label, count in of.counts.items()],
            "summary": told + (", by night." if light == "night" else "."),
            "activity": "" if of.covered else ", ".join(of.activities),
            "evidence": [light, of.told],
            "recommended_action": next(action for least, action in _ACTIONS if of.score >= least),
            "scene_text": "",
        }
    )


def view_answer(of: Judged, angle: str) -> str:
    """Return the answer from one more angle."""
    finding = _FINDINGS[angle] if of.score >= 60 else "Nothing more."
    return json.dumps({"risk_score": of.score, "verdict": of.verdict, "finding": finding})
