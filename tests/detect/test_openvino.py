"""The engine called directly gives what ultralytics' predictor gives, and is loaded only where it can be."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import numpy as np
import pytest

from surveil.detect import openvino
from surveil.interfaces import ModelError
from surveil.messages import Image
from tests.real.predictor import Predictor

pytestmark = pytest.mark.slow


def pictures(video: Path, every: int) -> list[Image]:
    """Return some frames of a video, in the size in which a decoder hands them on."""
    with av.open(str(video)) as container:
        return [
            np.asarray(decoded.to_ndarray(format="bgr24", width=640, height=360), np.uint8)
            for number, decoded in enumerate(container.decode(video=0))
            if number % every == 0
        ]


def test_its_boxes_are_those_of_ultralytics_predictor(yolo_folder: Path, footage: Path) -> None:
    direct = openvino.load(yolo_folder, confidence=0.25)
    assert direct is not None
    reference = Predictor(yolo_folder)
    assert direct.labels == reference.labels
    seen = 0
    for image in pictures(footage, every=20):
        (ours,), theirs = direct.start([image])(), reference.see(image)
        assert len(ours) == len(theirs)
        assert ours.class_id.tolist() == theirs.class_id.tolist()
        np.testing.assert_allclose(ours.xyxy, theirs.xyxy, atol=0.05)
        np.testing.assert_allclose(ours.confidence, theirs.confidence, atol=1e-4)
        seen += len(ours)
    assert seen > 50


def test_a_picture_of_any_size_is_fitted_and_boxes_are_in_its_own_pixels(yolo_folder: Path, footage: Path) -> None:
    detector = openvino.load(yolo_folder, confidence=0.25)
    assert detector is not None
    small = pictures(footage, every=100)[1]
    large = np.repeat(np.repeat(small, 2, axis=0), 2, axis=1)
    (one,), (two,) = detector.start([small])(), detector.start([large])()
    assert len(one) >= 1
    assert len(one) == len(two)
    np.testing.assert_allclose(two.xyxy, one.xyxy * 2, atol=8)


def test_a_folder_without_its_classes_or_with_two_models_is_told(yolo_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "x_openvino_model"
    shutil.copytree(yolo_folder, folder)
    for file in folder.iterdir():
        file.chmod(0o644)
    (folder / "metadata.yaml").write_text("task: detect\n")
    with pytest.raises(ModelError, match=r"does not name the model's classes \(KeyError\)"):
        openvino.load(folder, 0.25)
    shutil.copy(folder / "yolov8n.xml", folder / "second.xml")
    with pytest.raises(ModelError, match=r"holds 2 \.xml files"):
        openvino.load(folder, 0.25)


def test_a_damaged_graph_is_told_in_one_line(yolo_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "x_openvino_model"
    shutil.copytree(yolo_folder, folder)
    graph = folder / "yolov8n.xml"
    graph.chmod(0o644)
    graph.write_bytes(graph.read_bytes()[:5000])
    with pytest.raises(ModelError, match=r"^x_openvino_model is no model that can be loaded: ") as caught:
        openvino.load(folder, 0.25)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("beside", [["NOSUCH"], ["AUTO:CPU"], []])
def test_the_fastest_place_is_taken_and_one_that_does_not_work_is_passed_over(
    beside: list[str], yolo_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = openvino.on_the_fastest(yolo_folder, 0.25, ["CPU", *beside])
    assert chosen is not None
    assert len(chosen.start([np.zeros((90, 160, 3), np.uint8)])()) == 1
    assert ("NOSUCH cannot be used" in caplog.text) == (beside == ["NOSUCH"])
    if beside != ["AUTO:CPU"]:
        assert chosen.name == "yolov8n_int8_openvino_model on cpu (OpenVINO)"
