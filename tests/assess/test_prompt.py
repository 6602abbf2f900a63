from __future__ import annotations

from surveil.assess import answer, prompt
from surveil.messages import AssessmentRequest, Facts, Keyframe, Level, Subject
from surveil.testing import picture


def test_it_says_what_was_detected_where_and_when() -> None:
    person = Subject(3, "person", 0.9, (0.1, 0.2, 0.305, 0.9), 2.0)
    request = AssessmentRequest(
        "ID", "front", Level.low, 0.0, 20.0,
        (Keyframe(10.0, picture, (person,)), Keyframe(11.5, picture, (person,))),
        Facts("Front door", "Parcels arrive around ten.", "Sunday 22:04", ("person in view for 1.2 s",)),
    )  # fmt: skip
    text = prompt.question(request, "de")
    for part in (
        "Camera: Front door. Local time: Sunday 22:04.",
        "About this place: Parcels arrive around ten.",
        "Reported: person in view for 1.2 s.",
        "2 pictures, the oldest first.",
        "1. after 0.0 s: person #3 at 10-30 % from the left, 20-90 % from the top",
        "2. after 1.5 s: person #3",
        "Reply in the language de.",
    ):
        assert part in text
    assert "#4" not in text


def test_pictures_with_nobody_in_them_and_things_without_a_track_are_named_too() -> None:
    bag = Subject(-1, "left object", 0.7, (0.1, 0.2, 0.3, 0.9), 40.0)
    facts = Facts("Hall", "", "Sunday 22:04", ("an object was left 40 s ago",))
    keyframes = (Keyframe(10.0, picture, ()), Keyframe(12.0, picture, (bag,)), Keyframe(12.0, picture, (bag,), True))
    text = prompt.question(AssessmentRequest("ID", "hall", Level.low, 0.0, 20.0, keyframes, facts), "en")
    assert "1. after 0.0 s: nobody" in text
    assert "2. after 2.0 s: left object at 10-30 % from the left" in text
    assert "3. after 2.0 s: closer view of left object at 10-30 % from the left" in text


def test_the_fixed_part_names_every_key_of_the_answer_in_its_order() -> None:
    keys = list(answer.schema()["properties"])
    places = [prompt.SYSTEM.index(f"{key}:") for key in keys]
    assert places == sorted(places)
