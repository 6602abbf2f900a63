from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, count, pairwise

import numpy as np
import pytest

from surveil.config import PersonSettings, RuleSettings
from surveil.config.rules import IntrusionSettings, TamperSettings
from surveil.messages import Alert, Assessment, AssessmentRequest, Decision, Facts, Level, Observation, Track
from surveil.testing import answer, frame, observation, track, visit
from surveil.trigger.identity import derived_entropy
from surveil.trigger.incidents import SETTLE_SECONDS, Moment
from surveil.trigger.lane import END_GRACE_SECONDS, Terms
from surveil.trigger.policy import CameraPolicy
from surveil.trigger.rules import Ground, armed
from surveil.trigger.tracks import TrackBook
from surveil.trigger.zones import Area

TERMS = Terms(
    camera="front", title="Front", context="", timezone="Europe/Vienna", linger=2.0, max_length=600.0,
    min_risk=Level.none, notify_at=Level.medium, deadline=20.0, per_minute=3, assesses=True,
)  # fmt: skip


def policy(severity: str = "low", rules: Iterable[RuleSettings] = (), **terms: object) -> CameraPolicy:
    chosen = [*rules] or [PersonSettings(severity=severity)]  # type: ignore[arg-type]
    yard = {"yard": Area([((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))])}
    ground = Ground(TrackBook(yard), "Europe/Vienna", yard, {}, Area([((0.9, 0.9), (1.0, 0.9), (1.0, 1.0))]))
    known = replace(TERMS, **terms)  # type: ignore[arg-type]
    return CameraPolicy(known, [armed(rule, ground) for rule in chosen], ground, derived_entropy)


def at(seconds: float) -> Moment:
    return Moment(seconds, 946_728_000.0 + seconds)


def watch(camera: CameraPolicy, seen: Iterable[Observation]) -> list[Decision]:
    return [decision for observed in seen for decision in camera.observe(observed)]


def alerts(decisions: Iterable[Decision]) -> list[Alert]:
    return [decision.alert for decision in decisions if decision.alert is not None]


def requests(decisions: Iterable[Decision]) -> list[AssessmentRequest]:
    return [decision.request for decision in decisions if decision.request is not None]


def done(request: AssessmentRequest, score: int = 50) -> Assessment:
    return Assessment(request.incident, request.camera, "done", answer(score))


def test_a_visit_is_told_at_once_asked_about_and_ended() -> None:
    camera = policy()
    first = watch(camera, visit(10.0, 10.2))
    (new,) = alerts(first)
    assert (new.phase, new.rev, new.assessment.state) == ("new", 1, "pending")
    assert first[0].captured_at == 10.2
    assert first[0].picture is not None
    assert not requests(first)

    (request,) = requests(watch(camera, visit(10.3, 12.0)))
    assert request.incident == new.id
    assert request.triggered_at == pytest.approx(10.2)
    assert request.deadline_at == pytest.approx(30.2)
    assert 1 <= len(request.keyframes) <= 3
    assert request.facts.local_time == "Saturday 13:00"

    (update,) = alerts(camera.assessed(done(request), at(12.1)))
    assert (update.phase, update.rev, update.risk.level.name, update.notify) == ("update", 2, "medium", True)
    assert set(update.changed) == {"assessment", "risk"}

    assert not alerts(camera.tick(at(13.9)))
    (end,) = alerts(camera.tick(at(14.1)))
    assert (end.phase, end.rev, end.end_reason) == ("end", 3, "quiet")
    assert end.ended == at(12.0).wall
    assert not camera.tick(at(100.0))


def test_findings_that_touch_in_time_share_an_incident() -> None:
    camera = policy(assesses=False)
    seen = chain(visit(0, 1), visit(2.5, 3.5, number=2), visit(7, 8, number=3))
    told = alerts(watch(camera, seen)) + alerts(camera.tick(at(60)))
    assert [alert.phase for alert in told] == ["new", "end", "new", "end"]
    assert [subject.track for subject in told[1].subjects] == [1, 2]
    assert told[0].id != told[2].id
    assert all(alert.assessment.state == "disabled" for alert in told)


