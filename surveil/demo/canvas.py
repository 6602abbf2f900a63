"""What is painted on: the picture, and beside it whose each pixel is, so that a box holds only what can be seen."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from surveil.demo.lens import HEIGHT, WIDTH, Points, pixels_a_metre, seen
from surveil.messages import Box, Image

Colour = tuple[float, float, float]
"""Blue, green, red, 0 to 255, by full daylight."""

_SHIFT = 4
"""OpenCV's points have so many binary places, so that slow motion does not jump from pixel to pixel."""
_TURN = np.linspace(0, 2 * np.pi, 14, endpoint=False)
_CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)


def toned(colour: Colour, by: float) -> Colour:
    """Return a colour made darker (below 1) or lighter."""
    blue, green, red = (min(255.0, part * by) for part in colour)
    return blue, green, red


@dataclass(slots=True)
class Canvas:
    """A picture in work: `picture` uint8 (540, 960, 3), `owner` uint8 (540, 960): each pixel's thing, 0 for none."""

    picture: Image
    owner: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((HEIGHT, WIDTH), np.uint8))
    thing: int = 0

    def polygon(self, pixels: Points, colour: Colour) -> None:
        """Fill a convex polygon, (n, 2) pixels, as part of the thing that is being drawn."""
        fixed = _fixed(pixels)
        cv2.fillConvexPoly(self.picture, fixed, colour, cv2.LINE_AA, _SHIFT)
        cv2.fillConvexPoly(self.owner, fixed, self.thing, cv2.LINE_8, _SHIFT)

    def outline(self, pixels: Points, colour: Colour) -> None:
        """Fill any polygon, (n, 2) pixels, that need not be convex."""
        fixed = _fixed(pixels)
        cv2.fillPoly(self.picture, [fixed], colour, cv2.LINE_AA, _SHIFT)
        cv2.fillPoly(self.owner, [fixed], self.thing, cv2.LINE_8, _SHIFT)

    def ellipse(self, middle: tuple[float, float], axes: tuple[float, float], turned: float, colour: Colour) -> None:
        """Fill an ellipse around a pixel; `axes` are half its length and width, `turned` degrees."""
        x, y = round(middle[0]), round(middle[1])
        whole = (max(1, round(axes[0])), max(1, round(axes[1])))
        cv2.ellipse(self.picture, (x, y), whole, turned, 0, 360, colour, cv2.FILLED, cv2.LINE_AA)
        cv2.ellipse(self.owner, (x, y), whole, turned, 0, 360, self.thing, cv2.FILLED)

    def plane(self, metres: Points, colour: Colour) -> None:
        """Fill a convex polygon given in metres, (n, 3)."""
        self.polygon(seen(metres), colour)

    def limb(self, start: Points, end: Points, radii: tuple[float, float], colour: Colour) -> None:
        """Draw a rounded limb between two points, (3,) metres, thinner at one end, lit from the upper left."""
        (first, last), wide = seen(np.stack([start, end])), self._widths(start, end, radii)
        self.polygon(_hull(first, last, wide), toned(colour, 0.82))
        lit = np.array([-0.22, -0.16])
        self.polygon(_hull(first + lit * wide[0], last + lit * wide[1], 0.68 * wide), toned(colour, 1.08))

    def ball(self, middle: Points, radius: float, colour: Colour) -> None:
        """Draw a ball around a point in metres, (3,)."""
        self.limb(middle, middle + np.array([0, 1e-3, 0]), (radius, radius), colour)

    def visible(self, thing: int) -> tuple[Box, int] | None:
        """Return the box, in fractions, around what is still seen of a thing, and how many pixels that is."""
        mine = cv2.inRange(self.owner, thing, thing)
        left, top, width, height = cv2.boundingRect(mine)
        if not width:
            return None
        box = (left / WIDTH, top / HEIGHT, (left + width) / WIDTH, (top + height) / HEIGHT)
        return box, cv2.countNonZero(mine[top : top + height, left : left + width])

    @staticmethod
    def _widths(start: Points, end: Points, radii: tuple[float, float]) -> NDArray[np.float64]:
        sizes = [radius * pixels_a_metre(float(at[2])) for radius, at in zip(radii, (start, end), strict=True)]
        return np.asarray(np.maximum(np.array(sizes), 0.6))


@dataclass(slots=True)
class Shade:
    """The shadows of one moment, collected first and laid on the ground at once."""

    mask: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((HEIGHT, WIDTH), np.uint8))
    towards: tuple[float, float] = (0.9, 0.35)
    """How far right and away a shadow falls for each metre of height."""
    _points: list[NDArray[np.float64]] = field(default_factory=list)

    def limb(self, start: Points, end: Points, radii: tuple[float, float]) -> None:
        """Add the shadow of a limb, (3,) and (3,) metres."""
        pair = np.stack([self._on_ground(start), self._on_ground(end)])
        wide = np.array([radius * pixels_a_metre(float(at[2])) for radius, at in zip(radii, pair, strict=True)])
        first, last = seen(pair)
        self._add(_hull(first, last, np.maximum(wide, 0.6)))

    def slab(self, metres: Points) -> None:
        """Add the shadow of what lies between the ground and a convex top, (n, 3) metres."""
        down = metres * np.array([1, 0, 1])
        fallen = np.stack([self._on_ground(point) for point in metres])
        hull = cv2.convexHull(seen(np.concatenate([down, fallen])).astype(np.float32))[:, 0].astype(np.float64)
        self._add(hull)

    def lay(self, picture: Image, strength: float) -> None:
        """Darken the picture where shadows fall; `strength` 0 to 1."""
        if not self._points or strength <= 0:
            return
        points = np.concatenate(self._points)
        left, top = np.maximum(points.min(axis=0).astype(int) - 4, 0)
        right, bottom = np.minimum(points.max(axis=0).astype(int) + 5, (WIDTH, HEIGHT))
        if right <= left or bottom <= top:
            return
        part = cv2.blur(self.mask[top:bottom, left:right], (3, 3))
        kept = cv2.convertScaleAbs(part, alpha=-strength, beta=255)
        cut = picture[top:bottom, left:right]
        picture[top:bottom, left:right] = cv2.multiply(cut, cv2.merge([kept] * 3), scale=1 / 255)

    def _on_ground(self, metres: Points) -> Points:
        x, y, z = metres
        right, away = self.towards
        return np.array([x + right * y, 0.0, z + away * y])

    def _add(self, pixels: Points) -> None:
        cv2.fillConvexPoly(self.mask, _fixed(pixels), 255, cv2.LINE_AA, _SHIFT)
        self._points.append(pixels)


def _hull(first: Points, last: Points, wide: NDArray[np.float64]) -> Points:
    both = np.concatenate([first + wide[0] * _CIRCLE, last + wide[1] * _CIRCLE]).astype(np.float32)
    return np.asarray(cv2.convexHull(both)[:, 0], np.float64)


def _fixed(pixels: Points) -> NDArray[np.int32]:
    return np.asarray(np.round(np.clip(pixels, -4000, 4000) * (1 << _SHIFT)), np.int32)
