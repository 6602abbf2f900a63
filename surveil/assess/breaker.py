"""A breaker: what has failed several times in a row is left alone for a while, and then tried again."""

from __future__ import annotations

from surveil.clock import Clock

FAULTS_IN_A_ROW = 3
FIRST_REST_SECONDS = 15.0
LONGEST_REST_SECONDS = 300.0


class Breaker:
    """Opens after FAULTS_IN_A_ROW faults; each rest is twice as long as the one before, until something works."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._faults = 0
        self._why = ""
        self._until = clock.monotonic()
        self._rest = FIRST_REST_SECONDS

    @property
    def open(self) -> bool:
        """Whether it is resting. When a rest is over, one more fault begins the next."""
        return self._clock.monotonic() < self._until

    @property
    def on_trial(self) -> bool:
        """Whether a rest is over and nothing has worked since."""
        return self._faults >= FAULTS_IN_A_ROW and not self.open

    @property
    def fault(self) -> str | None:
        """Why it rests and for how long, for people; None when it does not."""
        if not self.open:
            return None
        return f"{self._why}; tried again in {self._until - self._clock.monotonic():.0f} s"

    def worked(self) -> None:
        """Note a success: all faults before are forgotten, and a rest is over."""
        self._faults = 0
        self._until = self._clock.monotonic()
        self._rest = FIRST_REST_SECONDS

    def failed(self, why: str) -> bool:
        """Note a fault; return whether that opened the breaker."""
        self._faults += 1
        self._why = why
        if self._faults < FAULTS_IN_A_ROW or self.open:
            return False
        self._until = self._clock.monotonic() + self._rest
        self._rest = min(2 * self._rest, LONGEST_REST_SECONDS)
        return True
