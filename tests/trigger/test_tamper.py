from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from surveil.messages import Finding, Image, Level, Observation
from surveil.testing import frame
from surveil.trigger.scene import SceneWatch
from surveil.trigger.tamper import ABSENT_SECONDS, TamperRule
from tests.real.scenes import played


@pytest.fixture(scope="module")
def room(footage: Path) -> list[Image]:
    return [image for _, image in islice(played(footage, 5), 20)]


def evaluated(watch: SceneWatch, rule: TamperRule, images: list[Image], begin: float) -> list[list[Finding]]:
    found = []
    for number, image in enumerate(images):
        seen = Observation(frame(begin + number / 2, image=image), ())
        watch.observe(seen.frame.image, seen.frame.at)
        found.append(rule.evaluate(seen))
    return found


def test_every_frame_of_a_covered_camera_is_a_finding_and_none_before_or_after(room: list[Image]) -> None:
    watch = SceneWatch()
    rule = TamperRule(watch)
    assert not any(evaluated(watch, rule, room, 100.0))
    found = evaluated(watch, rule, [np.zeros_like(room[0])] * 9, 110.0)
    assert [bool(findings) for findings in found] == [False] * 6 + [True] * 3
    assert found[-1] == [
        Finding("tamper", "anomaly", Level.high, frozenset(), "the camera has been covered for 4 s", 4.0)
    ]
    after = [bool(findings) for findings in evaluated(watch, rule, room, 115.0)]
    assert after == [True] * 6 + [False] * 14


def test_name_and_severity_are_those_of_the_rule(room: list[Image]) -> None:
    watch = SceneWatch(0.0)
    rule = TamperRule(watch, "lens", Level.critical)
    evaluated(watch, rule, room, 100.0)
    ((finding,),) = evaluated(watch, rule, [np.full_like(room[0], 255)], 110.0)
    assert (finding.rule, finding.severity, finding.tracks) == ("lens", Level.critical, frozenset())
    assert finding.reason == "the camera has been flooded by light for 0 s"


def test_the_rule_and_the_status_share_one_watch(room: list[Image]) -> None:
    watch = SceneWatch()
    rule = TamperRule(watch)
    evaluated(watch, rule, [*room, *[np.zeros_like(room[0])] * 9], 100.0)
    assert watch.scene.state == "covered"


def test_no_picture_for_half_a_minute_is_a_finding() -> None:
    rule = TamperRule(SceneWatch())
    assert rule.absent(100.0, 100.0 + ABSENT_SECONDS - 0.1) is None
    assert rule.absent(100.0, 90.0) is None
    finding = rule.absent(100.0, 135.0)
    assert finding == Finding(
        "tamper", "anomaly", Level.high, frozenset(), "the camera has given no picture for 35 s", 35.0
    )
    assert TamperRule(SceneWatch(), seconds=5.0).absent(100.0, 105.0) is not None
