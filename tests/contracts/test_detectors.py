"""What every Detector promises, held against every implementation."""

from __future__ import annotations

import numpy as np
import pytest

from surveil.detect import yolo
from surveil.interfaces import Detector
from surveil.testing import ScriptedDetector


@pytest.fixture(params=["openvino", "torch", "onnx", "scripted"])
def detector(request: pytest.FixtureRequest) -> Detector:
    if request.param == "scripted":
        return ScriptedDetector()
    fixture = {"openvino": "yolo_folder", "torch": "untrained", "onnx": "untrained_onnx"}[request.param]
    model = request.getfixturevalue(fixture)
    return yolo.loaded(model, imgsz=640, confidence=0.25, device="cpu")


@pytest.mark.slow
def test_one_detections_a_picture_whatever_their_number_and_size(detector: Detector) -> None:
    dice = np.random.default_rng(0)
    for number in {0, 1, detector.batch}:
        pictures = [dice.integers(0, 255, (90 + n, 160, 3), np.uint8).astype(np.uint8) for n in range(number)]
        found = detector.start(pictures)()
        assert len(found) == number
        for image, detections in zip(pictures, found, strict=True):
            height, width = image.shape[:2]
            assert np.isfinite(detections.xyxy).all()
            assert (detections.xyxy[:, 2] <= width).all()
            assert (detections.xyxy[:, 3] <= height).all()
            assert ((detections.class_id >= 0) & (detections.class_id < len(detector.labels))).all()


@pytest.mark.slow
def test_as_many_goes_as_it_allows_are_under_way_at_a_time(detector: Detector) -> None:
    image = np.zeros((90, 160, 3), np.uint8)
    for _ in range(3):
        under_way = [detector.start([image]) for _ in range(detector.depth)]
        assert [len(pending()) for pending in under_way] == [1] * detector.depth


@pytest.mark.slow
def test_it_knows_its_labels_size_and_name(detector: Detector) -> None:
    assert "person" in detector.labels
    assert all(side > 0 for side in detector.input_size)
    assert detector.name
