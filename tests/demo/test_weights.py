"""The small detector that the package brings: small, loadable by the daemon's own code, and right about the story."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from surveil.demo import storyline
from surveil.demo.moment import LABELS
from surveil.demo.scene import Scene
from surveil.demo.weights import DETECTOR, DETECTOR_IMGSZ, VLM
from surveil.messages import Box
from tests.real.components import missing

pytestmark = pytest.mark.slow


def there(path: Path) -> Path:
    if not path.exists():
        missing(f"the trained {path.name}")
    return path


def overlap(first: Box, second: Box) -> float:
    """Return the share of two boxes' union that both cover."""
    wide = min(first[2], second[2]) - max(first[0], second[0])
    high = min(first[3], second[3]) - max(first[1], second[1])
    both = max(0.0, wide) * max(0.0, high)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second))
    return both / (areas - both)


def test_it_is_as_small_as_was_said() -> None:
    assert there(DETECTOR).stat().st_size <= 4_000_000


def test_the_detector_sees_what_the_story_tells() -> None:
    import cv2
    import numpy as np

    from surveil.detect import yolo

    detector = yolo.load(str(there(DETECTOR)), imgsz=DETECTOR_IMGSZ, confidence=0.25, device="cpu", sha256=None)
    assert detector.labels == LABELS
    scene, told, found = Scene(77), 0, 0
    for second in (8.0, 15.5, 30.0, 33.5, 37.5, 41.0, 50.0):
        picture, truth = scene.picture(storyline.moment(77, second))
        small = np.asarray(cv2.resize(picture, (384, 216), interpolation=cv2.INTER_AREA), np.uint8)
        (seen,) = detector.start([small])()
        boxes = [
            (detector.labels[int(kind)], box / [384, 216, 384, 216])
            for kind, box in zip(seen.class_id, seen.xyxy, strict=True)
        ]
        for one in truth.seen:
            told += 1
            found += any(label == one.thing.label and overlap(tuple(box), one.box) > 0.5 for label, box in boxes)
    assert told >= 8
    assert found >= 0.85 * told


def test_the_vlm_is_as_small_as_was_said_and_is_loaded_without_the_network() -> None:
    files = [file for file in there(VLM).iterdir() if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 15_000_000
    assert {file.name for file in files} >= {"config.json", "model.safetensors", "tokenizer.json"}


def test_the_vlm_answers_in_the_shape_it_is_asked_for_and_sees_a_climber() -> None:
    from training.measuring import measured

    told = asyncio.run(measured(there(VLM), count=8, pairs=0))
    assert told["valid"] == 1.0
    assert told["level"] >= 0.5  # of eight; how it is with five hundred stands in training/README.md
