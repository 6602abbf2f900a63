"""`surveil models` as a user has it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from surveil.models import covering


def surveil(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "surveil", "models", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("sizes", "input_size"),
    [
        ([], (640, 640)),
        ([(1080, 1920)], (384, 640)),
        ([(432, 768), (1080, 1920)], (384, 640)),
        ([(480, 640)], (480, 640)),
        ([(1080, 1920), (480, 640)], (480, 640)),
        ([(1920, 1080)], (640, 384)),
        ([(1080, 1920), (1920, 1080)], (640, 640)),
    ],
)
def test_an_input_is_no_larger_than_the_cameras_need(sizes: list[tuple[int, int]], input_size: tuple[int, int]) -> None:
    assert covering(sizes, 640) == input_size


@pytest.mark.slow
def test_an_engine_is_made_from_a_recording_shown_and_made_only_once(
    untrained: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path))
    assert "there are no engines" in surveil("list").stderr
    order = ("export", untrained, "--calibrate", video, "--format", "openvino")
    made = surveil(*order)
    assert made.returncode == 0, made.stderr
    (line,) = made.stdout.splitlines()
    assert Path(line).is_dir()
    assert Path(line).is_relative_to(tmp_path)
    assert "OpenVINO int8 640x480" in made.stderr
    assert "times as fast" in made.stderr
    assert "pictures to calibrate with, and 300 are better" in made.stderr
    again = surveil(*order)
    assert again.stdout == made.stdout
    assert "is there already" in again.stderr
    listed = surveil("list").stdout
    assert "640x480" in listed
    assert "ready" in listed


def test_what_cannot_be_made_is_told_in_one_line(tmp_path: Path, untrained: Path) -> None:
    missing = surveil("export", tmp_path / "none.pt")
    assert missing.returncode == 78
    assert missing.stderr.strip() == f"the weights {tmp_path}/none.pt are not here; surveil models fetch gets them"
    (tmp_path / "broken.pt").write_bytes(b"no model")
    broken = surveil("export", tmp_path / "broken.pt")
    assert broken.returncode == 1
    assert "broken.pt cannot be exported" in broken.stderr
    assert "Traceback" not in broken.stderr
    uncalibrated = surveil("export", untrained, "--precision", "int8")
    assert uncalibrated.returncode == 1
    assert "INT8 needs pictures to be calibrated with" in uncalibrated.stderr
    for wrong in (("--size", "641x384"), ("--size", "big"), ("--format", "coreml")):
        assert surveil("export", untrained, *wrong).returncode == 64
    assert surveil("export", untrained, "--calibrate", tmp_path / "none.mp4").returncode == 66
