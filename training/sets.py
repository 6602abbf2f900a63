"""Random keyframe sets, made by the daemon's own shortlist from random situations, each with its right answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from shapely.geometry import Point, Polygon

from surveil.demo.moment import YARD, Activity, Moment, Seen, Truth
from surveil.demo.moves import after, over_fence
from surveil.demo.scene import Scene
from surveil.messages import AssessmentRequest, Box, Facts, Frame, Image, Keyframe, Level, Subject, Track
from surveil.trigger.keyframes import Shortlist
from training import situations
from training.answers import Judged, judged
from training.situations import Split, dice_for, scene

_YARD = Polygon(YARD)
_CAMERAS = ("front", "yard", "gate", "Front door", "garden", "cam1", "demo", "back yard")
_CONTEXTS = (
    "", "", "", "The yard of a house; a footpath runs behind the fence.", "A yard at night and by day.",
    "Front door of a house; parcels arrive around ten.", "A small yard with a fence, beyond it a footpath and a road.",
    "The yard of a house with a fence, a footpath and a road beyond it.", "Nobody should be here after dark.",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_VIEWS = (0.5, 0.28, 0.18, 0.04)
"""How often a set has one to four whole pictures."""
_STAYING = 1 << 30

Twist = Literal["night_or_day", "walking_or_climbing", "standing_or_running"]


@dataclass(frozen=True, slots=True)
class Jpeg:
    """A picture as it is kept on disk; calling it makes the picture."""

    data: bytes

    def __call__(self) -> Image:
        """Return the picture, uint8 (height, width, 3)."""
        return np.asarray(cv2.imdecode(np.frombuffer(self.data, np.uint8), cv2.IMREAD_COLOR), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class KeyframeSet:
    """One question with its right answer; `truths` are of the keyframes, None of a closer view."""

    request: AssessmentRequest
    truths: tuple[Truth | None, ...]
    right: Judged


@dataclass(frozen=True, slots=True)
class _Told:
    """What the detections and the facts say of one situation, so that a second picture can get the very same."""

    confidence: dict[int, float]
    dwell: dict[int, float]
    zones: dict[int, tuple[str, ...]]
    subjects: frozenset[int]
    facts: Facts
    reported: Literal["person", "object", "tamper"]
    left: int | None = None
    """The parcel that the background model found too: a subject of its own, which no track stands for."""


def keyframe_set(split: Split, number: int) -> KeyframeSet:
    """Return one of a part's sets, always the same for a number."""
    dice = dice_for(split, number)
    moment = _situation(dice)
    times = _times(dice)
    truths = _looked(_place(split, number), moment, times, dice)
    told = _told(dice, truths[0][1], times)
    return _assembled(truths, times, told, number)


def pair(split: Split, number: int, twist: Twist) -> tuple[KeyframeSet, KeyframeSet]:
    """Return two sets with the same detections and facts whose pictures differ in one thing."""
    dice = dice_for(split, number)
    light = situations.light(dice, dusk=0)
    who = int(dice.integers(1, 9))
    activity: Activity = ("walking", "standing", "meeting")[dice.integers(3)] if twist == "night_or_day" else "standing"
    one = situations.in_yard(dice, who, activity)
    if twist == "walking_or_climbing":
        one = replace(one, activity="walking", z=float(dice.uniform(11.5, 13.4)))
        other = over_fence(replace(one, activity="climbing", heading=-np.pi / 2, phase=float(dice.uniform(0.15, 0.85))))
    else:
        other = replace(one, activity="running") if twist == "standing_or_running" else one
    dark = replace(light, darkness=1 - light.darkness) if twist == "night_or_day" else light
    times, grain = _times(dice), int(dice.integers(1 << 30))
    sides = [
        _looked(_place(split, number), Moment(lit, (thing,)), times, np.random.default_rng(grain))
        for thing, lit in ((one, light), (other, dark))
    ]
    told = _told(dice, sides[0][0][1], times)
    first, second = (_assembled(side, times, told, number) for side in sides)
    return first, second


