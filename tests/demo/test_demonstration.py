"""The whole demo, shortened: the daemon as a process, the yard, the trained models, the broker, the subscriber."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from surveil.deliver.wire import alert_schema
from surveil.demo.weights import DETECTOR, VLM
from tests.real.components import missing, wait_for


def demo(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "surveil", "demo", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, stdout=pipe, stderr=pipe, text=True)


def processes_in(folder: Path) -> list[str]:
    """Return the processes that were started in a folder and still run."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.joinpath("cwd").readlink() == folder and process.name != str(os.getpid()):
                found.append(process.joinpath("cmdline").read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return found


@pytest.fixture
def models() -> None:
    for weights in (DETECTOR, VLM):
        if not weights.exists():
            missing(f"the trained {weights.name}")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("models")
def test_somebody_who_climbs_over_the_fence_is_told_of_and_assessed(tmp_path: Path) -> None:
    with demo(tmp_path, "--seconds", "50", "--json") as running:
        out, err = running.communicate(timeout=200)
    assert running.returncode == 0, err
    messages = [json.loads(line) for line in out.splitlines()]
    validator = jsonschema.Draft202012Validator(alert_schema())
    for message in messages:
        validator.validate(message)
    ends = [message for message in messages if message["phase"] == "end"]
    assert ends
    assert {message["assessment"]["state"] for message in ends} == {"done"}
    assert any("intrusion:garden" in message["rules"] for message in messages)
    assert list((tmp_path / "surveil-demo" / "pictures").rglob("*.jpg"))
    assert not processes_in(tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("models")
def test_ctrl_c_ends_it_with_all_that_it_started(tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        log = tmp_path / "surveil-demo" / "daemon.log"
        wait_for(lambda: log.exists() and "loading the detector" in log.read_text(), 60, "the daemon starts")
        time.sleep(0.5)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=60)
    assert running.returncode == 1  # nothing was assessed yet
    assert "Traceback" not in err
    assert "Next: " in err
    assert not processes_in(tmp_path)


@pytest.mark.usefixtures("models")
def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "surveil-demo").write_text("a file is in the way")
    with demo(tmp_path, "--seconds", "5") as running:
        _, err = running.communicate(timeout=60)
    assert running.returncode == 73
    assert err.count("\n") == 1
    assert "surveil-demo cannot be written: file exists; start the demo where it can" in err
