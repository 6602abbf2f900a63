"""YOLOv8 on a CPU, OpenVINO called directly: uint8 in, normalisation inside the model, a picture on each core.

ultralytics' own predictor around the same model takes 1.4 times as long (docs/design/0002, benchmarks/engine.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from surveil.detect.quiet import quieten
from surveil.interfaces import ModelError, Pending
from surveil.messages import Detections, Image

IOU = 0.7
"""Boxes of one class that overlap more are one: ultralytics' default for its predictor."""


class OpenVinoDetector:
    """One compiled model on the CPU; used by one thread. `load` makes it."""

    batch = 1

    def __init__(self, model: Any, labels: tuple[str, ...], name: str, input_size: tuple[int, int], confidence: float):
        from ultralytics.data.augment import LetterBox

        self.labels = labels
        self.name = name
        self.input_size = input_size
        # One more than the device runs side by side, so that none of its streams waits for us.
        self.depth = int(model.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")) + 1
        self._confidence = confidence
        self._free = [model.create_infer_request() for _ in range(self.depth)]
        self._letterbox = LetterBox(input_size, auto=False)

    def start(self, images: Sequence[Image]) -> Pending:
        """Begin with one picture, or none; at most `depth` may be under way. Raises ModelError."""
        if not images:
            return list
        (image,) = images
        batch = self._letterbox(image=image)[np.newaxis]
        request = self._free.pop()
        request.start_async([batch])  # the device reads the batch where it lies: `finish` holds on to it

        def finish(_batch: Image = batch) -> list[Detections]:
            try:
                request.wait()
                # A copy, because the next picture's numbers will lie in the same memory.
                predicted = request.get_output_tensor().data.copy()
            except RuntimeError as error:
                raise ModelError(f"the detector failed: {str(error).splitlines()[0][:200]}") from error
            finally:
                self._free.append(request)
            return [self._boxes(predicted, image.shape[:2])]

        return finish

    def _boxes(self, predicted: NDArray[np.float32], size: tuple[int, int]) -> Detections:
        import torch
        from ultralytics.utils.nms import non_max_suppression
        from ultralytics.utils.ops import scale_boxes

        (kept,) = non_max_suppression(torch.from_numpy(predicted), self._confidence, IOU)
        rows: NDArray[np.float32] = np.asarray(kept.numpy(), np.float32)  # xyxy, confidence, class
        scale_boxes(self.input_size, rows[:, :4], size)
        rows = rows[np.isfinite(rows).all(axis=1)]
        return Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64))


def load(folder: Path, confidence: float) -> OpenVinoDetector | None:
    """Return the model in an `*_openvino_model` folder, compiled and warmed up.

    None for one whose input is not one picture of a fixed size, which ultralytics' predictor can still run. Raises
    ModelError.
    """
    quieten()
    import openvino

    graphs = sorted(folder.glob("*.xml"))
    if len(graphs) != 1:
        raise ModelError(f"{folder} holds {len(graphs)} .xml files, and a model has one")
    core = openvino.Core()
    try:
        graph = core.read_model(graphs[0])
        if graph.is_dynamic() or len(graph.inputs) != 1 or tuple(graph.input().shape)[:2] != (1, 3):
            return None
        height, width = (int(side) for side in tuple(graph.input().shape)[2:])
        # Pinned threads collide with those that decode. https://github.com/OpenVisualCloud/iVSR/pull/43
        how = {"PERFORMANCE_HINT": "THROUGHPUT", "ENABLE_CPU_PINNING": False}
        model = core.compile_model(_fed_with_pictures(graph), "CPU", how)
    except (RuntimeError, ValueError) as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[-1]
        raise ModelError(f"{folder.name} is no model that can be loaded: {reason.strip()[:200]}") from None
    detector = OpenVinoDetector(model, _labels(folder), f"{folder.name} on cpu (OpenVINO)", (height, width), confidence)
    detector.start([np.zeros((height, width, 3), np.uint8)])()
    return detector


def _fed_with_pictures(graph: Any) -> Any:
    """Return the graph with an input of BGR bytes, height before width, as pictures come from a decoder."""
    import openvino
    from openvino.preprocess import ColorFormat, PrePostProcessor

    prepared = PrePostProcessor(graph)
    pictures = prepared.input()
    pictures.tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    pictures.tensor().set_color_format(ColorFormat.BGR)
    steps = pictures.preprocess().convert_element_type(openvino.Type.f32)
    steps.convert_color(ColorFormat.RGB).scale(255.0)
    pictures.model().set_layout(openvino.Layout("NCHW"))
    return prepared.build()


def _labels(folder: Path) -> tuple[str, ...]:
    """Return the class names from the metadata that ultralytics exports beside the model."""
    file = folder / "metadata.yaml"
    try:
        names = yaml.safe_load(file.read_text(encoding="utf-8"))["names"]
        return tuple(str(names[index]) for index in range(len(names)))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ModelError(f"{file} does not name the model's classes ({type(error).__name__}): export it anew") from None
