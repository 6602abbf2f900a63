from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from surveil.interfaces import Rule
from surveil.messages import Box, Finding, Image, Level
from surveil.testing import track
from surveil.trigger.background import BackgroundModel
from surveil.trigger.static_objects import LeftObjectRule, RemovedObjectRule, everywhere
from tests.trigger import scenes
from tests.trigger.scenes import BAG, film, watch, with_bag


@pytest.fixture(scope="module")
def left(footage: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bag stands there from 12 to 45 s; another one from the start to 40 s."""

    def scene(image: Image, at: float) -> Image:
        image = with_bag(image, (0.75, 0.75, 0.82, 0.9)) if at < 40 else image
        return with_bag(image) if 12 <= at < 45 else image

    path = tmp_path_factory.mktemp("static") / "left.mp4"
    return film(path, scenes.still(footage, 0.0), scene, 60)


def told(
    video: Path, kind: type[LeftObjectRule] | type[RemovedObjectRule], inside: Callable[[Box], bool] = everywhere
) -> list[tuple[float, Finding]]:
    background = BackgroundModel(longest=10.0)
    rule: Rule = kind("watch", Level.medium, 10.0, background, inside)
    here = (track(5, box=(0.2, 0.3, 0.3, 0.9)),)
    seen = watch(background, video, lambda at: here if 12 <= at < 14 else ())
    return [(observed.frame.at, finding) for observed in seen for finding in rule.evaluate(observed)]


def test_a_left_object_is_told_in_each_frame_from_its_time_on(left: Path) -> None:
    findings = told(left, LeftObjectRule)
    moments = [at for at, _ in findings]
    assert moments[0] == pytest.approx(24, abs=1.5)
    assert 45 < moments[-1] < 48
    assert np.diff(moments) == pytest.approx(1 / scenes.FPS)
    first, last = findings[0][1], findings[-1][1]
    assert (first.rule, first.kind, first.severity) == ("watch", "anomaly", Level.medium)
    assert first.reason == "an object was left 10 s ago"
    assert first.tracks == {5}
    (thing,) = first.things
    assert (thing.track, thing.label) == (-1, "left object")
    assert thing.box == pytest.approx(BAG, abs=0.02)
    assert thing.dwell_s == pytest.approx(first.seconds, abs=0.01)
    assert 0.5 <= thing.confidence <= 1.0
    assert {finding.things[0].track for _, finding in findings} == {-1}
    assert last.seconds == pytest.approx(32, abs=2)


def test_a_removed_object_is_told_apart_from_a_left_one(left: Path) -> None:
    findings = told(left, RemovedObjectRule)
    assert findings[0][0] == pytest.approx(50, abs=1.5)
    assert findings[0][1].reason == "an object was removed 10 s ago"
    ((thing,),) = {finding.things[:1] for _, finding in findings[:1]}
    assert thing.label == "removed object"
    assert thing.box == pytest.approx((0.75, 0.75, 0.82, 0.9), abs=0.02)


def test_a_zone_leaves_out_what_stands_elsewhere(left: Path) -> None:
    assert not told(left, LeftObjectRule, lambda box: box[0] > 0.5)
    assert told(left, LeftObjectRule, lambda box: box[0] < 0.5)
