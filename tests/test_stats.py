from __future__ import annotations

import json

from surveil.messages import CameraStatus
from surveil.metrics import Metrics
from surveil.stats import Stats


def test_rates_are_since_the_last_look_and_assessments_add_up() -> None:
    metrics = Metrics()
    stats = Stats(metrics, queue=lambda: 3, outbox=lambda: {"waiting": 7, "lost": 1, "dead": 2})
    cameras = {"front": CameraStatus("front", "online", 0.0)}
    stats.payload(cameras, now=100.0)
    metrics.count("frames", "front", by=150)
    metrics.count("frames_detected", "front", by=140)
    metrics.count("frames_dropped", "front", by=10)
    metrics.count("frames_damaged", "front", by=2)
    metrics.count("assessments_asked", by=5)
    for state in ("done", "failed", "shed"):
        metrics.count("assessments", state)
    metrics.sample("capture_to_detect_seconds", 0.02)
    told = json.loads(stats.payload(cameras, now=110.0))
    assert told["cameras"]["front"] == {
        "fps_in": 15.0, "fps_detected": 14.0, "dropped": 10, "damaged": 2, "state": "online",
    }  # fmt: skip
    assert stats.fps("front") == (15.0, 14.0)
    assert told["assessments"] == {"done": 1, "failed": 1, "expired": 0, "shed": 1, "pending": 2}
    assert (told["queue"], told["outbox"], told["lost"], told["dead"]) == (3, 7, 1, 2)
    assert told["latency_s"]["capture_to_detect"]["p50"] == 0.02
    assert told["latency_s"]["assessment"] is None
    assert told["assessor"] is None


def test_which_model_answers_and_what_keeps_it_from_that_is_told() -> None:
    state: dict[str, str | None] = {
        "model": "Qwen2.5-VL-7B-Instruct@nf4",
        "fault": "the model's process died; tried again in 15 s",
    }
    stats = Stats(Metrics(), queue=lambda: 0, outbox=lambda: {"waiting": 0}, assessor=lambda: state)
    assert json.loads(stats.payload({}, now=0.0))["assessor"] == state
