"""ultralytics' own predictor as a Detector: the reference that every engine's boxes are held against."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from surveil.detect.quiet import quieten
from surveil.messages import Detections, Image


class Predictor:
    """`YOLO.predict` on one picture at a time."""

    def __init__(self, model: Path, imgsz: int | tuple[int, int] = 640, confidence: float = 0.25) -> None:
        quieten()
        from ultralytics import YOLO

        self._yolo: Any = YOLO(str(model), task="detect")
        self._options = {"imgsz": imgsz, "conf": confidence, "device": "cpu", "verbose": False}
        self.see(np.zeros((64, 64, 3), np.uint8))
        names = self._yolo.names
        self.labels = tuple(names[index] for index in range(len(names)))

    def see(self, image: Image) -> Detections:
        """Return what it sees in one picture."""
        (result,) = self._yolo.predict(image, **self._options)
        rows = result.boxes.data.numpy()  # float32 (n, 6): xyxy, confidence, class
        return Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64))
