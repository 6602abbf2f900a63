"""From what a network says to boxes: non-maximum suppression over a whole batch at once, on the network's device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surveil.messages import Detections

IOU = 0.7
"""Boxes of one class that overlap more are one: ultralytics' default for its predictor."""
MOST = 300
"""The most boxes in a picture: ultralytics' default."""
_APART = 7680.0
"""Pixels by which classes, and pictures, are moved apart so that one pass suppresses within each: no input is wider."""

Rows = NDArray[np.float32]


def suppressed(predicted: Any, confidence: float) -> list[Rows]:
    """Return the boxes of each picture, the surest first.

    Args:
        predicted: a torch tensor (pictures, 4 + classes, places) with x, y of the centre, width, height in pixels and
            a score for each class, as YOLOv8 gives it; or (pictures, boxes, 6) from a model that suppresses by itself.
        confidence: the floor below which a box does not exist, 0 to 1.

    Returns: for each picture float32 (n, 6): x1, y1, x2, y2, confidence, class.
    """
    pictures = len(predicted)
    if predicted.shape[-1] == 6:
        picture, place = (predicted[..., 4] > confidence).nonzero(as_tuple=True)
        return _apart(picture, predicted[picture, place].float(), pictures)
    import torch
    from torchvision.ops import box_convert, nms

    picture, place = (predicted[:, 4:].amax(1) > confidence).nonzero(as_tuple=True)
    candidates = predicted[picture, :, place].float()
    score, label = candidates[:, 4:].max(1)
    xyxy = box_convert(candidates[:, :4], "cxcywh", "xyxy")
    lane = picture * (predicted.shape[1] - 4) + label
    # In double, since far from zero a float no longer tells neighbouring pixels apart.
    kept = nms(xyxy.double() + lane.double()[:, None] * _APART, score.double(), IOU)
    rows = torch.cat([xyxy, score[:, None], label[:, None].float()], 1)[kept]
    return _apart(picture[kept], rows, pictures)


def _apart(picture: Any, rows: Any, pictures: int) -> list[Rows]:
    """Return the rows of each picture as an array of its own."""
    import torch

    # One copy off the device for all that there is.
    host = torch.cat([picture[:, None].float(), rows], 1).cpu().numpy()
    host = host[np.isfinite(host).all(axis=1)]
    return [host[host[:, 0] == number][:MOST, 1:] for number in range(pictures)]


def fitted(rows: Rows, input_size: tuple[int, int], size: Sequence[int]) -> Detections:
    """Return boxes in the pixels of a picture of `size` (height, width) that was fitted into `input_size`."""
    from ultralytics.utils.ops import scale_boxes

    if len(rows):
        scale_boxes(input_size, rows[:, :4], tuple(size))
    return Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64))


def agreement(one: Sequence[Detections], two: Sequence[Detections], overlap: float = 0.8) -> tuple[int, int]:
    """Return how many boxes of `one`, picture by picture, `two` has too, and how many there are.

    The same box is of the same class and overlaps by at least `overlap` (intersection over union).
    """
    import torch
    from torchvision.ops import box_iou

    shared = 0
    for ours, theirs in zip(one, two, strict=True):
        if len(ours) and len(theirs):
            overlaps = box_iou(torch.from_numpy(ours.xyxy), torch.from_numpy(theirs.xyxy)).numpy()
            same = ours.class_id[:, None] == theirs.class_id[None]
            shared += int(((overlaps >= overlap) & same).any(axis=1).sum())
    return shared, sum(map(len, one))
