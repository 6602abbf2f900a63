"""What the small models learn from: always the same for a number, apart by split, and right."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from surveil.assess import prompt
from surveil.assess.answer import SecurityAnswer, ViewAnswer, read
from surveil.assess.doubts import doubts
from surveil.demo.lens import HEIGHT, WIDTH
from surveil.demo.moment import LABELS, Light, Seen, Thing, Truth
from surveil.messages import Level
from training import frames, shards
from training.answers import answer, judged, view_answer
from training.sets import KeyframeSet, Twist, keyframe_set, pair
from training.situations import YARDS, Split, dice_for, moment


@pytest.fixture(scope="module")
def some() -> list[KeyframeSet]:
    return [keyframe_set("val", number) for number in range(12)]


def shown(*things: Thing, night: bool = False, covered: bool = False) -> Truth:
    return Truth(tuple(Seen(thing, (0.4, 0.4, 0.5, 0.6), 1.0) for thing in things), night, covered)


def level(truth: Truth, reported: str = "person") -> Level:
    return Level.of(judged([truth], reported).score)


def test_a_set_is_always_the_same(some: list[KeyframeSet]) -> None:
    again = keyframe_set("val", 3)
    assert prompt.question(again.request, "en") == prompt.question(some[3].request, "en")
    for first, second in zip(some[3].request.keyframes, again.request.keyframes, strict=True):
        assert np.array_equal(first.image(), second.image())
    assert pickle.loads(pickle.dumps(again)).right == some[3].right


def test_no_two_splits_share_a_yard_or_a_person() -> None:
    seeds: list[set[int]] = []
    for split in get_args(Split):
        looks = {thing.look for number in range(40) for thing in moment(dice_for(split, number)).things}
        seeds.append(looks)
        assert YARDS[split] > 0
    assert not seeds[0] & seeds[1]
    assert not seeds[0] & seeds[2]
    assert not seeds[1] & seeds[2]


def test_right_answers_are_answers_and_raise_no_doubt(some: list[KeyframeSet]) -> None:
    for one in some:
        said = read(answer(one.right), SecurityAnswer)
        texts = [said.summary, said.activity, *said.evidence, said.recommended_action]
        assert not any("…" in text for text in texts), "a text is cut off"
        if one.right.verdict == "confirmed" and not one.right.covered:
            assert "counts_differ" not in set(doubts(said.seen, said.scene_text, texts, one.request.keyframes))
        for angle in prompt.VIEWS:
            assert read(view_answer(one.right, angle), ViewAnswer).risk_score == one.right.score


def test_levels_follow_what_is_done_where_and_when() -> None:
    walks = Thing("person", 1, 1, 0, 10, activity="walking")
    runs = Thing("person", 1, 1, 0, 10, activity="running")
    climbs = Thing("person", 1, 1, 0, 13.9, activity="climbing")
    passes = Thing("person", 1, 1, 0, 16, activity="running")
    parcel = Thing("parcel", 2, 1, 0, 9, activity="lying")
    assert level(shown()) is Level.none
    assert level(shown(walks)) is Level.low
    assert level(shown(walks, night=True)) is Level.medium
    assert level(shown(runs)) is Level.medium
    assert level(shown(runs, night=True)) is Level.high
    assert level(shown(climbs)) is Level.high
    assert level(shown(passes, night=True)) is Level.low
    assert level(shown(parcel), "object") is Level.medium
    assert level(shown(covered=True), "tamper") is Level.high
    assert judged([shown()], "person").verdict == "not_seen"


def test_the_most_at_once_is_counted() -> None:
    two = [Thing("person", who, who, who, 10, activity="standing") for who in (1, 2)]
    found = judged([shown(two[0]), shown(*two), shown(two[1])], "person")
    assert found.counts == {"person": 2}
    assert json.loads(answer(found))["seen"] == ["2 person"]


@pytest.mark.parametrize("twist", get_args(Twist))
def test_a_pair_has_the_same_detections_and_another_level(twist: Twist) -> None:
    first, second = pair("val", 100_001, twist)
    told = [prompt.question(one.request, "en").split("Pictures,")[0] for one in (first, second)]
    assert told[0] == told[1]
    assert Level.of(first.right.score) != Level.of(second.right.score)


def test_shards_are_read_as_they_were_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD", 2)
    shards.write(tmp_path, "val", 4)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "val").iterdir()}
    shards.write(tmp_path, "val", 4)
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "val").iterdir()} == before
    assert [one.request.incident for one in shards.read(tmp_path, "val")] == [f"{n:026}" for n in range(4)]


def test_frames_are_written_with_their_boxes(tmp_path: Path) -> None:
    frames.write(tmp_path, "val", 6)
    lines = [line for path in sorted((tmp_path / "labels" / "val").iterdir()) for line in path.read_text().splitlines()]
    assert len(list((tmp_path / "images" / "val").glob("*.jpg"))) == 6
    assert lines
    for line in lines:
        kind, x, y, wide, high = line.split()
        assert int(kind) in range(len(LABELS))
        for middle, size in ((float(x), float(wide)), (float(y), float(high))):
            assert middle - size / 2 >= -1e-4
            assert middle + size / 2 <= 1 + 1e-4


def test_night_is_told_from_the_light_not_from_the_clock(some: list[KeyframeSet]) -> None:
    assert Light(darkness=0.9).night
    assert {one.right.night for one in some} == {True, False}
    assert (WIDTH, HEIGHT) == (960, 540)
