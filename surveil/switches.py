"""What people have turned off, and for how long; and the mode they are in."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Protocol

from surveil.clock import Clock
from surveil.commands import MODES, SWITCHES, Switch, SwitchCommand
from surveil.interfaces import StorageError
from surveil.store.switches import Switched

_log = logging.getLogger(__name__)


class Table(Protocol):
    """Where switches and mode are kept."""

    def save(self, switched: Switched) -> None:
        """Keep how a switch stands. Raises StorageError."""

    def all(self) -> list[Switched]:
        """Return every switch that was ever moved. Raises StorageError."""

    def save_mode(self, mode: str) -> None:
        """Keep the mode. Raises StorageError."""

    def mode(self) -> str | None:
        """Return the mode that was set last; None where none was. Raises StorageError."""


class Switches:
    """How each camera's switches stand. Used by the main loop only."""

    def __init__(self, cameras: Iterable[str], table: Table, clock: Clock) -> None:
        self.mode = MODES[0]
        self._cameras = tuple(cameras)
        self._table = table
        self._clock = clock
        self._off: dict[tuple[str, Switch], float | None] = {}
        """Those that are off, and the monotonic moment at which they go on again."""

    def load(self, modes: Iterable[str]) -> None:
        """Take up how things stood when the last run ended; `modes` are those that rules know. Raises StorageError."""
        now, wall = self._clock.monotonic(), self._clock.wall()
        for switched in self._table.all():
            for switch in SWITCHES:
                over = switched.until is not None and switched.until <= wall
                if switch == switched.name and switched.camera in self._cameras and not switched.on and not over:
                    left = None if switched.until is None else now + switched.until - wall
                    self._off[switched.camera, switch] = left
        mode = self._table.mode()
        if mode in {*modes, *MODES}:
            self.mode = mode

    def off(self, camera: str) -> list[Switch]:
        """Return what is off at a camera."""
        return [switch for switch in SWITCHES if (camera, switch) in self._off]

    def turn(self, command: SwitchCommand) -> None:
        """Do what a command says."""
        key = (command.camera, command.switch)
        until = None if command.seconds is None else self._clock.monotonic() + command.seconds
        if command.on:
            self._off.pop(key, None)
        else:
            self._off[key] = until
        seconds = "" if command.seconds is None else f" for {command.seconds:.0f} s"
        _log.info("camera=%s %s is %s%s", *key, "on" if command.on else "off", seconds)
        wall = None if command.seconds is None else self._clock.wall() + command.seconds
        self._keep(Switched(command.camera, command.switch, command.on, wall))

    def over(self) -> list[SwitchCommand]:
        """Return what goes on again now, since its time is over."""
        now = self._clock.monotonic()
        return [
            SwitchCommand(camera, switch, on=True)
            for (camera, switch), until in self._off.items()
            if until is not None and until <= now
        ]

    def go_into(self, mode: str) -> None:
        """Go into a mode."""
        self.mode = mode
        _log.info("the mode is %s", mode)
        try:
            self._table.save_mode(mode)
        except StorageError as error:
            _log.warning("the mode would not outlive a restart: %s", error)

    def _keep(self, switched: Switched) -> None:
        try:
            self._table.save(switched)
        except StorageError as error:
            _log.warning("camera=%s a switch would not outlive a restart: %s", switched.camera, error)
