"""`surveil bench` on the real model: numbers that hang together, whatever the machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_numbers_hang_together(tmp_path: Path, yolo_folder: Path, video: Path) -> None:
    (tmp_path / "c.yaml").write_text(f"cameras: {{a: {{source: 'rtsp://h/1'}}}}\ndetector: {{model: {yolo_folder}}}\n")
    done = subprocess.run(
        [sys.executable, "-m", "surveil", "bench", "--config", str(tmp_path / "c.yaml"), "--video", str(video),
         "--seconds", "6"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    (line,) = done.stdout.splitlines()
    told = json.loads(line)
    assert {"decode_fps", "detect_fps", "bound_fps", "pipeline_fps", "efficiency"} <= set(told)
    assert told["size"] == "320x240"
    assert told["dropped"] == 0
    assert told["frames"] > 0
    assert told["efficiency"] == pytest.approx(told["pipeline_fps"] / told["bound_fps"], abs=0.01)
    carried = told["cores"] * 1000 / (told["decode_cpu_ms"] + told["detect_cpu_ms"])
    assert told["bound_fps"] == pytest.approx(min(carried, told["detect_fps"]), rel=0.02)
    assert told["decode_fps"] > told["detect_fps"]
    assert [run["cameras"] for run in told["cameras"]] == [1, 2, 4, 8]
    assert told["frames"] == sum(run["frames"] for run in told["cameras"])
    assert told["pipeline_fps"] == told["cameras"][0]["fps"]
    late = told["capture_to_alert_ms"]
    assert 0 < late["p50"] <= late["p95"] <= late["p99"]
    assert "whole pipeline" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_test_card_is_a_video(tmp_path: Path) -> None:
    import av

    from surveil.capture import test_card

    test_card.write(tmp_path / "card.mp4", 320, 240)
    with av.open(str(tmp_path / "card.mp4")) as container:
        pictures = [picture.to_ndarray(format="bgr24") for picture in container.decode(video=0)]
    assert len(pictures) == test_card.SECONDS * test_card.FPS
    assert pictures[0].shape == (240, 320, 3)
    assert abs(pictures[0].astype(int) - pictures[20]).mean() > 3
