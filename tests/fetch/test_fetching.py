"""Which models are wanted, and that what goes wrong with one stops no other."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from surveil.config import Config
from surveil.fetch import fetching
from surveil.fetch.errand import Order, Outcome
from tests.fetch.conftest import Ear
from tests.fetch.servers import Server

QWEN = "Qwen/Qwen2.5-VL-7B-Instruct"
PIN = "AB" * 32


def config(detector: str = "{}", assessor: str = "{}") -> Config:
    cameras = '{"a": {"source": "rtsp://h/1"}}'
    return Config.model_validate_json(f'{{"cameras": {cameras}, "detector": {detector}, "assessor": {assessor}}}')


def test_the_configs_models_are_wanted(ear: Ear) -> None:
    pinned = config(f'{{"model": "yolov8s", "sha256": "{PIN}"}}', '{"backend": "qwen", "model": "owner/toy"}')
    assert fetching.orders(pinned, [], ear) == [Order("yolov8s", PIN.lower()), Order("owner/toy")]
    assert ear.lines == []


def test_without_a_gpu_that_is_said(ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("surveil.assess.gpu.free_memory_gb", lambda: None)
    assert fetching.orders(config(), [], ear) == [Order("yolov8n.pt"), Order(QWEN)]
    assert ear.lines == [f"note: no NVIDIA GPU is here; without one assessor.backend: auto leaves {QWEN} unused"]


@pytest.mark.parametrize("backend", ["none", "openai"])
def test_where_no_vlm_is_in_this_box_none_is_wanted(ear: Ear, backend: str) -> None:
    assert fetching.orders(config(assessor=f'{{"backend": "{backend}"}}'), [], ear) == [Order("yolov8n.pt")]
    assert ear.lines == [f"assessor: nothing to fetch for backend: {backend}"]


def test_named_models_are_wanted_once_and_the_pin_is_the_detectors(ear: Ear) -> None:
    pinned = config(f'{{"model": "yolov8n.pt", "sha256": "{PIN}"}}')
    wanted = fetching.orders(pinned, ["yolov8s.pt", "yolov8n", "yolov8s.pt", QWEN], ear)
    assert wanted == [Order("yolov8s.pt"), Order("yolov8n", PIN.lower()), Order(QWEN)]


def test_each_has_its_turn(server: Server, tmp_path: Path, ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    server.publish("yolov8n.pt", b"weights")
    (tmp_path / "mine.onnx").write_bytes(b"my own")
    (tmp_path / "yolov8n_openvino_model").mkdir()
    wanted = ["yolov8x", "mine.onnx", "absent.onnx", "a/absent.pt", "yolov8n_openvino_model", "no name", "yolov8n"]
    outcomes = list(fetching.outcomes([Order(model) for model in wanted], ear, server.url))
    assert outcomes == [
        Outcome("yolov8x", "failed"),
        Outcome("mine.onnx", "here, not checked", Path("mine.onnx"), 6),
        Outcome("absent.onnx", "failed"),
        Outcome("a/absent.pt", "failed"),
        Outcome("yolov8n_openvino_model", "here, not checked", Path("yolov8n_openvino_model"), 0),
        Outcome("no name", "failed"),
        Outcome("yolov8n", "fetched", Path("yolov8n.pt"), 7),
    ]
    neither = "is not here, nor a name that could be fetched, as yolov8n.pt or owner/name are"
    where = server.url.removeprefix("http://")
    assert ear.lines == [
        f"yolov8x: is not among the releases of ultralytics/assets on {where}; look at its spelling",
        "mine.onnx: nothing to fetch, it is a path of yours",
        f"absent.onnx: {neither}",
        f"a/absent.pt: {neither}",
        "yolov8n_openvino_model: nothing to fetch, it is a path of yours",
        f"no name: {neither}",
        f"fetching yolov8n.pt, 7 bytes, from {where}",
    ]


def test_a_pin_is_held_for_ones_own_file_too(tmp_path: Path, ear: Ear) -> None:
    file = tmp_path / "mine.pt"
    file.write_bytes(b"my own")
    (outcome,) = fetching.outcomes([Order(str(file), PIN.lower())], ear)
    assert outcome.state == "failed"
    assert ear.lines[-1].endswith(
        "is here, but is not the one that detector.sha256 pins; move it away, and fetch again"
    )


def test_the_table_says_what_is_where() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(fetching.table([Outcome("m", "ready", Path("/x/m"), 16_600_000_000), Outcome("[b]", "failed")]))
    lines = [" ".join(line.split()) for line in console.export_text().splitlines()]
    assert lines == ["model size state where", "m 16.6 GB ready /x/m", "[b] failed"]
