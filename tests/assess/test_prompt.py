from __future__ import annotations

from surveil.assess import answer, prompt
from surveil.messages import AssessmentRequest, Facts, Keyframe, Level, Subject, Track
from surveil.testing import picture

PERSON = Subject(31, "person", 0.9, (0.1, 0.2, 0.305, 0.9), 2.0, ("yard", "gate"))
CAR = Subject(32, "car", 0.85, (0.5, 0.2, 0.9, 0.9), 1.0)


def asked(*keyframes: Keyframe, context: str = "") -> str:
    facts = Facts("Front door", context, "Sunday 22:04", ("person in view for 1.2 s",))
    return prompt.question(AssessmentRequest("ID", "front", Level.low, 0.0, 20.0, keyframes, facts), "de")


def test_it_says_what_was_detected_where_and_when() -> None:
    text = asked(
        Keyframe(10.0, picture, (PERSON,)),
        Keyframe(11.5, picture, (CAR, PERSON), others=(Track(40, "dog", 0.6, CAR.box),)),
        context="Parcels arrive around ten.",
    )
    assert text.splitlines() == [
        "Camera: Front door. Local time: Sunday 22:04.",
        "About this place: Parcels arrive around ten.",
        "Reported: person in view for 1.2 s.",
        "Detected, with its number in the pictures:",
        "1. person (90% sure), 2 s in view, in yard and gate",
        "2. car (85% sure), 1 s in view",
        "Also in view: 1 dog.",
        "Pictures, the oldest first: 0.0 s #1; 1.5 s #2 #1.",
        "Reply in the language de; labels stay as they are.",
    ]


def test_pictures_with_nobody_in_them_and_closer_views_are_named_too() -> None:
    bag = Subject(-1, "left object", 0.7, (0.1, 0.2, 0.3, 0.9), 40.0)
    text = asked(
        Keyframe(10.0, picture, ()), Keyframe(12.0, picture, (bag,)),
        Keyframe(12.0, picture, (bag,), region=(0.0, 0.0, 0.5, 1.0)),
    )  # fmt: skip
    assert "1. left object (70% sure), 40 s in view" in text
    assert "Pictures, the oldest first: 0.0 s nobody marked; 2.0 s #1; 2.0 s closer view of #1." in text


def test_the_fixed_part_names_every_key_of_the_answer_in_its_order() -> None:
    for system, shape in ((prompt.system(None), "answer"), (prompt.view_system(None), "view")):
        keys = list(answer.schema(shape)["properties"])  # type: ignore[arg-type]
        places = [system.index(f"\n{key}:") for key in keys]
        assert places == sorted(places)


def test_another_wording_keeps_the_shape() -> None:
    system = prompt.system("You watch a stable. Say whether a horse is unwell.")
    assert system.startswith("You watch a stable.")
    assert system.endswith(prompt.SHAPE)
    assert prompt.WORDING not in system


def test_each_further_view_ends_with_its_own_question_and_shares_all_before_it() -> None:
    first = asked(Keyframe(10.0, picture, (PERSON,)))
    views = [prompt.view(angle, first) for angle in prompt.VIEWS]
    assert len(set(views)) == len(views) == 4
    assert all(view.startswith(first) for view in views)