def test_the_snapshot_is_the_best_view_by_the_end_also_without_a_model() -> None:
    camera = policy(assesses=False)
    near = [observation(2 + n / 10, track(1, box=(0.3, 0.1, 0.7, 0.9))) for n in range(5)]
    watch(camera, (observation(n / 10, track(1, box=(0.0, 0.4, 0.05, 0.6))) for n in range(5)))
    watch(camera, near)
    (decision,) = camera.tick(at(60))
    assert decision.alert is not None
    assert decision.alert.phase == "end"
    assert decision.picture is not None


def test_nobody_is_no_alert() -> None:
    camera = policy()
    assert watch(camera, (observation(n / 10, track(1, "car")) for n in range(100))) == []
    assert watch(camera, (observation(20 + n) for n in range(100))) == []


def test_the_end_waits_for_the_assessment_but_not_for_ever() -> None:
    camera = policy()
    decisions = watch(camera, visit(0, 2))
    (request,) = requests(decisions)
    assert not alerts(camera.tick(at(10)))
    patience = 2 + 20 + END_GRACE_SECONDS
    assert not alerts(camera.tick(at(patience - 0.1)))
    (end,) = alerts(camera.tick(at(patience + 0.1)))
    assert (end.phase, end.assessment.state, end.notify) == ("end", "expired", True)
    assert "assessment" in end.changed
    # What comes after the last message changes nothing.
    assert camera.assessed(done(request), at(patience + 1)) == []


def test_an_answer_after_the_visit_is_told_and_then_the_end() -> None:
    camera = policy()
    (request,) = requests(watch(camera, visit(0, 2)))
    camera.tick(at(10))
    told = alerts(camera.assessed(done(request), at(11)))
    assert [(a.phase, a.rev, a.assessment.state) for a in told] == [("update", 2, "done"), ("end", 3, "done")]
    assert told[1].ended == at(2.0).wall


def test_a_short_visit_is_asked_about_when_it_ends() -> None:
    camera = policy()
    assert not requests(watch(camera, visit(0, 0.3)))
    assert len(requests(camera.tick(at(0.2 + SETTLE_SECONDS + 0.1)))) == 1


def test_a_new_visit_while_the_last_waits_for_its_answer_is_a_new_incident() -> None:
    camera = policy()
    (first,) = requests(watch(camera, visit(0, 2)))
    later = watch(camera, visit(10, 12, number=2))
    (new,) = alerts(later)
    assert (new.phase, new.rev) == ("new", 1)
    assert new.id != first.incident
    told = alerts(camera.assessed(done(first), at(12.1)))
    assert [(a.id, a.phase) for a in told] == [(first.incident, "update"), (first.incident, "end")]


def test_a_long_incident_is_split_and_its_heir_names_it() -> None:
    camera = policy(max_length=10.0, assesses=False)
    told = alerts(watch(camera, visit(0, 12)))
    assert [(a.phase, a.end_reason) for a in told] == [("new", None), ("end", "split"), ("new", None)]
    assert told[2].previous == told[0].id
    (end,) = alerts(camera.tick(at(60)))
    assert (end.id, end.end_reason) == (told[2].id, "quiet")


def test_an_incident_is_split_only_when_it_goes_on() -> None:
    camera = policy(max_length=10.0, linger=5.0, assesses=False)
    told = alerts(watch(camera, visit(0, 9.0))) + alerts(camera.tick(at(11.0))) + alerts(camera.tick(at(60)))
    assert [(a.phase, a.end_reason) for a in told] == [("new", None), ("end", "quiet")]
    # And its heir begins when there is something again, not when the time was up.
    camera = policy(max_length=10.0, linger=30.0)
    watch(camera, visit(0, 9.0))
    for second in range(10, 30):
        camera.tick(at(second))
    decisions = watch(camera, visit(30, 32, number=2))
    (new,) = alerts(decisions)
    assert (new.phase, new.started, new.previous is not None) == ("new", at(30.2).wall, True)
    (request,) = [r for r in requests(decisions) if r.incident == new.id]
    assert request.deadline_at == pytest.approx(50.2)


def test_a_camera_that_goes_ends_its_incident() -> None:
    camera = policy(assesses=False)
    watch(camera, visit(0, 3))
    camera.present(False)
    (end,) = alerts(camera.tick(at(5.1)))
    assert (end.end_reason, end.ended) == ("camera_lost", at(3.0).wall)


