"""Engines are made once, found again, and never used when they are damaged or for another machine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from surveil.detect import boxes, yolo
from surveil.detect.engines import Engine, EngineCache
from surveil.detect.export import Order, export
from surveil.interfaces import ModelError
from tests.detect.test_openvino import pictures

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> EngineCache:
    return EngineCache(tmp_path_factory.mktemp("engines"))


@pytest.fixture(scope="module")
def engine(untrained: Path, cache: EngineCache) -> Engine:
    return export(Order(untrained, "openvino", "fp32", (384, 640)), cache)


def load(weights: Path) -> str:
    return yolo.load(str(weights), imgsz=640, confidence=0.25, device="auto", sha256=None).name


@pytest.fixture
def used(engine: Engine, cache: EngineCache, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Engine:
    """The engine, alone in a cache of its own that the loader looks into."""
    import shutil

    shutil.copytree(engine.folder, tmp_path / "engines" / engine.folder.name)
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path))
    (found,) = EngineCache().all()
    return found


def test_an_engine_sees_what_its_weights_see(engine: Engine, untrained: Path, footage: Path) -> None:
    exported = yolo.loaded(engine.model, 640, 0.25, "cpu")
    weights = yolo.loaded(untrained, 640, 0.25, "cpu")
    assert exported.labels == weights.labels
    seen = pictures(footage, every=200)
    theirs = [exported.start([image])()[0] for image in seen]
    ours = [weights.start([image])()[0] for image in seen]
    shared, there = boxes.agreement(ours, theirs, overlap=0.99)
    assert there > 50
    assert shared >= 0.99 * there


def test_the_same_order_is_carried_out_once(engine: Engine, untrained: Path, cache: EngineCache) -> None:
    again = export(Order(untrained, "openvino", "fp32", (384, 640)), cache)
    assert again == engine
    assert [made.folder for made in cache.all()] == [engine.folder]
    assert engine.recipe.title == "OpenVINO fp32 640x384"


def test_int8_is_calibrated_with_the_users_own_pictures(untrained: Path, footage: Path, tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)
    order = Order(untrained, "openvino", "int8", (192, 320), calibration=pictures(footage, every=100))
    engine = export(order, cache)
    assert engine.recipe.calibration is not None
    assert "FakeQuantize" in next(engine.model.glob("*.xml")).read_text()
    found = yolo.loaded(engine.model, 320, 0.25, "cpu").start([np.zeros((180, 320, 3), np.uint8)])()
    assert len(found) == 1
    other = replace(order, calibration=pictures(footage, every=150))
    assert other.recipe().key != order.recipe().key
    with pytest.raises(ModelError, match="INT8 needs pictures to be calibrated with"):
        export(replace(order, calibration=()), cache)


def test_the_weights_in_the_config_are_seen_through_their_engine(used: Engine, untrained: Path) -> None:
    name = load(untrained)
    assert name == f"untrained.pt on cpu (OpenVINO fp32 640x384, exported {used.made:%Y-%m-%d})"


def test_a_damaged_engine_is_told_and_the_weights_take_over(
    used: Engine, untrained: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = next(used.model.glob("*.bin"))
    bytes_ = bytearray(weights.read_bytes())
    bytes_[1000] ^= 0xFF
    weights.write_bytes(bytes_)
    assert load(untrained) == "untrained.pt on cpu (torch)"
    assert f"{weights.name}); the weights take over; surveil models export makes it anew" in caplog.text
    assert EngineCache().get(used.recipe) is None


def test_an_engine_of_another_library_is_told_and_not_used(
    used: Engine, untrained: Path, caplog: pytest.LogCaptureFixture
) -> None:
    about = used.folder / "engine.json"
    text = json.loads(about.read_text())
    text["recipe"]["machine"] = ["ultralytics 8.0.0", "openvino 2020.1"]
    about.write_text(json.dumps(text))
    assert load(untrained) == "untrained.pt on cpu (torch)"
    assert "was made with ultralytics 8.0.0, openvino 2020.1; surveil models export makes one" in caplog.text


def test_what_is_no_engine_in_the_cache_is_passed_over(used: Engine, cache: EngineCache) -> None:
    for name, text in (("half", "{"), ("other", "[]"), ("empty", "{}")):
        (used.folder.parent / name).mkdir()
        (used.folder.parent / name / "engine.json").write_text(text)
    assert [engine.folder for engine in EngineCache().all()] == [used.folder]


def test_engines_of_other_weights_or_another_size_are_not_found(engine: Engine, cache: EngineCache) -> None:
    weights = engine.recipe.weights
    assert [one.folder for one in cache.find(weights, 640, ("openvino",))] == [engine.folder]
    assert cache.find(weights, 320, ("openvino",)) == []
    assert cache.find("0" * 64, 640, ("openvino",)) == []
    assert cache.find(weights, 640, ("engine",)) == []


def test_what_cannot_be_exported_is_told_in_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"this is no model")
    with pytest.raises(ModelError, match=r"broken\.pt cannot be exported: ") as caught:
        export(Order(broken, "openvino", "fp32", (320, 320)), EngineCache(tmp_path))
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match=r"x\.onnx cannot be exported: only \.pt weights can"):
        export(Order(tmp_path / "x.onnx", "openvino", "fp32", (320, 320)), EngineCache(tmp_path))
