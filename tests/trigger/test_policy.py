from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, count

import pytest

from surveil.config import PersonSettings
from surveil.messages import Alert, Assessment, AssessmentRequest, Decision, Level, Observation
from surveil.testing import answer, observation, track, visit
from surveil.trigger.identity import derived_entropy
from surveil.trigger.incidents import Moment
from surveil.trigger.policy import END_GRACE_SECONDS, SETTLE_SECONDS, CameraPolicy, Terms

TERMS = Terms(
    camera="front", title="Front", context="", timezone="Europe/Vienna", linger=2.0, max_length=600.0,
    notify_at=Level.medium, deadline=20.0, per_minute=3, assesses=True,
)  # fmt: skip


def policy(severity: str = "low", **terms: object) -> CameraPolicy:
    rules = [PersonSettings(severity=severity)]  # type: ignore[arg-type]
    return CameraPolicy(replace(TERMS, **terms), rules, derived_entropy)  # type: ignore[arg-type]


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
    """The book, the believed and the asked forget; only their sizes are asserted, no time."""
    camera = policy(assesses=False)
    began = time.monotonic()
    for n in range(20_000):
        camera.observe(observation(n * 0.5, track(n // 3)))
    assert len(camera._book) <= 150
    assert len(camera._closing) == 0
    assert time.monotonic() - began < 60
