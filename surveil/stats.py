"""The numbers on `<base>/<node>/stats`, and each camera's frame rate."""

from __future__ import annotations

import json
from collections.abc import Callable

from surveil.messages import CameraStatus
from surveil.metrics import Metrics

ENDS = ("done", "failed", "expired", "shed")


class Rates:
    """What happened since the last look, from counters that only grow."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._last: dict[tuple[str, str], tuple[float, float]] = {}

    def rate(self, counter: str, camera: str, now: float) -> float:
        """Return events a second since this was asked last; 0 the first time."""
        return round(self._grown(counter, camera, self._metrics.counted(counter, camera), now), 2)

    def share(self, spent: str, camera: str, now: float) -> float:
        """Return the share of the time since this was asked last that was spent so; 0 the first time."""
        return self._grown(spent, camera, self._metrics.spent(spent, camera), now)

    def _grown(self, name: str, camera: str, count: float, now: float) -> float:
        before, at = self._last.get((name, camera), (count, now))
        self._last[name, camera] = (count, now)
        return (count - before) / (now - at) if now > at else 0.0


class Stats:
    """Puts together what `stats` tells. Used by the main loop only."""

    def __init__(
        self,
        metrics: Metrics,
        queue: Callable[[], int],
        outbox: Callable[[], dict[str, int]],
        assessor: Callable[[], dict[str, str | None] | None] = lambda: None,
    ) -> None:
        self._metrics = metrics
        self._queue = queue
        self._outbox = outbox
        self._assessor = assessor
        self._rates = Rates(metrics)
        self._fps: dict[str, tuple[float, float]] = {}

    def fps(self, camera: str) -> tuple[float, float]:
        """Return a camera's frames a second, those that came in and those detected, as the last payload told them."""
        return self._fps.get(camera, (0.0, 0.0))

    def payload(self, cameras: dict[str, CameraStatus], now: float) -> bytes:
        """Return the JSON; `now` is monotonic seconds."""
        counted = self._metrics.counted
        ends = {state: counted("assessments", state) for state in ENDS}
        outbox = self._outbox()
        self._fps = {
            name: (self._rates.rate("frames", name, now), self._rates.rate("frames_detected", name, now))
            for name in cameras
        }
        return json.dumps(
            {
                "cameras": {
                    name: {
                        "fps_in": self._fps[name][0],
                        "fps_detected": self._fps[name][1],
                        "dropped": counted("frames_dropped", name),
                        "damaged": counted("frames_damaged", name),
                        "state": status.state,
                    }
                    for name, status in cameras.items()
                },
                "queue": self._queue(),
                "assessments": {**ends, "pending": counted("assessments_asked") - sum(ends.values())},
                "assessor": self._assessor(),
                "outbox": outbox.pop("waiting"),
                **outbox,
                "latency_s": {
                    name: self._metrics.quantiles(f"{name}_seconds")
                    for name in ("capture_to_detect", "capture_to_alert", "assessment_wait", "assessment")
                },
            }
        ).encode()
