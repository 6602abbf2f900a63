"""How long to wait before the next try: full jitter, patient only with what has been away for long."""

from __future__ import annotations

import random

EAGER_FOR = 30.0
"""Seconds of trouble during which a come-back should be noticed within a few seconds."""


class Backoff:
    """Waits of uniform(0, cap) seconds; the cap doubles from 1 to 4, and on to 30 after EAGER_FOR seconds.

    Where `patient` is false it stays at 4: for the one server that is ours, to be found at once when it is back.

    Full jitter spreads many clients that lost the same server at once (AWS Architecture Blog, "Exponential
    Backoff And Jitter", 2015).
    """

    def __init__(self, patient: bool = True) -> None:
        self._patient = patient
        self._tries = 0
        self._waited = 0.0

    def next(self) -> float:
        """Return the seconds to wait before the next try."""
        cap = min(2.0**self._tries, 30.0 if self._patient and self._waited >= EAGER_FOR else 4.0)
        self._tries = min(self._tries + 1, 5)
        delay = random.uniform(0.0, cap)  # noqa: S311 - it spreads load and guards nothing
        self._waited += delay
        return delay

    def reset(self) -> None:
        """Begin anew: the last try worked."""
        self._tries = 0
        self._waited = 0.0
