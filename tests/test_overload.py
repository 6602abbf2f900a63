"""What the machine cannot carry is told by the name of the stage that is too slow."""

from __future__ import annotations

from surveil.metrics import Metrics
from surveil.overload import Overload


def period(overload: Overload, metrics: Metrics, **happened: float) -> dict[str, str]:
    """Let ten seconds pass in which so much was counted for camera `a`."""
    period.now += 10.0  # type: ignore[attr-defined]
    for name in ("frames", "frames_detected", "frames_dropped"):
        metrics.count(name, "a", int(happened.get(name, 0)))
    metrics.spend("decode_seconds", "a", happened.get("decoding", 0.0))
    metrics.spend("decide_wait_seconds", "", happened.get("deciding", 0.0))
    return overload.judge(["a", "b"], period.now)  # type: ignore[attr-defined]


period.now = 0.0  # type: ignore[attr-defined]


def test_a_slow_detector_is_told_while_frames_are_dropped_and_no_longer() -> None:
    metrics = Metrics()
    overload = Overload(metrics)
    assert period(overload, metrics) == {}
    assert period(overload, metrics, frames=300, frames_detected=300) == {}
    told = period(overload, metrics, frames=300, frames_detected=180, frames_dropped=120)
    assert told == {"a": "the detector is too slow: 30 frames a second come in, 18 are seen"}
    assert period(overload, metrics, frames=300, frames_detected=300) == {}


def test_the_main_loop_is_named_where_the_detector_waits_for_it() -> None:
    metrics = Metrics()
    overload = Overload(metrics)
    period(overload, metrics)
    told = period(overload, metrics, frames=300, frames_detected=200, frames_dropped=100, deciding=6.0)
    assert told == {"a": "the main loop is too slow: 30 frames a second come in, 20 are seen"}


def test_decoding_is_named_where_it_leaves_no_time_to_wait_for_packets() -> None:
    metrics = Metrics()
    overload = Overload(metrics)
    period(overload, metrics)
    told = period(overload, metrics, frames=120, frames_detected=120, decoding=9.5)
    assert told == {"a": "decoding is too slow: it keeps a core busy at 12 frames a second"}
    assert period(overload, metrics, frames=120, frames_detected=120, decoding=5.0) == {}
