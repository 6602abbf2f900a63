"""Boxes are ultralytics' own, whatever the batch; the comparison of two engines counts what both see."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from surveil.detect import boxes
from surveil.detect.quiet import quieten
from surveil.messages import Detections

quieten()


def crowded(pictures: int, places: int = 500, classes: int = 5) -> torch.Tensor:
    """Return what a network might say: many boxes over each other, with scores of every height."""
    dice = torch.Generator().manual_seed(1)
    centre = torch.randint(1, 5, (pictures, 2, places), generator=dice) * 50.0
    centre += torch.randn((pictures, 2, places), generator=dice) * 4
    size = torch.rand((pictures, 2, places), generator=dice) * 10 + 60
    scores = torch.rand((pictures, classes, places), generator=dice) ** 2
    return torch.cat([centre, size, scores], 1)


@pytest.mark.parametrize("pictures", [1, 7])
def test_a_whole_batch_is_suppressed_as_ultralytics_does_each_picture(pictures: int) -> None:
    import torchvision  # noqa: F401 - with it there, ultralytics takes its suppression
    from ultralytics.utils.nms import non_max_suppression

    predicted = crowded(pictures)
    ours = boxes.suppressed(predicted, 0.25)
    theirs = non_max_suppression(predicted.clone(), 0.25, boxes.IOU)
    assert len(ours) == pictures
    for one, two in zip(ours, theirs, strict=True):
        assert 20 < len(one) < 300
        np.testing.assert_allclose(one, two.numpy(), atol=1e-3)


def test_a_picture_keeps_its_surest_boxes_only() -> None:
    predicted = torch.zeros((2, 5, 400))
    predicted[0, :2] = torch.arange(400) * 20.0
    predicted[0, 2:4] = 10.0
    predicted[0, 4] = torch.linspace(0.3, 0.9, 400)
    first, second = boxes.suppressed(predicted, 0.25)
    assert len(first) == boxes.MOST
    assert first[0, 4] == pytest.approx(0.9)
    assert first[-1, 4] > 0.3 + 0.6 * 99 / 400
    assert len(second) == 0


def test_a_model_that_suppresses_by_itself_is_only_held_to_the_floor() -> None:
    predicted = torch.zeros((2, 300, 6))
    predicted[1, 3] = torch.tensor([10.0, 20.0, 30.0, 40.0, 0.5, 7.0])
    predicted[1, 4] = torch.tensor([10.0, 20.0, 30.0, 40.0, 0.2, 7.0])
    first, second = boxes.suppressed(predicted, 0.25)
    assert len(first) == 0
    assert second.tolist() == [[10.0, 20.0, 30.0, 40.0, 0.5, 7.0]]


def test_boxes_that_are_no_numbers_do_not_exist() -> None:
    predicted = torch.zeros((1, 5, 2))
    predicted[0, :, 0] = torch.tensor([float("nan"), 10.0, 5.0, 5.0, 0.9])
    predicted[0, :, 1] = torch.tensor([50.0, 50.0, float("inf"), 5.0, 0.9])
    assert [len(rows) for rows in boxes.suppressed(predicted, 0.25)] == [0]


def test_boxes_come_back_in_the_pixels_of_their_own_picture() -> None:
    rows = np.array([[0, 140, 640, 500, 0.9, 2]], np.float32)  # the whole of a 16:9 picture inside a square
    found = boxes.fitted(rows, (640, 640), (1080, 1920))
    np.testing.assert_allclose(found.xyxy, [[0, 0, 1920, 1080]], atol=1e-3)
    assert found.class_id.tolist() == [2]
    assert len(boxes.fitted(rows[:0], (640, 640), (1080, 1920))) == 0


def test_agreement_counts_the_boxes_that_both_see() -> None:
    def of(*rows: tuple[float, float, float, float, int]) -> Detections:
        table = np.array(rows, np.float32).reshape(-1, 5)
        return Detections(table[:, :4], np.ones(len(table), np.float32), table[:, 4].astype(np.int64))

    one = [of((0, 0, 10, 10, 1), (50, 50, 60, 60, 1)), of((0, 0, 10, 10, 1)), of()]
    two = [of((0, 0, 10, 10.5, 1), (50, 50, 60, 60, 2)), of(), of((0, 0, 9, 9, 1))]
    assert boxes.agreement(one, two) == (1, 3)