def _place(split: Split, number: int) -> Scene:
    # One yard's sets stand together, since a yard takes longer to make than its pictures.
    return scene(split, number // 25)


def _situation(dice: np.random.Generator) -> Moment:
    there = situations.people(dice, most=3)
    things = [*situations.goods(dice, situations.FEW), *there]
    covered = float(dice.uniform(0.85, 1)) if dice.random() < 0.06 else 0.0
    return Moment(situations.light(dice, dusk=0), tuple(things), covered)


def _times(dice: np.random.Generator) -> list[float]:
    count = 1 + int(dice.choice(4, p=_VIEWS))
    return list(np.cumsum(np.concatenate([[0.0], dice.uniform(0.41, 0.8, count - 1)])))


def _looked(
    place: Scene, moment: Moment, times: Sequence[float], dice: np.random.Generator
) -> list[tuple[Image, Truth]]:
    """Return the pictures of a situation at some times; `moment` is the middle one's."""
    looks = []
    for at in times:
        # Around the middle, so that whoever runs does not leave the picture at once.
        moved = tuple(after(thing, at - times[-1] / 2) for thing in moment.things)
        looks.append(place.picture(replace(moment, things=moved, grain=int(dice.integers(1 << 30)))))
    return looks


def _told(dice: np.random.Generator, truth: Truth, times: list[float]) -> _Told:
    whos = [one.thing.who for one in truth.seen]
    zone = str(dice.choice(["yard", "yard", "garden", "lawn"])) if dice.random() < 0.8 else None
    people = [one.thing.who for one in truth.seen if one.thing.label == "person"]
    parcels = [one.thing.who for one in truth.seen if one.thing.label == "parcel"]
    subjects = {who for who in people if dice.random() < 0.8} or set(people[:1])
    reported: Literal["person", "object", "tamper"] = "person"
    if truth.covered or (not whos and dice.random() < 0.3):
        reported = "tamper"
    elif not people and whos:
        reported, subjects = "object", set(parcels or whos[:1])
    zones = {one.thing.who: _zones(one, zone) for one in truth.seen}
    dwell = {who: float(dice.uniform(0.2, 20)) for who in whos}
    held = max((dwell[who] for who in subjects), default=float(dice.uniform(0.2, 9)))
    facts = Facts(
        camera=str(dice.choice(_CAMERAS)),
        context=str(dice.choice(_CONTEXTS)),
        # Whatever the light: a clock that told the night would be believed more than the picture.
        local_time=f"{dice.choice(_DAYS)} {dice.integers(24):02}:{dice.integers(60):02}",
        reasons=_reasons(dice, reported, len(subjects), held + times[-1], zone),
    )
    sure = {who: float(dice.uniform(0.4, 0.97)) for who in whos}
    left = parcels[0] if reported == "object" and parcels and dice.random() < 0.5 else None
    return _Told(sure, dwell, zones, frozenset(subjects), facts, reported, left)


def _zones(one: Seen, zone: str | None) -> tuple[str, ...]:
    x1, _, x2, y2 = one.box
    return (zone,) if zone is not None and _YARD.contains(Point((x1 + x2) / 2, y2)) else ()


def _reasons(dice: np.random.Generator, reported: str, count: int, held: float, zone: str | None) -> tuple[str, ...]:
    if reported == "tamper":
        return (f"the camera is covered for {dice.integers(1, 12)} s",)
    if reported == "object":
        return (f"an object was left {dice.integers(2, 40)} s ago",)
    who = "person" if count <= 1 else f"{count} persons"
    hours = " outside its hours" if dice.random() < 0.2 else ""
    told = [f"{who} in view for {held:.1f} s"]
    if zone is not None and dice.random() < 0.5:
        told.append(f"{who} in zone {zone} for {held * dice.uniform(0.3, 1):.1f} s{hours}")
    return tuple(told[-1:] if dice.random() < 0.3 else told)


def _assembled(looks: Sequence[tuple[Image, Truth]], times: Sequence[float], told: _Told, number: int) -> KeyframeSet:
    shortlist = Shortlist()
    dice = np.random.default_rng([number, 12])
    for index, ((picture, truth), at) in enumerate(zip(looks, times, strict=True)):
        small = np.asarray(cv2.resize(picture, (384, 216), interpolation=cv2.INTER_AREA), np.uint8)
        subjects = [_subject(one, told, at, dice) for one in truth.seen if one.thing.who in told.subjects]
        others = [_track(one, told, dice) for one in truth.seen if one.thing.who not in told.subjects]
        subjects += [_left(one, told, at) for one in truth.seen if one.thing.who == told.left]
        shortlist.consider(Frame("", index, at, at, small, _constant(picture)), subjects, others)
    keyframes = tuple(replace(view, image=_jpeg(view, dice)) for view in shortlist.keyframes())
    known = {at: truth for (_, truth), at in zip(looks, times, strict=True)}
    truths = tuple(None if view.region is not None else known[view.at] for view in keyframes)
    request = AssessmentRequest(
        incident=f"{number:026}", camera="demo", floor=Level.none, triggered_at=0.0, deadline_at=float(_STAYING),
        keyframes=keyframes, facts=told.facts,
    )  # fmt: skip
    return KeyframeSet(request, truths, judged([truth for truth in truths if truth is not None], told.reported))


def _subject(one: Seen, told: _Told, at: float, dice: np.random.Generator) -> Subject:
    track = _track(one, told, dice)
    dwell = told.dwell.get(one.thing.who, 0.2) + at
    return Subject(track.id, track.label, track.confidence, track.box, dwell, told.zones.get(one.thing.who, ()))


def _left(one: Seen, told: _Told, at: float) -> Subject:
    return Subject(-1, "left object", told.confidence[one.thing.who], one.box, told.dwell[one.thing.who] + at)


def _track(one: Seen, told: _Told, dice: np.random.Generator) -> Track:
    return Track(one.thing.who, one.thing.label, told.confidence.get(one.thing.who, 0.5), _roughly(one.box, dice))


def _roughly(box: Box, dice: np.random.Generator) -> Box:
    """Return a box as a detector would have it: each edge off by some hundredths of its size."""
    x1, y1, x2, y2 = box
    wide, high = x2 - x1, y2 - y1
    edges = np.array(box) + dice.normal(0, 0.02, 4) * np.array([wide, high, wide, high])
    left, top, right, bottom = np.clip(edges, 0, 1)
    return float(left), float(top), float(right), float(bottom)


def _constant(picture: Image) -> Callable[[], Image]:
    return lambda: picture


def _jpeg(view: Keyframe, dice: np.random.Generator) -> Jpeg:
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(dice.integers(75, 96))]
    return Jpeg(cv2.imencode(".jpg", view.image(), quality)[1].tobytes())
