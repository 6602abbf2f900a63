"""What a camera looks at: one picture in a form that survives light, and the view that was learnt from many.

The edges of a scene stay where they are when light, contrast or colour change. Each point of the small picture
holds its gradient as a complex number, squared and bounded in length: squared, so that an edge whose sides swap
their brightness (infrared at night) stays the same; bounded, so that many faint edges count for more than a few
strong ones. Two views are compared by the correlation of these numbers, for all shifts at once in the frequency
domain. (Orientation correlation: Fitch, Kadyrov, Christmas and Kittler, BMVC 2002; there without the square.)
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from surveil.messages import Image

Edges = NDArray[np.complex64]
Grey = NDArray[np.float32]

_FINE = (320, 180)
_SMALL = (160, 90)
_COARSE = (80, 45)
_THUMB = (16, 9)
_NOISE = 3.0
"""Grey levels a pixel: a gradient much below it counts little. Sensor noise leaves about 1 at this size."""
_OUTLINE = 4.0
"""A gradient above this is an outline of something, for the eye too."""
_BRIGHT = 240
"""From here on a picture has no drawing: sensors end at 235 to 255."""
NEAR = 2
"""Pixels of the small picture, 1.2 % of its width, by which a camera on a pole sways."""
_BLOCK = 10
_LEARNT_FROM = 30
"""The reference is the mean of the first so many pictures, then moves by their share: a minute at one in 2 s."""
BLURRED = 0.35
"""Of the fine detail against the coarse: a blur of 2 pixels in 640 leaves 0.3, passing cars 0.6, dim light 1."""
_OWN_DETAIL = 0.5
"""Where pictures that are as usual show less of the reference's detail, that is noise in the dark, or waves."""
_SEARCH = 4
"""Pixels of the fine picture within which its details are looked for: lenses and poles drift."""


