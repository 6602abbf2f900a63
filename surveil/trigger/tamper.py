"""Tampering: a camera that no longer sees its scene, or no longer gives pictures, is a finding."""

from __future__ import annotations

from surveil.messages import CameraState, Finding, Level, Observation
from surveil.trigger.scene import SceneWatch

ABSENT_SECONDS = 30.0
_REASONS: dict[CameraState, str] = {
    "covered": "the camera has been covered",
    "blurred": "the camera's picture has been blurred",
    "moved": "the camera has been looking elsewhere",
    "frozen": "the camera's picture has been frozen",
    "flooded": "the camera has been flooded by light",
}


class TamperRule:
    """A finding in every frame while the camera's scene is not online, and while frames stay away.

    The watch is the one that the camera's status is told from; it has seen each frame before the rule is asked.
    `seconds` is for how long frames must stay away.
    """

    def __init__(
        self, watch: SceneWatch, name: str | None = None, level: Level = Level.high, seconds: float | None = None
    ) -> None:
        self._watch = watch
        self._name = name or "tamper"
        self._level = level
        self._absent = ABSENT_SECONDS if seconds is None else seconds

    def evaluate(self, observation: Observation) -> list[Finding]:
        """Return one finding while something is wrong with what the camera sees."""
        scene = self._watch.scene
        if scene.state == "online":
            return []
        return [self._finding(_REASONS[scene.state], max(0.0, observation.frame.at - scene.since))]

    def absent(self, last_frame_at: float, at: float) -> Finding | None:
        """Return a finding where there has been no frame for too long at monotonic `at`."""
        seconds = at - last_frame_at
        return self._finding("the camera has given no picture", seconds) if seconds >= self._absent else None

    def _finding(self, reason: str, seconds: float) -> Finding:
        return Finding(
            rule=self._name,
            kind="anomaly",
            severity=self._level,
            tracks=frozenset(),
            reason=f"{reason} for {seconds:.0f} s",
            seconds=seconds,
        )
