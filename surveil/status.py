"""How each camera is, put together from who knows: its thread, its pictures, the load on the machine."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace

from surveil.clock import Clock
from surveil.messages import CameraState, CameraStatus
from surveil.trigger.scene import Scene

_log = logging.getLogger(__name__)
LIVE: frozenset[CameraState] = frozenset({"online", "degraded", "covered", "blurred", "moved", "frozen", "flooded"})
"""The states of a camera that delivers pictures."""


class StatusBoard:
    """The states of all cameras. Used by the main loop only.

    What its thread says of a camera comes first; of one that is online, what its pictures show; then the load.
    """

    def __init__(self, cameras: Iterable[str], clock: Clock) -> None:
        self._clock = clock
        now = clock.wall()
        self._read = {name: CameraStatus(name, "connecting", now) for name in cameras}
        self._scenes: dict[str, Scene] = {}
        self._slow: dict[str, str] = {}
        self._told = dict(self._read)
        self._off: frozenset[str] = frozenset()

    def read(self, status: CameraStatus) -> None:
        """Take in what a camera's thread says."""
        self._read[status.camera] = status

    def seen(self, camera: str, scene: Scene) -> bool:
        """Take in what a camera's pictures show; return whether that is news."""
        before = self._scenes.get(camera)
        self._scenes[camera] = scene
        return before is None or before.state != scene.state

    def slow(self, slow: dict[str, str]) -> None:
        """Take in which cameras are not seen in full, and what is too slow."""
        self._slow = slow

    def switched_off(self, cameras: Iterable[str]) -> None:
        """Take in which cameras are not watched, since somebody has switched that off."""
        self._off = frozenset(cameras)

    def current(self, camera: str) -> CameraStatus:
        """Return a camera's status as it is now; what changed is logged once."""
        now = self._combined(camera)
        before = self._told[camera]
        if (now.state, now.detail) != (before.state, before.detail):
            changed = now.state != before.state
            now = replace(now, since=self._clock.wall() if changed else before.since)
            if changed and {now.state, before.state} <= LIVE:  # the others its thread has told of
                level = logging.INFO if now.state == "online" else logging.WARNING
                _log.log(level, "camera=%s is %s%s", camera, now.state, f": {now.detail}" if now.detail else "")
            self._told[camera] = now
        return self._told[camera]

    def _combined(self, camera: str) -> CameraStatus:
        read, scene = self._read[camera], self._scenes.get(camera)
        if camera in self._off:
            return replace(read, state="disabled", detail="detect is switched off")
        if read.state != "online":
            return read
        if scene is not None and scene.state != "online":
            return replace(read, state=scene.state, detail=scene.detail)
        if camera in self._slow:
            return replace(read, state="degraded", detail=self._slow[camera])
        return read