class View:
    """One picture, measured."""

    def __init__(self, image: Image) -> None:
        grey = cv2.cvtColor(cv2.resize(image, _FINE, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
        small = cv2.resize(grey, _SMALL, interpolation=cv2.INTER_AREA)
        across = cv2.Sobel(small, cv2.CV_32F, 1, 0, scale=1 / 8)
        down = cv2.Sobel(small, cv2.CV_32F, 0, 1, scale=1 / 8)
        steep = across * across + down * down
        squared = np.empty(small.shape, np.complex64)
        squared.real = across * across - down * down
        squared.imag = 2 * across * down
        self.grey: Image = grey
        self.edges: Edges = squared / (steep + np.float32(_NOISE**2))
        self.outlined = float(np.count_nonzero(steep > _OUTLINE**2) / steep.size)
        self.bright = float(np.count_nonzero(small >= _BRIGHT) / small.size)
        self.mean = float(small.mean())

    def agreement(self, other: View) -> float:
        """Return how much of another picture's edges are here, -1 to 1."""
        product = float(np.vdot(self.edges, other.edges).real)
        return product / (_length(self.edges) * _length(other.edges))


@dataclass(frozen=True, slots=True)
class Likeness:
    """How a picture agrees with the reference, 0 to 1: where it should be, and at the best of all shifts."""

    here: float
    best: float
    shift: float
    """Of the best one, as a share of the picture's width."""
    sway: tuple[int, int] = (0, 0)
    """Pixels down and across at which `here` was found."""


class Reference:
    """The view that a camera has had of late."""

    def __init__(self) -> None:
        self.pictures = 0
        self.outlined = self.bright = self.mean = 0.0
        self._sharp = 0.0
        self._edges = np.zeros(_SMALL[::-1], np.complex64)
        self._grey = np.zeros(_FINE[::-1], np.float32)
        self._spectrum = self._edges
        self._details = self._coarse = self._thumb = self._grey

    def learn(self, view: View) -> None:
        """Let the reference follow what is seen now."""
        self.pictures += 1
        share = np.float32(1 / min(self.pictures, _LEARNT_FROM))
        if self.pictures > 1:
            self._sharp += float(share) * (self._detail_left(view.grey.astype(np.float32), _OWN_DETAIL) - self._sharp)
        self._edges += share * (view.edges - self._edges)
        self._grey += share * (view.grey - self._grey)
        self.outlined += float(share) * (view.outlined - self.outlined)
        self.bright += float(share) * (view.bright - self.bright)
        self.mean += float(share) * (view.mean - self.mean)
        self._spectrum = np.conj(np.fft.fft2(self._edges))
        self._details, self._coarse, self._thumb = _details(self._grey), _coarse(self._grey), _thumb(self._grey)

    def likeness(self, view: View) -> Likeness:
        """Return how well the picture's edges agree with the reference's."""
        correlation = np.fft.ifft2(self._spectrum * np.fft.fft2(view.edges)).real
        correlation /= _length(self._edges) * _length(view.edges)
        down, across = np.unravel_index(int(correlation.argmax()), correlation.shape)
        width, height = _SMALL
        dx, dy = (int(across) + width // 2) % width - width // 2, (int(down) + height // 2) % height - height // 2
        around = np.arange(-NEAR, NEAR + 1)
        near = correlation[np.ix_(around, around)]
        y, x = np.unravel_index(int(near.argmax()), near.shape)
        sway = int(y) - NEAR, int(x) - NEAR
        return Likeness(float(near.max()), float(correlation.max()), float(np.hypot(dx, dy)) / width, sway)

    def kept(self, view: View, sway: tuple[int, int]) -> float | None:
        """Return the share of the reference's blocks whose edges are still in place; None if too few have any.

        A thing that hides nine tenths of the view leaves a tenth of them; a camera that looks elsewhere none.
        """
        edges = np.roll(self._edges, sway, (0, 1))
        reference = _blocks(np.abs(edges) ** 2)
        drawn = reference > _BLOCK**2 * 0.12**2
        if np.count_nonzero(drawn) < drawn.size / 10:
            return None
        seen = _blocks(np.abs(view.edges) ** 2)
        agreement = _blocks((np.conj(edges) * view.edges).real) / (
            np.sqrt(reference * seen) + 0.3 * np.sqrt(reference).mean()
        )
        return float((agreement[drawn] > 0.4).mean())

    def sharpness(self, view: View) -> float | None:
        """Return how much of the reference's fine detail is left, against its coarse detail; None if too dark to say.

        This is the lens's transfer function at two frequencies. As the picture is projected onto the reference,
        noise, which is sharp in any lens, does not count; dimmer light weakens both alike.
        """
        grey = view.grey.astype(np.float32)
        light = _projection(_thumb(grey), self._thumb)
        if light < 0.3 or light * float(self._details.std()) < 2.0:
            return None  # what is faint is wiped out by the codec, the fine before the coarse
        if self._sharp < _OWN_DETAIL * (1 - 1 / self.pictures):
            return None
        return self._detail_left(grey, BLURRED)

    def _detail_left(self, grey: Grey, enough: float) -> float:
        """Measure in place, and where that is not enough, nearby, which takes ten times as long."""
        coarse = max(_projection(_coarse(grey), self._coarse), 0.1)
        details = _details(grey)
        fine = _projection(details, self._details)
        return (fine if fine >= enough * coarse else _projection_nearby(details, self._details)) / coarse


def _length(edges: Edges) -> float:
    return float(np.linalg.norm(edges)) + 1e-6


def _blocks(field: Grey) -> Grey:
    height, width = field.shape
    return np.asarray(field.reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK).sum((1, 3)))


def _details(grey: Grey) -> Grey:
    return np.asarray(cv2.Laplacian(grey, cv2.CV_32F))


def _coarse(grey: Grey) -> Grey:
    return np.asarray(cv2.Laplacian(cv2.resize(grey, _COARSE, interpolation=cv2.INTER_AREA), cv2.CV_32F))


def _thumb(grey: Grey) -> Grey:
    thumb = np.asarray(cv2.resize(grey, _THUMB, interpolation=cv2.INTER_AREA))
    return np.asarray(thumb - thumb.mean())


def _projection(picture: Grey, reference: Grey) -> float:
    return float(np.vdot(picture, reference)) / (float(np.vdot(reference, reference)) + 1e-6)


def _projection_nearby(picture: Grey, reference: Grey) -> float:
    """Return the projection where each part of the reference may be some pixels off: a drift is no blur."""
    width, height = 60, 36
    product = 0.0
    for top in range(0, reference.shape[0] - height + 1, height):
        for left in range(_SEARCH, reference.shape[1] - width - _SEARCH + 1, width):
            part = reference[max(top, _SEARCH) : top + height - _SEARCH, left : left + width]
            y = max(top, _SEARCH)
            around = picture[y - _SEARCH : y + len(part) + _SEARCH, left - _SEARCH : left + width + _SEARCH]
            product += max(0.0, float(cv2.matchTemplate(around, part, cv2.TM_CCORR).max()))
    inside = reference[:, _SEARCH:-_SEARCH]
    return product / (float(np.vdot(inside, inside)) + 1e-6)
