"""Whether something was left or removed, told from the edges along its outline.

What stands in a picture has edges along its outline, what it stands before most often has not: more edges there in the
picture than in the background mean that something was left, fewer that something is gone. (Connell, Senior, Hampapur,
Tian, Brown and Pankanti, "Detection and Tracking in the IBM PeopleVision System", ICME 2004; Cuevas, Martínez and
García, "Detection of stationary foreground objects: A survey", CVIU 2016, compare it with other ways.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from surveil.messages import Image
from surveil.trigger.pixel_memory import Mask

Change = Literal["left", "removed", "light", "unclear"]
_Gradient = NDArray[np.float32]

CLEAR = 0.15
"""Contrast of edge energies, -1 to 1, from which the outline is one picture's alone: 1.35 times those of the other."""
STRONG = 40.0
"""Levels a pixel, over all colours, from which an edge is one, and no more: else the frame of a door or a screen would
count for what shows in it. Lower, and a floor of boards has as many edges as what stands on it."""
SAME_TEXTURE = 0.3
"""Correlation of the gradients from which a surface is the same one under another light. Measured on the shared
footage: things put into it reach 0.2; shadows and lamps on boards 0.7 and more, on asphalt 0.34, in three of four."""
FLAT = 2.0
"""Mean gradients of both pictures together, in levels a pixel, up to which a surface has no texture to compare."""
_SHADE = (0.45, 1.8)
"""Brightness of a plain surface in shadow or in a lamp's light, over its own: the test of Cucchiara, Grana, Piccardi
and Prati, "Detecting moving objects, ghosts, and shadows in video streams", PAMI 2003; the ends are ours."""
_SAME_COLOUR = 0.1
"""Spread of the three colours' ratios, over their mean."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a static region is, and how sure that is, 0 to 1."""

    change: Change
    confidence: float


def judge(mask: Mask, background: Image, picture: Image) -> Verdict:
    """Return what made the region differ from the background; all three have the same shape, with some margin."""
    before, now = _gradient(background), _gradient(picture)
    if _is_light(mask, (background, before), (picture, now)):
        return Verdict("light", 1.0)
    line = _outline(mask)
    # The outline is known to a pixel or two: the strongest edge so near counts.
    near = np.ones((5, 5), np.uint8)
    edges_before, edges_now = (
        float(np.minimum(cv2.dilate(_length(gradient), near)[line], STRONG).mean()) for gradient in (before, now)
    )
    contrast = (edges_now - edges_before) / (edges_now + edges_before + 1.0)
    if abs(contrast) < CLEAR:
        return Verdict("unclear", 0.0)
    return Verdict("left" if contrast > 0 else "removed", round(min(1.0, 0.5 + abs(contrast)), 2))


def _is_light(mask: Mask, before: tuple[Image, _Gradient], now: tuple[Image, _Gradient]) -> bool:
    """Return whether it is the same surface, brighter or darker."""
    inside = cv2.erode(mask.view(np.uint8), np.ones((3, 3), np.uint8), iterations=2, borderValue=0).astype(bool)
    if np.count_nonzero(inside) < 20:
        inside = mask
    old, new = before[1][inside], now[1][inside]
    common = float((old * new).sum()) / float(np.sqrt((old * old).sum() * (new * new).sum()) + 1e-6)
    if common > SAME_TEXTURE:
        return True
    was, has = (image[inside].astype(np.float32).mean(axis=0) + 1.0 for image in (before[0], now[0]))
    ratios = has / was
    factor = float(ratios.mean())
    plain = float(np.abs(old).mean()) * factor + float(np.abs(new).mean()) < FLAT
    return plain and float(np.ptp(ratios)) < _SAME_COLOUR * factor and _SHADE[0] < factor < _SHADE[1]


def _outline(mask: Mask) -> Mask:
    shape = mask.view(np.uint8)
    return np.asarray(shape - cv2.erode(shape, np.ones((3, 3), np.uint8), borderValue=0), bool)


def _gradient(image: Image) -> _Gradient:
    """Return the slopes across and down of each colour, float (height, width, 6), in levels a pixel.

    Of each colour, not of the brightness: a red box on a grey floor may well be as bright as the floor.
    """
    # Sobel's kernel weighs 8 times one level a pixel.
    slopes = [cv2.Sobel(image, cv2.CV_32F, dx, dy, ksize=3, scale=1 / 8) for dx, dy in ((1, 0), (0, 1))]
    return np.concatenate(slopes, axis=-1)


def _length(gradient: _Gradient) -> NDArray[np.float32]:
    return np.asarray(np.linalg.norm(gradient, axis=-1), np.float32)
