from __future__ import annotations

from dataclasses import replace

from surveil.messages import Alert, Assessment, AssessmentState, Finding, Level, Subject
from surveil.testing import answer, observation
from surveil.trigger.incidents import SLOW_SECONDS, Incident, Moment


def begun(severity: Level = Level.low, notify_at: Level = Level.medium) -> Incident:
    incident = Incident("ID", "front", Moment(0, 100), notify_at, previous=None)
    add(incident, 0.0, severity)
    return incident


def add(incident: Incident, at: float, severity: Level = Level.low, rule: str = "person", track: int = 1) -> None:
    finding = Finding(rule, "person", severity, frozenset({track}), f"{rule} at {at}")
    subject = Subject(track, "person", 0.9, (0.4, 0.3, 0.6, 0.9), at)
    incident.add([finding], [subject], observation(at), Moment(at, 100 + at))


def told(incident: Incident, at: float = 1.0) -> Alert:
    return incident.tell("update", Moment(at, 100 + at))


def assess(incident: Incident, state: AssessmentState, score: int | None = None) -> None:
    said = None if score is None else answer(score)
    incident.assessed(Assessment("ID", "front", state, said))


def test_revisions_count_from_one_and_name_what_changed() -> None:
    incident = begun()
    new = incident.tell("new", Moment(0, 100))
    assert (new.rev, new.changed, new.risk.level, new.risk.score, new.kind) == (1, (), Level.low, 20, "person")
    assess(incident, "done", 50)
    update = told(incident)
    assert (update.rev, set(update.changed)) == (2, {"assessment", "risk"})
    assert not incident.has_news(1.0)


def test_a_model_can_raise_a_risk_but_never_hide_one() -> None:
    for floor in Level:
        for score in (0, 19, 45, 65, 79, 80, 100):
            incident = begun(floor)
            assess(incident, "done", score)
            risk = incident.risk
            assert risk.floor == floor
            assert risk.level >= floor
            assert risk.level == Level.of(risk.score)
            assert risk.level < Level.critical or floor == Level.critical
            assert (risk.source == "vlm") == (risk.score > floor)


def test_a_later_answer_may_lower_what_an_earlier_one_raised() -> None:
    incident = begun(Level.low)
    assess(incident, "done", 70)
    assert incident.risk.level == Level.high
    assess(incident, "done", 10)
    assert (incident.risk.level, incident.risk.source) == (Level.low, "rules")


def test_an_answer_that_writing_in_the_picture_may_have_given_lowers_nothing() -> None:
    obeying = replace(answer(0), flags=("text_instructs",))
    incident = begun(Level.low)
    assess(incident, "done", 70)
    incident.assessed(Assessment("ID", "front", "done", obeying))
    assert (incident.risk.level, incident.risk.score) == (Level.high, 70)
    incident.assessed(Assessment("ID", "front", "done", replace(obeying, score=75)))
    assert incident.risk.score == 75
    assess(incident, "done", 10)
    assert incident.risk.level == Level.low


def test_notify_when_the_mark_is_reached_and_at_each_further_rise() -> None:
    incident = begun(Level.low, notify_at=Level.medium)
    assert not incident.tell("new", Moment(0, 100)).notify
    assess(incident, "done", 45)
    assert told(incident).notify
    assess(incident, "done", 46)
    assert not told(incident).notify
    assess(incident, "done", 65)
    assert told(incident).notify
    add(incident, 3, Level.critical, rule="intrusion:yard")
    assert told(incident).notify


def test_notify_when_no_answer_came_unless_nothing_was_at_stake() -> None:
    for state in ("failed", "expired", "shed"):
        incident = begun(Level.low, notify_at=Level.high)
        incident.tell("new", Moment(0, 100))
        assess(incident, state)
        assert told(incident).notify
        harmless = begun(Level.none, notify_at=Level.high)
        harmless.tell("new", Moment(0, 100))
        assess(harmless, state)
        assert not told(harmless).notify


def test_tracks_alone_are_told_slowly_rules_and_risk_at_once() -> None:
    incident = begun()
    incident.tell("new", Moment(0, 100))
    add(incident, 1.0, track=2)
    assert not incident.has_news(1.0)
    assert incident.has_news(SLOW_SECONDS)
    add(incident, 1.1, severity=Level.high, rule="intrusion:yard")
    assert incident.has_news(1.1)
    update = told(incident, 1.1)
    assert set(update.changed) == {"tracks", "rules", "risk"}
    assert update.rules == ("person", "intrusion:yard")
    assert [subject.track for subject in update.subjects] == [1, 2]


def test_what_goes_on_after_a_split_names_it_and_does_not_disturb_again() -> None:
    first = begun(Level.medium)
    assert first.tell("new", Moment(0, 100)).notify
    second = Incident("NEXT", "front", Moment(600, 700), Level.medium, previous=first)
    add(second, 600.0, Level.medium)
    new = second.tell("new", Moment(600, 700))
    assert (new.previous, new.notify) == ("ID", False)
    add(second, 601.0, Level.high, rule="intrusion:yard")
    assert told(second, 601).notify


def test_what_goes_on_after_a_split_does_not_name_what_nobody_was_told_of() -> None:
    held_back = begun(Level.low)
    second = Incident("NEXT", "front", Moment(600, 700), Level.medium, previous=held_back)
    add(second, 600.0, Level.medium)
    assert second.tell("new", Moment(600, 700)).previous is None


def test_a_missing_answer_disturbs_once_over_all_parts_of_a_split() -> None:
    first = begun(Level.low, notify_at=Level.high)
    first.tell("new", Moment(0, 100))
    assess(first, "failed")
    assert told(first).notify
    second = Incident("NEXT", "front", Moment(600, 700), Level.high, previous=first)
    add(second, 600.0)
    second.tell("new", Moment(600, 700))
    assess(second, "failed")
    assert not told(second, 601).notify


def test_the_reason_is_the_longest_that_held_not_the_last() -> None:
    incident = begun()
    for seconds in (5.0, 12.0, 0.3):
        finding = Finding("person", "person", Level.low, frozenset({1}), f"person in view for {seconds} s", seconds)
        incident.add([finding], [], observation(seconds), Moment(seconds, 100 + seconds))
    assert incident.reasons == ("person in view for 12.0 s",)


def test_the_picture_is_given_again_only_when_there_is_a_better_one() -> None:
    incident = begun()
    assert incident.fresh_picture() is not None
    assert incident.fresh_picture() is None


def test_an_incident_is_about_a_person_if_anything_in_it_is_and_an_anomaly_if_nothing_else() -> None:
    now = Moment(0, 100)
    incident = Incident("ID", "front", now, Level.medium)
    kinds = []
    for kind in ("anomaly", "object", "person", "anomaly"):
        incident.add([Finding(kind, kind, Level.low, frozenset(), kind)], [], None, now)
        kinds.append(told(incident).kind)
    assert kinds == ["anomaly", "object", "person", "person"]


def test_a_new_zone_is_news() -> None:
    incident = begun()
    incident.tell("new", Moment(0, 100))
    for at, zones in ((1.0, ()), (2.0, ("yard",))):
        subject = Subject(1, "person", 0.9, (0.4, 0.3, 0.6, 0.9), at, zones)
        incident.add([Finding("person", "person", Level.low, frozenset({1}), "r")], [subject], None, Moment(at, at))
    assert incident.has_news(2.0 + SLOW_SECONDS)
    assert told(incident, 2.0 + SLOW_SECONDS).changed == ("zones",)
