"""Which frames of an incident are worth a look: the best views, spread in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from surveil.messages import Box, Frame, Image, Keyframe, Picture, Subject, Track

KEYFRAMES = 4
SPACING_SECONDS = 0.4
"""Two keyframes nearer than this show the same."""
_STRETCHES = 2 * KEYFRAMES
MAX_PIXELS = 480 * 28 * 28
"""A keyframe costs the VLM a token for every 28 by 28 pixels (Qwen2.5-VL technical report): 480 tokens each."""
SMALL_AREA = 0.02
"""A subject on less of the picture than this is also shown closer."""
CLOSER_PIXELS = 200 * 28 * 28
_EDGE = 0.01
_SHARP = 150.0
_NOBODY = 0.01
"""The score of a view with nobody in it: better than none."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    frame: Frame
    subjects: tuple[Subject, ...]
    others: tuple[Track, ...]
    score: float


class Shortlist:
    """Keeps the best views of one incident; the pictures are made only when asked for.

    The best frame of each stretch of SPACING_SECONDS is kept, for the _STRETCHES best stretches: comparing each
    frame with its neighbours alone would let a view that keeps getting better push out all before it.
    """

    def __init__(self) -> None:
        self._best: dict[int, _Candidate] = {}
        self._before: _Candidate | None = None

    def consider(self, frame: Frame, subjects: Sequence[Subject], others: Sequence[Track] = ()) -> None:
        """Keep `frame` if it shows its subjects better than what is kept of its stretch of time.

        `others` is what else was seen in it.
        """
        best, score = max(
            ((subject, view_score(subject)) for subject in subjects), key=lambda of: of[1], default=(None, _NOBODY)
        )
        stretch = int(frame.at // SPACING_SECONDS)
        kept = self._best.get(stretch)
        if kept is not None and kept.score >= score:
            return  # sharpness, which costs more to know, can only lower it
        if best is not None:
            score *= sharpness(frame.image, best.box)
        if kept is not None and kept.score >= score:
            return
        # The one that is seen best comes first: a closer view is one of them.
        in_order = sorted(subjects, key=lambda subject: subject is not best)
        self._best[stretch] = _Candidate(frame, tuple(in_order), tuple(others), score)
        if len(self._best) > _STRETCHES:
            del self._best[min(self._best, key=lambda key: self._best[key].score)]

    def best(self) -> Frame | None:
        """Return the best frame of all that were considered; None when nothing was yet."""
        best = self._champion()
        return None if best is None else best.frame

    def renew(self) -> None:
        """Begin anew for another look: keyframes come from what is considered from now on."""
        self._before = self._champion()
        self._best = {}

    @property
    def fresh(self) -> bool:
        """Whether anything was considered since the last `renew`."""
        return bool(self._best)

    def _champion(self) -> _Candidate | None:
        before = [] if self._before is None else [self._before]
        return max([*before, *self._best.values()], key=lambda c: c.score, default=None)

    def keyframes(self) -> tuple[Keyframe, ...]:
        """Return at most KEYFRAMES views, the oldest first, within the VLM's token budget, and maybe a closer one.

        They are of the time since the last `renew`, where there is anything.
        """
        chosen: list[_Candidate] = []
        known = list(self._best.values()) or ([] if self._before is None else [self._before])
        for candidate in sorted(known, key=lambda c: -c.score):
            if all(abs(candidate.frame.at - c.frame.at) >= SPACING_SECONDS for c in chosen):
                chosen.append(candidate)
        in_time = sorted(chosen[:KEYFRAMES], key=lambda c: c.frame.at)
        views = [Keyframe(c.frame.at, _small(c.frame.full), c.subjects, c.others) for c in in_time]
        return (*views, *(_closer(best) for best in chosen[:1] if _is_small(best)))


def view_score(subject: Subject) -> float:
    """Return how good a view of a subject is, 0 to 1: sure, large (up to a tenth of the picture), not cut off."""
    x1, y1, x2, y2 = subject.box
    area = _area(subject.box)
    cut_off = x1 < _EDGE or y1 < _EDGE or x2 > 1 - _EDGE
    # A body that the lower edge cuts is still seen from the front up: half the penalty of the other edges.
    whole = 0.5 if cut_off else 0.75 if y2 > 1 - _EDGE else 1.0
    return float(subject.confidence * np.sqrt(min(area, 0.1) / 0.1) * whole)


def _small(full: Picture) -> Picture:
    return lambda: within_budget(full())


def _is_small(candidate: _Candidate) -> bool:
    return bool(candidate.subjects) and _area(candidate.subjects[0].box) < SMALL_AREA


def _closer(candidate: _Candidate) -> Keyframe:
    """Return a closer view of a candidate's first subject, which is the one that is seen best."""
    subject = candidate.subjects[0]
    height, width = candidate.frame.image.shape[:2]
    region = around(subject.box, width / height)

    def crop() -> Image:
        whole = candidate.frame.full()
        height, width = whole.shape[:2]
        x1, y1, x2, y2 = region
        cut = whole[int(y1 * height) : int(np.ceil(y2 * height)), int(x1 * width) : int(np.ceil(x2 * width))]
        return within_budget(np.ascontiguousarray(cut), CLOSER_PIXELS)

    return Keyframe(candidate.frame.at, crop, (subject,), region=region)


def around(box: Box, aspect: float) -> Box:
    """Return a square around a box, twice as high and wide as its longer side, inside the picture.

    `aspect` is the picture's width over its height, in whose fractions boxes are.
    """
    x1, y1, x2, y2 = box
    half = max((x2 - x1) * aspect, y2 - y1)  # in heights of the picture
    across, down = min(half / aspect, 0.5), min(half, 0.5)
    x, y = np.clip((x1 + x2) / 2, across, 1 - across), np.clip((y1 + y2) / 2, down, 1 - down)
    return float(x - across), float(y - down), float(x + across), float(y + down)


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def sharpness(image: Image, box: Box) -> float:
    """Return how sharp a subject is, 0.5 (smeared by its motion) to 1.

    From the variance of the Laplacian (Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy, 2000). Of
    people in real indoor footage half have 330 to 490, and the same smeared by seven pixels 64.
    """
    height, width = image.shape[:2]
    x1, x2 = (round(np.clip(x, 0, 1) * width) for x in (box[0], box[2]))
    y1, y2 = (round(np.clip(y, 0, 1) * height) for y in (box[1], box[3]))
    if x2 - x1 < 4 or y2 - y1 < 4:
        return 0.5
    grey = cv2.cvtColor(image[y1:y2, x1:x2], cv2.COLOR_BGR2GRAY)
    variance = float(cv2.Laplacian(grey, cv2.CV_64F).var())
    return 0.5 + 0.5 * variance / (variance + _SHARP)


def within_budget(image: Image, max_pixels: int = MAX_PIXELS) -> Image:
    """Return the picture with sides that are multiples of 28 and at most `max_pixels`, its shape nearly kept."""
    height, width = image.shape[:2]
    scale = min(1.0, (max_pixels / (height * width)) ** 0.5)
    new_height, new_width = (max(28, int(side * scale / 28) * 28) for side in (height, width))
    resized = cv2.resize(image, (new_width, new_height), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.uint8)
