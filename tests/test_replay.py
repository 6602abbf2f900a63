"""`surveil replay` on real footage: the same bytes every time, six visits, and answers where they are wanted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from surveil.deliver.wire import alert_schema

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

# First frames of the six visits in one-by-one-person.mp4, 10 frames a second (its README, give or take 3).
VISITS = [61, 228, 506, 745, 925, 1235]


def replayed(folder: Path, video: Path, model: Path, *options: str, more: str = "") -> str:
    file = folder / "c.yaml"
    file.write_text(
        f"node: box\ncameras: {{hall: {{source: {video}}}}}\n"
        f"detector: {{model: {model}}}\nalerts: {{linger: 2}}\n{more}"
    )
    done = subprocess.run(
        [sys.executable, "-m", "surveil", "replay", str(video), "--config", str(file), *options],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def messages(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_six_visits_are_six_incidents_and_the_same_bytes_every_time(
    tmp_path: Path, footage: Path, yolo_folder: Path
) -> None:
    first = replayed(tmp_path, footage, yolo_folder, "--no-assess")
    assert replayed(tmp_path, footage, yolo_folder, "--no-assess") == first
    told = messages(first)
    validator = jsonschema.Draft202012Validator(alert_schema())
    for message in told:
        validator.validate(message)
        assert message["kind"] == "person"
        assert message["assessment"]["state"] == "disabled"
    news = [message for message in told if message["phase"] == "new"]
    ends = [message for message in told if message["phase"] == "end"]
    assert len(news) == len(ends) == 6
    for visit, message in zip(VISITS, news, strict=True):
        minute, second = message["started"][14:23].split(":")
        began = int(minute) * 60 + float(second)
        assert -0.3 <= began - visit / 10 <= 1.0
    assert [message["seq"] for message in told] == list(range(1, len(told) + 1))
    assert {message["end_reason"] for message in ends} == {"quiet"}


def test_a_top_view_of_cars_gives_nobody(tmp_path: Path, footage: Path, yolo_folder: Path) -> None:
    cars = footage.with_name("car-detection.mp4")
    assert replayed(tmp_path, cars, yolo_folder, "--no-assess") == ""


def test_the_model_is_asked_and_waited_for(tmp_path: Path, footage: Path, yolo_folder: Path, toy_qwen: Path) -> None:
    import av

    short = tmp_path / "short.mp4"
    with av.open(str(footage)) as source, av.open(str(short), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is None or packet.pts is None or float(packet.pts * packet.time_base) > 18:
                continue
            packet.stream = copy
            target.mux(packet)
    told = messages(
        replayed(
            tmp_path, short, yolo_folder, "--start", "2026-11-22T22:00:00+01:00",
            more=f"assessor: {{backend: qwen, model: {toy_qwen}}}\n",
        )
    )  # fmt: skip
    assert [(m["phase"], m["assessment"]["state"]) for m in told] == [
        ("new", "pending"), ("update", "done"), ("end", "done"),
    ]  # fmt: skip
    assert told[0]["started"].startswith("2026-11-22T21:00:06")
    # The video ends in the middle of the visit.
    assert told[2]["end_reason"] == "camera_lost"
    assert told[1]["assessment"]["model"]