def test_a_stopping_daemon_ends_everything_without_a_word_pending() -> None:
    camera = policy()
    watch(camera, visit(0, 2))
    camera.tick(at(5))
    watch(camera, visit(6, 6.2, number=2))
    decisions = camera.end_all("restart", "stopped", at(6.3))
    assert not requests(decisions)
    told = alerts(decisions)
    assert sorted(a.phase for a in told) == ["end", "end"]
    assert {a.assessment.state for a in told} == {"failed"}
    assert {a.end_reason for a in told} == {"quiet", "restart"}


def test_what_a_budget_refuses_is_an_alert_all_the_same() -> None:
    camera = policy(per_minute=2, linger=1.0)
    decisions = [d for n in range(4) for d in watch(camera, visit(n * 8.0, n * 8.0 + 3, number=n))]
    assert len([a for a in alerts(decisions) if a.phase == "new"]) == 4
    asked = requests(decisions)
    assert [request.within_budget for request in asked] == [True, True, False, False]
    assert [bool(request.keyframes) for request in asked] == [True, True, False, False]
    shed = Assessment(asked[3].incident, "front", "shed", error="over assessor.per_minute")
    (update,) = [a for a in alerts(camera.assessed(shed, at(28))) if a.phase == "update"]
    assert (update.assessment.state, update.notify) == ("shed", True)
    serious = policy("high", per_minute=1, linger=1.0)
    decisions = [d for n in range(4) for d in watch(serious, visit(n * 8.0, n * 8.0 + 3, number=n))]
    assert all(request.within_budget for request in requests(decisions))


def test_the_budget_is_per_minute() -> None:
    camera = policy(per_minute=1, linger=1.0)
    asked = [r for n in range(5) for r in requests(watch(camera, visit(n * 30.0, n * 30.0 + 3, number=n)))]
    assert [request.within_budget for request in asked] == [True, False, True, False, True]


def test_the_same_frames_give_the_same_decisions() -> None:
    def run() -> list[Alert]:
        camera = policy(assesses=False)
        return alerts(watch(camera, chain(visit(0, 3), visit(9, 12, number=2)))) + alerts(camera.tick(at(60)))

    assert run() == run()


def test_revisions_have_no_gaps_whatever_happens() -> None:
    camera = policy(max_length=30.0, linger=1.0)
    revisions: dict[str, list[int]] = {}
    phases: dict[str, list[str]] = {}
    number = count()
    for n in range(40):
        decisions = watch(camera, visit(n * 4.0, n * 4.0 + (n % 5), number=next(number)))
        for request in requests(decisions):
            if n % 3:
                decisions += camera.assessed(done(request, n * 2), at(n * 4.0 + n % 5))
        for alert in alerts(decisions):
            revisions.setdefault(alert.id, []).append(alert.rev)
            phases.setdefault(alert.id, []).append(alert.phase)
    for alert in alerts(camera.end_all("restart", "stopped", at(200))):
        revisions.setdefault(alert.id, []).append(alert.rev)
        phases.setdefault(alert.id, []).append(alert.phase)
    assert len(revisions) > 10
    for ident, revs in revisions.items():
        assert revs == list(range(1, len(revs) + 1))
        assert phases[ident][0] == "new"
        assert phases[ident].count("end") == 1
        assert phases[ident][-1] == "end"


