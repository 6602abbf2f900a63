from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from surveil.demo import weights
from surveil.demo.demonstration import Demonstration
from surveil.interfaces import ModelError, StorageError
from tests.real.components import wait_for


def test_a_model_that_is_missing_is_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "VLM", tmp_path / "qwen")
    with pytest.raises(ModelError, match="qwen is missing: make demo-models trains the demo's models"):
        Demonstration(5.0, tmp_path / "surveil-demo", None).run()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["yard.pt", "qwen/config.json", "qwen/tokenizer.json", "qwen/model.safetensors"])
def test_a_damaged_model_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    models = tmp_path / "models"
    shutil.copytree(weights.DETECTOR.parent, models)
    (models / name).write_bytes((models / name).read_bytes()[:1000])
    monkeypatch.setattr(weights, "DETECTOR", models / "yard.pt")
    monkeypatch.setattr(weights, "VLM", models / "qwen")
    with pytest.raises(ModelError, match=f"{name} is damaged: install surveil anew"):
        Demonstration(5.0, tmp_path / "surveil-demo", None).run()
    assert not (tmp_path / "surveil-demo").exists()


def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "surveil-demo").write_text("a file is in the way")
    with pytest.raises(StorageError, match="surveil-demo cannot be written: file exists; start the demo where it can"):
        Demonstration(5.0, tmp_path / "surveil-demo", None).run()


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "surveil", "demo", *options],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )


def left_running(folder: Path) -> list[str]:
    """Return the command lines of processes that use a folder's config."""
    lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if "surveil run --config surveil-demo" in line and (process.parent / "cwd").readlink() == folder:
                lines.append(line)
    return lines


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_whole_story_is_told_and_assessed(tmp_path: Path) -> None:
    told, said = (running := start(tmp_path, "--seconds", "80", "--json")).communicate(timeout=200)
    log = (tmp_path / "surveil-demo" / "daemon.log").read_text()
    assert running.returncode == 0, f"{said}\n{log}"
    messages = [json.loads(line) for line in told.splitlines()]
    newest = {message["id"]: message for message in messages}
    assert {message["assessment"]["state"] for message in newest.values()} == {"done"}, log
    assert len({message["risk"]["level"] for message in newest.values()}) >= 2
    assert "anomaly" in {message["kind"] for message in newest.values()}
    for message in newest.values():
        assert message["assessment"]["model"]
        assert message["assessment"]["summary"]
        assert (tmp_path / "surveil-demo" / "pictures" / message["snapshot"]).read_bytes()[:2] == b"\xff\xd8"
    assert not left_running(tmp_path)


@pytest.mark.slow
def test_ctrl_c_ends_everything_that_was_started(tmp_path: Path) -> None:
    running = start(tmp_path)
    log = tmp_path / "surveil-demo" / "daemon.log"
    wait_for(lambda: log.exists() and "ready: node demo" in log.read_text(), 60, "the daemon is ready")
    running.send_signal(signal.SIGINT)
    told, said = running.communicate(timeout=40)
    assert running.returncode in {0, 1}
    assert not told
    assert "Traceback" not in said
    assert "incidents" in said
    assert not left_running(tmp_path)
