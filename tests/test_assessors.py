from __future__ import annotations

from pathlib import Path

import pytest

from surveil import assessors
from surveil.assess.assessor import VlmAssessor
from surveil.assess.memory import LARGEST_BATCH
from surveil.assess.openai import OpenAiVlm
from surveil.assess.qwen import QwenVlm
from surveil.clock import SystemClock
from surveil.config import Config, load

CAMERA = "cameras: {a: {source: 'rtsp://h/1'}}\n"


def config(folder: Path, assessor: str) -> Config:
    (folder / "c.yaml").write_text(f"{CAMERA}assessor: {assessor}\n")
    return load(folder / "c.yaml")


def weights(folder: Path, gigabytes: float) -> Path:
    """Make a folder that says to hold weights of a size."""
    here = folder / "weights"
    here.mkdir()
    (here / "config.json").write_text('{"model_type": "qwen2_5_vl"}')
    (here / "model.safetensors.index.json").write_text(f'{{"metadata": {{"total_size": {gigabytes * 1e9}}}}}')
    return here


@pytest.mark.parametrize(
    ("backend", "free", "here", "backend_chosen", "why"),
    [
        ("none", 80.0, True, "none", "the config says so"),
        ("qwen", None, True, "qwen", "there is no NVIDIA GPU, so it is slow"),
        ("auto", None, True, "none", "there is no NVIDIA GPU"),
        ("auto", 8.0, True, "none", "and it needs 8.0 even in nf4"),
        ("auto", 12.0, True, "qwen", "12.0 GB of GPU memory are free, 11.0 of them for the VLM; in nf4 it needs 8.0"),
        ("auto", 24.0, True, "qwen", "in half precision it needs 19.0"),
        ("auto", 24.0, False, "none", "the weights of Qwen/Qwen2.5-VL-7B-Instruct are not on this machine"),
    ],
)
def test_the_assessor_is_what_the_config_asks_and_the_machine_can_carry_and_says_why(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    backend: str,
    free: float | None,
    here: bool,
    backend_chosen: str,
    why: str,
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr("surveil.assess.gpu.free_memory_gb", lambda: free)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    model = str(weights(tmp_path, 16.6)) if here else "Qwen/Qwen2.5-VL-7B-Instruct"
    made = assessors.assessor(config(tmp_path, f"{{backend: {backend}, model: {model}}}"), SystemClock())
    assert (made is None) == (backend_chosen == "none")
    assert f"assessor: {backend_chosen}, because" in caplog.text
    assert why in caplog.text


@pytest.mark.parametrize(
    ("free", "more", "precision", "batch", "ceiling"),
    [
        (None, "", "none", 8, None),
        (80.0, "", "none", LARGEST_BATCH, 79.0),
        (80.0, ", memory_gb: 10", "nf4", 6, 10.0),
        (80.0, ", quantize: nf4", "nf4", LARGEST_BATCH, 79.0),
        (4.0, "", "nf4", 1, 3.0),
        (4.0, ", quantize: none", "none", 1, 3.0),
    ],
)
def test_a_model_in_this_box_gets_what_fits_or_what_is_smallest(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    free: float | None,
    more: str,
    precision: str,
    batch: int,
    ceiling: float | None,
) -> None:
    monkeypatch.setattr("surveil.assess.gpu.free_memory_gb", lambda: free)
    settings = config(tmp_path, f"{{backend: qwen, model: {weights(tmp_path, 16.6)}{more}}}")
    made = assessors.assessor(settings, SystemClock())
    assert isinstance(made, VlmAssessor)
    assert isinstance(made._vlm, QwenVlm)
    residence = made._vlm._residence
    assert (residence.precision, residence.batch, residence.ceiling_gb) == (precision, batch, ceiling)


def test_servers_are_asked_several_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLM_KEY", "hunter2")
    urls = "['http://10.0.0.1/v1', 'http://10.0.0.2/v1']"
    settings = config(tmp_path, f"{{backend: openai, urls: {urls}, api_key: {{env: VLM_KEY}}}}")
    made = assessors.assessor(settings, SystemClock())
    assert isinstance(made, VlmAssessor)
    assert isinstance(made._vlm, OpenAiVlm)
    assert (made.batch, made.depth) == (1, 8)


def test_the_configs_own_wording_and_language_are_used(tmp_path: Path) -> None:
    wording = tmp_path / "wording.txt"
    wording.write_text("You watch a stable. Say whether a horse is unwell.")
    model = weights(tmp_path, 1.0)
    settings = config(tmp_path, f"{{backend: qwen, model: {model}, prompt: {wording}, language: de, views: never}}")
    made = assessors.assessor(settings, SystemClock())
    assert isinstance(made, VlmAssessor)
    assert (made._manner.language, made._manner.wording, made._manner.views) == ("de", wording.read_text(), "never")


def test_weights_for_research_only_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = config(tmp_path, "{backend: qwen, model: Qwen/Qwen2.5-VL-3B-Instruct}")
    assert assessors.assessor(settings, SystemClock()) is not None
    assert "under Qwen's research licence, not for business" in caplog.text


def test_urls_that_nobody_asks_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assessors.assessor(config(tmp_path, "{backend: none, urls: ['http://10.0.0.1/v1']}"), SystemClock())
    assert "assessor.urls are not asked: that takes backend: openai" in caplog.text