def test_a_day_of_frames_costs_the_same_at_its_end() -> None:
    """What is remembered forgets, and the last frames cost what the first did."""
    camera = policy(rules=[PersonSettings(), PersonSettings(zone="yard")], assesses=False)
    spent = []
    for part in range(10):
        began = time.process_time()
        for n in range(part * 10_000, (part + 1) * 10_000):
            walkers = [track(n // 300 * 8 + k, box=(k / 10, 0.3, k / 10 + 0.05, 0.5 + n % 300 / 700)) for k in range(8)]
            camera.observe(observation(n * 0.1, *walkers))
        spent.append(time.process_time() - began)
    assert len(camera.ground.book) <= 8 * 60 * 3
    assert len(camera._lanes[False]._closing) == 0
    assert min(spent[5:]) < 3 * min(spent[:5])


def test_a_risk_below_the_mark_is_held_back_and_told_from_the_first_when_it_rises() -> None:
    camera = policy(min_risk=Level.medium)
    seen = watch(camera, visit(10.0, 12.0))
    assert not alerts(seen)
    (request,) = requests(seen)
    raised = alerts(camera.assessed(done(request, 45), at(13.0)))
    assert [(a.phase, a.rev, a.assessment.state, a.risk.level) for a in raised] == [("new", 1, "done", Level.medium)]
    ended = alerts(camera.tick(at(16.0)))
    assert [(a.phase, a.rev) for a in ended] == [("end", 2)]


def test_what_never_reaches_the_mark_is_never_told() -> None:
    camera = policy(min_risk=Level.high)
    seen = watch(camera, visit(10.0, 12.0))
    (request,) = requests(seen)
    assert not alerts(camera.assessed(done(request, 10), at(13.0)))
    assert not alerts(camera.tick(at(60.0)))
    assert not alerts(camera.end_all("restart", "stopped", at(61.0)))


def test_a_named_cooldown_swallows_the_next_visit_and_the_one_after_it_says_so() -> None:
    camera = policy(rules=[PersonSettings(cooldown=30.0)], assesses=False)
    first = alerts(watch(camera, chain(visit(0, 5), visit(10, 15, number=2), visit(20, 25, number=3))))
    assert [a.phase for a in first] == ["new", "end"]
    later = alerts(watch(camera, visit(36, 40, number=4)))
    assert [(a.phase, a.suppressed) for a in later] == [("new", 2)]
    assert alerts(camera.tick(at(60.0)))[-1].suppressed == 2
    assert alerts(watch(camera, visit(120, 121, number=5)))[0].suppressed == 0


def test_the_default_cooldown_hides_no_newcomer_but_who_was_just_told_of() -> None:
    camera = policy(rules=[PersonSettings()], assesses=False)
    told = alerts(watch(camera, chain(visit(0, 5), visit(10, 15, number=2), visit(20, 25, number=2))))
    assert [(a.phase, a.suppressed) for a in told] == [("new", 0), ("end", 0), ("new", 0), ("end", 0)]
    assert alerts(watch(camera, visit(30, 31, number=3)))[0].suppressed == 1


def test_who_stands_where_it_does_not_count_is_not_there() -> None:
    camera = policy()
    for n in range(20):
        assert not camera.observe(observation(n / 10, track(box=(0.93, 0.5, 0.99, 0.95))))


def test_modes_and_schedules_say_when_a_rule_counts() -> None:
    camera = policy(rules=[PersonSettings(modes=("away",))], assesses=False)
    assert not watch(camera, visit(0, 2))
    camera.mode = "away"
    assert alerts(watch(camera, visit(10, 12)))[0].phase == "new"
    night = policy(rules=[PersonSettings(schedule=("22:00-06:00",))], assesses=False)
    assert not watch(night, visit(0, 2))  # noon in the tests' pictures
    day = policy(rules=[PersonSettings(schedule=("08:00-18:00",))], assesses=False)
    assert watch(day, visit(0, 2))


def test_time_that_stands_still_goes_back_or_leaps_loses_nothing() -> None:
    camera = policy(assesses=False)
    moments = [0.0, 0.0, 0.0, 0.1, -5.0, 0.2, 0.3, 86_400.0, 86_400.1, 86_400.2, 86_400.3]
    told = alerts(d for at_ in moments for d in camera.observe(observation(at_, track())))
    told += alerts(camera.tick(at(86_500.0)))
    assert [a.phase for a in told] == ["new", "end", "new", "end"]
    assert all(one.updated <= two.updated for one, two in pairwise(told))


def test_boxes_that_are_no_numbers_are_not_there() -> None:
    camera = policy(assesses=False)
    for n, bad in enumerate([float("nan"), float("inf")] * 10):
        assert not camera.observe(observation(n / 10, track(box=(0.1, bad, 0.2, 0.9)), track(2, confidence=bad)))


def test_two_rules_share_an_incident_and_its_floor_is_the_higher() -> None:
    zone = [PersonSettings(), PersonSettings(zone="yard", severity="high")]
    camera = policy(rules=zone, assesses=False)
    seen = [observation(n / 10, track(box=(0.8 - n / 50, 0.4, 0.9 - n / 50, 0.8))) for n in range(35)]
    told = alerts(watch(camera, seen))
    assert [a.phase for a in told][:2] == ["new", "update"]
    assert told[0].rules == ("person",)
    raised = next(a for a in told if "rules" in a.changed)
    assert raised.rules == ("person", "person:yard")
    assert raised.risk.floor is Level.high
    assert raised.notify
    assert raised.subjects[0].zones == ("yard",)


TEXTURED = np.random.default_rng(0).integers(0, 255, (36, 64, 3), np.uint8).repeat(10, axis=0).repeat(10, axis=1)


def seen(at_: float, *tracks: Track) -> Observation:
    """Return what was seen by a camera that is not covered."""
    return Observation(frame(at_, image=TEXTURED), tracks)


def test_a_camera_that_gives_no_pictures_is_told_and_again_when_they_come_back() -> None:
    camera = policy(rules=[PersonSettings(), TamperSettings(when="tamper")])
    watch(camera, [seen(n / 10) for n in range(50)])
    camera.present(False)
    told = alerts(d for n in range(140) for d in camera.tick(at(5.0 + n / 4)))
    (new,) = told
    assert (new.phase, new.kind, new.rules, new.risk.floor) == ("new", "anomaly", ("tamper",), Level.high)
    assert new.reason.startswith("the camera has given no picture for 3")
    assert new.assessment.state == "disabled"  # there is nothing to look at
    camera.present(True)
    ended = alerts(watch(camera, [seen(40.0 + n / 10) for n in range(40)]))
    assert [(a.phase, a.id, a.end_reason) for a in ended] == [("end", new.id, "quiet")]


def test_a_camera_that_never_gave_a_picture_is_told_of_too() -> None:
    camera = policy(rules=[TamperSettings.model_validate({"when": "tamper", "for": 10.0})])
    assert not alerts(d for n in range(9) for d in camera.tick(at(float(n))))
    assert alerts(camera.tick(at(10.5)))


def test_a_recording_that_is_over_is_not_missed() -> None:
    camera = policy(rules=[TamperSettings(when="tamper")])
    watch(camera, [seen(n / 10) for n in range(20)])
    camera.over()
    assert not alerts(d for n in range(100) for d in camera.tick(at(2.0 + n)))


def test_health_has_incidents_of_its_own() -> None:
    camera = policy(rules=[PersonSettings(), TamperSettings(when="tamper")], assesses=False)
    watch(camera, [seen(n / 10, track()) for n in range(31)])
    told = alerts(d for n in range(130) for d in camera.tick(at(3.0 + n / 4)))
    assert [(a.phase, a.kind) for a in told] == [("end", "person"), ("new", "anomaly")]
    assert told[0].id != told[1].id


def test_a_floor_that_rises_is_asked_about_again_with_newer_pictures() -> None:
    yard = IntrusionSettings(when="intrusion", zone="yard")
    camera = policy(rules=[PersonSettings(), yard])
    outside = (observation(n / 10, track(1, box=(0.7, 0.3, 0.9, 0.9))) for n in range(40))
    (first,) = requests(watch(camera, outside))
    assert (first.look, first.floor) == (1, Level.low)
    camera.assessed(done(first, 30), at(4.0))
    inside = [observation(4 + n / 10, track(1, box=(0.2, 0.3, 0.4, 0.9))) for n in range(40)]
    decided = watch(camera, inside)
    rise = next(alert for alert in alerts(decided) if alert.risk.floor == Level.high)
    assert rise.assessment.state == "done"  # the old answer stands until the new one
    (second,) = requests(decided)
    assert (second.look, second.floor, second.incident) == (2, Level.high, first.incident)
    assert second.deadline_at == second.triggered_at + 20.0
    assert 4.0 < second.triggered_at < 5.0
    assert all(keyframe.at >= 4.0 for keyframe in second.keyframes)
    (told,) = alerts(camera.assessed(replace(done(second, 70), look=2), at(9.0)))
    assert (told.assessment.state, told.risk.score) == ("done", 70)


def test_a_long_incident_is_asked_about_again_while_it_goes_on() -> None:
    camera = policy(reassess_after=10.0)
    asked = requests(watch(camera, visit(0, 9)))
    camera.assessed(done(asked[0]), at(9.0))
    asked += requests(watch(camera, visit(9.1, 24)))
    assert [request.look for request in asked] == [1, 2]
    assert asked[1].triggered_at - asked[0].triggered_at == pytest.approx(11.0, abs=0.3)
    # The second has no answer yet, so there is no third; and nobody in view is no reason for one.
    camera.assessed(replace(done(asked[1]), look=2), at(24.0))
    assert requests(camera.tick(at(25.9))) == []
    never = policy(reassess_after=None)
    watch(never, visit(0, 3))
    assert requests(watch(never, visit(3.1, 300))) == []


def test_another_look_waits_until_it_is_affordable_and_sheds_nothing() -> None:
    camera = policy(reassess_after=10.0, per_minute=1)
    (first,) = requests(watch(camera, visit(0, 5)))
    camera.assessed(done(first), at(5.0))
    (second,) = requests(watch(camera, visit(5.1, 70)))
    assert second.within_budget
    assert second.triggered_at >= 61.0


def test_a_rise_that_had_to_wait_for_its_turn_gets_its_whole_time() -> None:
    yard = IntrusionSettings(when="intrusion", zone="yard", severity="medium")
    camera = policy(rules=[PersonSettings(), yard], per_minute=1)
    outside = (observation(n / 10, track(1, box=(0.7, 0.3, 0.9, 0.9))) for n in range(30))
    (first,) = requests(watch(camera, outside))
    camera.assessed(done(first, 30), at(2.9))
    inside = (observation(3 + n / 10, track(1, box=(0.2, 0.3, 0.4, 0.9))) for n in range(620))
    (second,) = requests(watch(camera, inside))
    assert second.floor == Level.medium
    assert second.triggered_at > 59.0
    assert second.deadline_at == second.triggered_at + 20.0


def test_a_camera_that_shows_nothing_new_is_not_asked_about_again() -> None:
    camera = policy(rules=[TamperSettings(when="tamper")], reassess_after=10.0)
    (decision,) = [d for n in range(40) for d in camera.tick(at(n)) if d.alert and d.alert.phase == "new"]
    assert decision.alert is not None
    assert not requests([d for n in range(40, 200) for d in camera.tick(at(n))])


def test_the_end_waits_for_another_look_too() -> None:
    camera = policy(reassess_after=10.0)
    (first,) = requests(watch(camera, visit(0, 5)))
    camera.assessed(done(first, 30), at(5.0))
    (second,) = requests(watch(camera, visit(5.1, 13)))
    assert alerts(camera.tick(at(16))) == []
    update, end = alerts(camera.assessed(replace(done(second, 50), look=2), at(17)))
    assert (update.phase, update.risk.score, end.phase) == ("update", 50, "end")


def test_a_look_that_comes_to_nothing_leaves_the_old_answer_and_says_so() -> None:
    camera = policy(reassess_after=10.0)
    (first,) = requests(watch(camera, visit(0, 5)))
    camera.assessed(done(first, 50), at(5.0))
    (second,) = requests(watch(camera, visit(5.1, 13)))
    gone = Assessment(second.incident, "front", "expired", error="no answer before the deadline", look=2)
    (update,) = alerts(camera.assessed(gone, at(13.1)))
    assert (update.assessment.state, update.risk.score, update.notify) == ("done", 50, False)
    assert update.assessment.error == "asked again, expired: no answer before the deadline"
    (end,) = alerts(camera.tick(at(60)))
    assert end.assessment.answer is not None


def test_a_question_whose_place_a_newer_one_took_is_no_end_to_tell_of() -> None:
    yard = IntrusionSettings(when="intrusion", zone="yard")
    camera = policy(rules=[PersonSettings(), yard])
    outside = (observation(n / 10, track(1, box=(0.7, 0.3, 0.9, 0.9))) for n in range(20))
    inside = (observation(2 + n / 10, track(1, box=(0.2, 0.3, 0.4, 0.9))) for n in range(30))
    first, second = requests(watch(camera, chain(outside, inside)))
    replaced = Assessment(first.incident, "front", "shed", error="newer pictures took its place", look=1)
    assert camera.assessed(replaced, at(5.0)) == []
    (update,) = alerts(camera.assessed(replace(done(second, 70), look=2), at(5.1)))
    assert update.assessment.state == "done"
    # An older answer that comes after the newer one is no news.
    assert camera.assessed(done(first, 10), at(5.2)) == []


def test_alerts_that_are_switched_off_end_what_is_open_and_begin_nothing() -> None:
    camera = policy(assesses=False)
    watch(camera, visit(10, 11))
    (end,) = alerts(camera.switch({"alerts"}, at(11)))
    assert (end.phase, end.end_reason) == ("end", "disabled")
    assert not watch(camera, visit(11.1, 30))
    assert not camera.tick(at(100))
    assert not camera.switch(set(), at(100))
    assert [alert.phase for alert in alerts(watch(camera, visit(100, 101)))] == ["new"]


def test_a_switch_waits_for_the_answer_to_what_it_ends() -> None:
    camera = policy()
    watch(camera, visit(10, 10.5))
    (request,) = requests(camera.switch({"detect"}, at(10.6)))
    (update, end) = alerts(camera.assessed(done(request), at(11)))
    assert (update.assessment.state, end.phase, end.end_reason) == ("done", "end", "disabled")


def test_with_assessments_switched_off_nothing_is_asked_and_nothing_waits() -> None:
    camera = policy()
    watch(camera, visit(10, 10.2))
    camera.switch({"assess"}, at(10.3))
    decisions = [*watch(camera, visit(10.4, 12)), *camera.tick(at(30))]
    assert not requests(decisions)
    assert [(a.phase, a.assessment.state) for a in alerts(decisions)] == [("update", "disabled"), ("end", "disabled")]
    camera.switch(set(), at(40))
    assert requests(watch(camera, visit(200, 202)))


def test_a_camera_whose_detection_is_off_is_not_missed() -> None:
    camera = policy(rules=[TamperSettings(when="tamper")])
    watch(camera, visit(0, 1))
    camera.switch({"detect"}, at(1))
    assert not alerts(camera.tick(at(500)))
    camera.switch(set(), at(500))
    assert not alerts(camera.tick(at(520)))
    (missed,) = alerts(camera.tick(at(531)))
    assert missed.rules == ("tamper",)


def cut_off(state: str = "pending") -> Alert:
    (new,) = alerts(watch(policy(severity="medium"), visit(10, 10.2)))
    return replace(new, rev=2, phase="update", assessment=Assessment(new.id, "front", state))  # type: ignore[arg-type]


def test_what_a_crash_cut_off_ends_with_the_answer_that_still_comes() -> None:
    told = cut_off()
    camera = policy()
    asked = AssessmentRequest(told.id, "front", Level.medium, 0.0, 15.0, (), Facts("", "", "", ()))
    (decision,) = camera.resume(told, asked, at(20))
    assert decision.request is asked
    update, end = alerts(camera.assessed(done(asked, 70), at(22)))
    assert (update.rev, update.risk.level.name, update.notify) == (3, "high", True)
    assert (end.rev, end.phase, end.end_reason, end.assessment.state) == (4, "end", "restart", "done")
    assert (end.id, end.started, end.reason, end.rules) == (told.id, told.started, told.reason, told.rules)
    assert end.ended == told.updated


def test_what_a_crash_cut_off_ends_at_once_where_no_answer_can_come() -> None:
    told = cut_off()
    (end,) = alerts(policy().resume(told, None, at(20)))
    assert (end.rev, end.end_reason, end.assessment.state) == (3, "restart", "expired")
    assert end.notify
    (quiet,) = alerts(policy().resume(cut_off("done"), None, at(20)))
    assert (quiet.rev, quiet.notify) == (3, False)


def test_what_begins_soon_after_a_restart_names_what_it_cut_off_and_does_not_ring_again() -> None:
    told = cut_off("done")
    camera = policy(severity="medium")
    camera.resume(told, None, at(20))
    (new,) = alerts(watch(camera, visit(25, 25.2)))
    assert (new.previous, new.notify) == (told.id, False)
    later = policy(severity="medium")
    later.resume(replace(told, phase="end", end_reason="restart"), None, at(20))
    (other,) = alerts(watch(later, visit(200, 200.2)))
    assert (other.previous, other.notify) == (None, True)
