from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from surveil.detect import yolo
from surveil.interfaces import Detector, ModelError
from surveil.messages import Image


def load(model: Path | str, **options: Any) -> Detector:
    how: dict[str, Any] = {"imgsz": 640, "confidence": 0.25, "device": "cpu", "sha256": None}
    return yolo.load(str(model), **{**how, **options})


@pytest.fixture(scope="module")
def detector(yolo_folder: Path) -> Detector:
    return load(yolo_folder)


def picture_at(video: Path, number: int) -> Image:
    with av.open(str(video)) as container:
        for index, decoded in enumerate(container.decode(video=0)):
            if index == number:
                return np.asarray(decoded.to_ndarray(format="bgr24", width=640, height=360), np.uint8)
    raise AssertionError(number)


@pytest.mark.slow
def test_a_person_is_found_where_there_is_one_and_nowhere_else(detector: Detector, footage: Path) -> None:
    assert detector.labels[0] == "person"
    assert len(detector.labels) == 80
    assert detector.input_size == (640, 640)
    (with_person,) = detector.start([picture_at(footage, 100)])()
    (without,) = detector.start([picture_at(footage, 20)])()
    persons = with_person.where(with_person.class_id == 0)
    assert len(persons) == 1
    assert persons.confidence[0] > 0.8
    x1, y1, x2, y2 = persons.xyxy[0]
    assert 0 <= x1 < x2 <= 640
    assert 0 <= y1 < y2 <= 360
    assert not (without.class_id == 0).any()
    assert detector.start([])() == []


@pytest.mark.slow
def test_a_pt_file_is_loaded_safely_and_batched(untrained: Path) -> None:
    loaded = load(untrained, imgsz=320)
    assert len(loaded.labels) == 80
    assert loaded.input_size == (320, 320)
    found = loaded.start([np.zeros((180, 320, 3), np.uint8)] * 3)()
    assert len(found) == 3


@pytest.mark.slow
def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return Path.touch, (Path(tmp_path / "harmed"),)  # type: ignore[return-value]

    (tmp_path / "harm.pt").write_bytes(pickle.dumps({"model": Harm()}))
    with pytest.raises(ModelError, match=r"harm\.pt is no model that can be loaded"):
        load(tmp_path / "harm.pt")
    assert not (tmp_path / "harmed").exists()


@pytest.mark.slow
def test_a_pinned_file_must_be_the_one(untrained: Path) -> None:
    digest = hashlib.sha256(untrained.read_bytes()).hexdigest()
    load(untrained, imgsz=320, sha256=digest.upper())
    with pytest.raises(ModelError, match=r"is not the file that detector\.sha256 pins"):
        load(untrained, sha256="0" * 64)


@pytest.mark.parametrize("name", ["broken.pt", "broken.onnx", "broken_openvino_model"])
def test_what_is_no_model_is_told_in_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name.endswith("_model"):
        path.mkdir()
        (path / "x.xml").write_text("<net/>")
    else:
        path.write_bytes(b"this is no model")
    with pytest.raises(ModelError) as caught:
        load(path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_here_are_not_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"yolov8n\.pt is not here; surveil models fetch"):
        load("yolov8n.pt")
    assert list(tmp_path.iterdir()) == []
