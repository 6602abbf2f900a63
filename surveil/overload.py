"""Load that the machine cannot carry, told by name: which stage is too slow for which camera."""

from __future__ import annotations

from collections.abc import Iterable

from surveil.metrics import Metrics
from surveil.stats import Rates

FULL = 0.9
"""A stage that is at work for this share of the time has no room left."""
_COUNTED = ("frames", "frames_detected", "frames_dropped")


class Overload:
    """Judges the time since it was asked last. Used by the main loop only."""

    def __init__(self, metrics: Metrics) -> None:
        self._rates = Rates(metrics)

    def judge(self, cameras: Iterable[str], now: float) -> dict[str, str]:
        """Return, of each camera that is not seen in full, what is too slow; `now` is monotonic seconds."""
        names = list(cameras)
        rates = {name: {what: self._rates.rate(what, name, now) for what in _COUNTED} for name in names}
        decoding = {name: self._rates.share("decode_seconds", name, now) for name in names}
        deciding = self._rates.share("decide_wait_seconds", "", now)
        told = {}
        for name in names:
            fps, seen, dropped = (rates[name][what] for what in _COUNTED)
            if dropped > 0:
                stage = "the main loop" if deciding > 1 - FULL else "the detector"
                told[name] = f"{stage} is too slow: {fps:.0f} frames a second come in, {seen:.0f} are seen"
            elif decoding[name] >= FULL:
                told[name] = f"decoding is too slow: it keeps a core busy at {fps:.0f} frames a second"
        return told
