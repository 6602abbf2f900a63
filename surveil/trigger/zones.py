"""Parts of a picture, in fractions of it, so that a stream that changes its size keeps them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shapely import LineString, Point, Polygon, prepare

from surveil.messages import Box

Place = tuple[float, float]
"""x and y as fractions of the picture."""


def foot(box: Box) -> Place:
    """Return where a thing stands: the middle of its box's lower edge."""
    return (box[0] + box[2]) / 2, box[3]


class Area:
    """One or several polygons, asked thousands of times a second."""

    def __init__(self, polygons: Iterable[Iterable[Place]] = ()) -> None:
        self._polygons = [Polygon(list(corners)) for corners in polygons]
        for polygon in self._polygons:
            prepare(polygon)

    def holds(self, box: Box) -> bool:
        """Return whether what is in `box` stands on it; the edge belongs to it."""
        if not self._polygons:
            return False
        place = Point(foot(box))
        return any(polygon.covers(place) for polygon in self._polygons)


Zones = Mapping[str, Area]


@dataclass(frozen=True, slots=True)
class Line:
    """A line across the picture; somebody who looks along it from `begin` to `end` has `in` going to the right."""

    begin: Place
    end: Place

    def side(self, place: Place) -> float:
        """Return how far right of the line (endless both ways) a place is, in fractions; negative on the left."""
        (x1, y1), (x2, y2) = self.begin, self.end
        length = math.dist(self.begin, self.end)
        # The cross product; y grows downwards, so that right of the way is where it is positive.
        return ((x2 - x1) * (place[1] - y1) - (y2 - y1) * (place[0] - x1)) / length

    def crossed(self, before: Place, after: Place) -> bool:
        """Return whether the straight way from one place to another crosses it."""
        return bool(LineString([self.begin, self.end]).intersects(LineString([before, after])))
