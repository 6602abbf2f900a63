"""`replay --explain` and `--render` on real footage: what a person looks at to tune a rule."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

CONFIG = """
cameras:
  hall:
    source: rtsp://h/1
    zones:
      right: {{polygon: [[0.55, 0.3], [1, 0.3], [1, 1], [0.55, 1]]}}
      ceiling: {{polygon: [[0, 0], [1, 0], [1, 0.1], [0, 0.1]]}}
    rules:
      - {{when: person, threshold: 0.99, name: sure}}
      - {{when: intrusion, zone: right, for: 1}}
      - {{when: intrusion, zone: ceiling}}
      - {{when: loiter, for: 60}}
      - {{when: person, schedule: "22:00-06:00", name: night}}
      - {{when: object, labels: [elephant]}}
      - {{when: tamper}}
timezone: UTC
detector: {{model: {model}}}
alerts: {{linger: 2}}
"""


@pytest.mark.slow
def test_every_rule_is_accounted_for_and_the_video_shows_it(footage: Path, yolo_folder: Path, tmp_path: Path) -> None:
    visit = tmp_path / "visit.mp4"
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(footage), "-t", "12", "-c", "copy", str(visit)], check=True)
    (tmp_path / "c.yaml").write_text(CONFIG.format(model=yolo_folder))
    done = subprocess.run(
        [sys.executable, "-m", "surveil", "replay", str(visit), "--config", str(tmp_path / "c.yaml"), "--no-assess",
         "--explain", "--render", str(tmp_path / "out.mp4")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    said = done.stderr
    assert "intrusion:right: fired from" in said
    assert "sure: did not fire: the median of ten scores never reached 0.99 (at most 0." in said
    assert "intrusion:ceiling: did not fire: it never stood in zone ceiling" in said
    assert "s, and 60 s are asked for" in said
    assert "night: did not fire: it was there outside 22:00-06:00 only" in said
    assert "object: did not fire: it is about elephant" in said
    assert "\ntamper: did not fire" in said
    assert len(done.stdout.splitlines()) >= 2
    with av.open(str(tmp_path / "out.mp4")) as container:
        pictures = [np.asarray(picture.to_ndarray(format="bgr24"), np.uint8) for picture in container.decode(video=0)]
        length = container.duration / av.time_base if container.duration else 0.0
    assert len(pictures) == pytest.approx(120, abs=2)
    assert length == pytest.approx(12.0, abs=0.3)
    red = [int(((p[..., 2] > 200) & (p[..., 1] < 130) & (p[..., 0] < 130)).sum()) for p in pictures]
    assert max(red[:50]) < 200  # nobody is there yet
    assert max(red[80:]) > 1000  # somebody is in the zone


def test_a_video_that_cannot_be_written_is_told(tmp_path: Path, video: Path) -> None:
    (tmp_path / "c.yaml").write_text("cameras: {a: {source: rtsp://h/1}}")
    done = subprocess.run(
        [sys.executable, "-m", "surveil", "replay", str(video), "--config", str(tmp_path / "c.yaml"), "--no-assess",
         "--render", str(tmp_path / "no" / "out.mp4")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 73
    assert "out.mp4 cannot be written: no such file or directory" in done.stderr
