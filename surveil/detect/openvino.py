"""YOLOv8 on a CPU, OpenVINO called directly: uint8 in, normalisation inside the model, a picture on each core.

ultralytics' own predictor around the same model takes 1.4 times as long (docs/design/0002, benchmarks/engine.py).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from surveil.detect import boxes
from surveil.detect.quiet import quieten
from surveil.interfaces import ModelError, Pending
from surveil.messages import Detections, Image

_log = logging.getLogger(__name__)


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

    def _boxes(self, predicted: NDArray[np.float32], size: tuple[int, ...]) -> Detections:
        import torch

        (rows,) = boxes.suppressed(torch.from_numpy(predicted), self._confidence)
        return boxes.fitted(rows, self.input_size, size)


def load(folder: Path, confidence: float, device: str = "cpu") -> OpenVinoDetector | None:
    """Return the model in an `*_openvino_model` folder, compiled and warmed up.

    On `auto` it runs where it is fastest: the CPU, or an Intel GPU beside it, whichever sees more pictures a second
    here and now. None for a model whose input is not one picture of a fixed size, which ultralytics' backend can still
    run. Raises ModelError.
    """
    quieten()
    import openvino

    there = openvino.Core().available_devices if device == "auto" else []
    return on_the_fastest(folder, confidence, ["CPU", *(place for place in there if place.startswith("GPU"))])


def on_the_fastest(folder: Path, confidence: float, places: Sequence[str]) -> OpenVinoDetector | None:
    """Return the model on that of OpenVINO's `places` that sees most pictures a second; see `load`."""
    graph = _graph(folder)
    if graph.is_dynamic() or len(graph.inputs) != 1 or tuple(graph.input().shape)[:2] != (1, 3):
        return None
    compiled = _Compiled(folder, graph, confidence)
    best = compiled.on(places[0])
    rate = _rate(best) if len(places) > 1 else 0.0
    for place in places[1:]:
        try:
            other = compiled.on(place)
            other_rate = _rate(other)
        except ModelError as error:
            _log.warning("OpenVINO's %s cannot be used: %s", place, error)
            continue
        _log.info("%s sees %.0f pictures a second, %s %.0f", best.name, rate, other.name, other_rate)
        if other_rate > rate:
            best, rate = other, other_rate
    return best


class _Compiled:
    """One graph, compiled for one place after the other."""

    def __init__(self, folder: Path, graph: Any, confidence: float) -> None:
        height, width = (int(side) for side in tuple(graph.input().shape)[2:])
        self._folder = folder
        self._size = (height, width)
        self._labels = _labels(folder)
        self._exact = _is_exact(graph)
        self._graph = _fed_with_pictures(graph)
        self._confidence = confidence

    def on(self, place: str) -> OpenVinoDetector:
        """Return the model on a place, warmed up. Raises ModelError."""
        import openvino

        how: dict[str, Any] = {"PERFORMANCE_HINT": "THROUGHPUT"}
        if place == "CPU":
            # Pinned threads collide with those that decode. https://github.com/OpenVisualCloud/iVSR/pull/43
            how["ENABLE_CPU_PINNING"] = False
        if self._exact:
            # Else a CPU with bfloat16 rounds what was exported to be exact.
            how["INFERENCE_PRECISION_HINT"] = openvino.Type.f32
        try:
            model = openvino.Core().compile_model(self._graph, place, how)
        except (RuntimeError, ValueError) as error:
            raise _unusable(self._folder, error) from None
        name = f"{self._folder.name} on {place.lower()} (OpenVINO)"
        detector = OpenVinoDetector(model, self._labels, name, self._size, self._confidence)
        detector.start([np.zeros((*self._size, 3), np.uint8)])()
        return detector


def _graph(folder: Path) -> Any:
    import openvino

    files = sorted(folder.glob("*.xml"))
    if len(files) != 1:
        raise ModelError(f"{folder} holds {len(files)} .xml files, and a model has one")
    try:
        return openvino.Core().read_model(files[0])
    except (RuntimeError, ValueError) as error:
        raise _unusable(folder, error) from None


def _rate(detector: OpenVinoDetector) -> float:
    """Return pictures a second, from a second's worth of black ones."""
    black = np.zeros((*detector.input_size, 3), np.uint8)
    seen, began = 0, time.monotonic()
    while time.monotonic() - began < 1.0:
        for pending in [detector.start([black]) for _ in range(detector.depth)]:
            seen += len(pending())
    return seen / (time.monotonic() - began)


def _unusable(folder: Path, error: Exception) -> ModelError:
    reason = (str(error).strip().splitlines() or ["no reason given"])[-1]
    return ModelError(f"{folder.name} is no model that can be loaded: {reason.strip()[:200]}")


def _is_exact(graph: Any) -> bool:
    """Return whether a graph was exported in full precision: neither quantised nor with halved weights."""
    import openvino

    return not any(
        op.get_type_name() == "FakeQuantize"
        or (op.get_type_name() == "Constant" and op.get_element_type() == openvino.Type.f16)
        for op in graph.get_ordered_ops()
    )


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
