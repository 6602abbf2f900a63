from __future__ import annotations

import threading

from surveil.metrics import SAMPLES, Metrics


def test_counters_add_up_over_threads() -> None:
    metrics = Metrics()

    def count() -> None:
        for _ in range(500):
            metrics.count("frames", "a")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert metrics.counted("frames", "a") == 2000
    assert metrics.counted("frames", "b") == 0


def test_quantiles_are_of_the_newest_samples() -> None:
    metrics = Metrics()
    assert metrics.quantiles("latency") is None
    metrics.sample("latency", 0.5)
    assert metrics.quantiles("latency") == {"p50": 0.5, "p95": 0.5, "p99": 0.5}
    for _ in range(SAMPLES):
        metrics.sample("latency", 1.0)
    for number in range(100):
        metrics.sample("other", number / 100)
    assert metrics.quantiles("latency") == {"p50": 1.0, "p95": 1.0, "p99": 1.0}
    other = metrics.quantiles("other")
    assert other is not None
    assert other["p50"] < other["p95"] < other["p99"] <= 0.99
