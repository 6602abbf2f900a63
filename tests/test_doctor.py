from __future__ import annotations

from pathlib import Path

import pytest

from surveil.config import load
from surveil.doctor import Finding, findings
from tests.real.components import free_port
from tests.real.vlm_server import VlmServer
from tests.test_assessors import weights
from tests.test_cli import surveil_says


def found(folder: Path, assessor: str, model: str = "yolov8n.pt") -> dict[str, Finding]:
    (folder / "c.yaml").write_text(
        f"cameras: {{a: {{source: 'rtsp://h/1'}}}}\ndetector: {{model: {model}}}\nassessor: {assessor}\n"
    )
    return {finding.what: finding for finding in findings(load(folder / "c.yaml"))}


def test_the_sum_of_the_memory_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("surveil.assess.gpu.free_memory_gb", lambda: 12.0)
    told = found(tmp_path, f"{{model: {weights(tmp_path, 16.6)}}}")
    assert told["memory"].told == (
        "weights 16.6 GB; with what answering takes, half precision 19.0 and nf4 8.0; "
        "12.0 are free, 11.0 of them for the VLM: nf4, 8 questions at a time"
    )
    assert told["assessor"].told.startswith("qwen, because")
    assert "16.6 GB" in told["VLM weights"].told


def test_a_card_that_is_too_small_is_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("surveil.assess.gpu.free_memory_gb", lambda: 4.0)
    told = found(tmp_path, f"{{model: {weights(tmp_path, 16.6)}}}")
    assert told["assessor"].told.startswith("none, because")
    assert told["memory"].advice == "free some GPU memory, or ask a server: backend: openai"


def test_what_the_config_asks_for_and_is_not_here_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    told = found(tmp_path, "{backend: qwen}")
    assert told["detector"].missing
    assert told["VLM weights"].missing


def test_a_detector_that_is_here_is_loaded_and_what_a_rule_needs_of_it_is_checked(
    tmp_path: Path, yolo_folder: Path
) -> None:
    told = found(tmp_path, "{backend: none}", str(yolo_folder))["detector"]
    assert not told.missing
    assert told.told.endswith("80 labels")


def test_servers_are_asked_and_each_that_does_not_answer_is_told(tmp_path: Path) -> None:
    away = f"http://127.0.0.1:{free_port()}/v1"
    with VlmServer(models=("toy",)) as server:
        told = found(tmp_path, f"{{backend: openai, model: toy, urls: ['{server.url}', '{away}']}}")
    assert told["VLM servers"].told == "1 of 2 answer"
    assert told["VLM server"].missing
    assert "cannot be reached" in told["VLM server"].told


def test_a_key_that_is_nowhere_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SURELY_NOT_SET", raising=False)
    told = found(tmp_path, "{backend: openai, urls: ['http://127.0.0.1/v1'], api_key: {env: SURELY_NOT_SET}}")
    assert told["VLM servers"].missing
    assert "SURELY_NOT_SET is not set" in told["VLM servers"].told


def test_the_exit_code_says_whether_all_is_there(tmp_path: Path, yolo_folder: Path) -> None:
    for model, code in ((str(yolo_folder), 0), ("yolov8x.pt", 1)):
        file = tmp_path / "c.yaml"
        file.write_text(
            f"cameras: {{a: {{source: 'rtsp://h/1'}}}}\ndetector: {{model: {model}}}\nassessor: {{backend: none}}\n"
        )
        done = surveil_says("doctor", "--config", str(file))
        assert done.returncode == code, done.stderr
        assert ("missing" in done.stdout) == bool(code)
