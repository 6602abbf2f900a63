"""torch and ONNX Runtime called without ultralytics' predictor see what it sees, and say clearly what cannot run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from surveil.detect import backend
from surveil.interfaces import ModelError
from surveil.messages import Detections
from tests.detect.test_openvino import pictures
from tests.real.predictor import Predictor


def same(ours: Detections, theirs: Detections) -> None:
    assert ours.class_id.tolist() == theirs.class_id.tolist()
    np.testing.assert_allclose(ours.xyxy, theirs.xyxy, atol=0.05)
    np.testing.assert_allclose(ours.confidence, theirs.confidence, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "imgsz"), [("untrained", 640), ("untrained_onnx", (384, 640))])
def test_its_boxes_are_those_of_ultralytics_predictor(
    model: str, imgsz: int | tuple[int, int], footage: Path, request: pytest.FixtureRequest
) -> None:
    path = request.getfixturevalue(model)
    direct = backend.load(path, imgsz=640, confidence=0.25, device="cpu")
    reference = Predictor(path, imgsz)
    seen = 0
    for image in pictures(footage, every=200):
        (ours,), theirs = direct.start([image])(), reference.see(image)
        same(ours, theirs)
        seen += len(ours)
    assert seen > 50


@pytest.mark.slow
def test_cameras_of_several_shapes_share_a_batch(untrained: Path, footage: Path) -> None:
    detector = backend.load(untrained, imgsz=640, confidence=0.25, device="cpu")
    wide = pictures(footage, every=300)[1]
    tall = np.ascontiguousarray(np.rot90(wide))
    assert detector.batch >= 3
    found = detector.start([wide, wide])()
    same(found[0], found[1])
    mixed = detector.start([wide, tall, wide])()
    same(mixed[0], mixed[2])
    for image, detections in zip((wide, tall), mixed, strict=False):
        assert len(detections) > 0
        assert (detections.xyxy[:, 2] <= image.shape[1]).all()
        assert (detections.xyxy[:, 3] <= image.shape[0]).all()


@pytest.mark.slow
def test_an_engine_takes_the_size_it_was_made_for(untrained_onnx: Path) -> None:
    detector = backend.load(untrained_onnx, imgsz=1280, confidence=0.25, device="auto")
    assert detector.input_size == (384, 640)
    assert detector.batch == 1
    assert detector.name == "untrained.onnx on cpu (ONNX Runtime)"
    assert len(detector.labels) == 80


def test_what_needs_a_gpu_says_so_where_there_is_none(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    (tmp_path / "x.engine").write_bytes(b"an engine")
    with pytest.raises(ModelError, match=r"x\.engine is for an NVIDIA GPU, and torch sees no CUDA GPU here"):
        backend.load(tmp_path / "x.engine", imgsz=640, confidence=0.25, device="auto")
    with pytest.raises(ModelError, match=r"detector\.device is cuda:0, and torch sees no CUDA GPU here"):
        backend.load(tmp_path / "x.pt", imgsz=640, confidence=0.25, device="cuda:0")
