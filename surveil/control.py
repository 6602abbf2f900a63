"""What people tell the daemon while it runs, heard from the broker and done: switches, mode, feedback, replays."""

from __future__ import annotations

import json
import logging
import platform
from collections.abc import Callable
from typing import Any

from surveil.clock import Clock
from surveil.commands import (
    MODES,
    SWITCHES,
    CameraGone,
    Command,
    FeedbackCommand,
    ModeCommand,
    ReplayCommand,
    SwitchCommand,
    TellAgain,
    topics,
    understood,
)
from surveil.config import Config
from surveil.deliver.homeassistant import HomeAssistant
from surveil.deliver.mqtt import Hearing, MqttLink
from surveil.deliver.outbox import Outbox
from surveil.interfaces import StorageError
from surveil.logs import Fold
from surveil.messages import Decision
from surveil.metrics import Metrics
from surveil.store.ledger import AlertLedger
from surveil.switches import Switches
from surveil.trigger.incidents import Moment
from surveil.trigger.policy import Policy

_log = logging.getLogger(__name__)


BIRTH = "homeassistant/status"
"""Where Home Assistant says that it has been started, whatever its discovery prefix is."""


def home_of(config: Config) -> HomeAssistant | None:
    """Return what tells Home Assistant of the cameras; None where it is not to know."""
    return None if config.mqtt.discovery is None else HomeAssistant(config, config.mqtt.discovery)


def modes_of(config: Config) -> frozenset[str]:
    """Return the modes that rules know."""
    return frozenset(mode for camera in config.cameras.values() for rule in camera.rules for mode in rule.modes)


class Ear:
    """Turns what the broker brings into commands for the main loop. Called on the link's thread.

    Args:
        config: whose node, cameras and rules.
        machine: this machine's own name for itself, told in `info`.
        hand_on: takes a command, and says whether there was room for it.
        metrics: counts what was not understood.
    """

    def __init__(self, config: Config, machine: str, hand_on: Callable[[Command], bool], metrics: Metrics) -> None:
        self._config = config
        self._machine = machine
        self._hand_on = hand_on
        self._metrics = metrics
        self._root = f"{config.mqtt.base_topic}/{config.node}"
        self._home = home_of(config)
        self._modes = modes_of(config)
        self._fold = Fold(_log)

    def hearing(self) -> Hearing:
        """Return what is listened to."""
        heard = [f"{self._root}/{topic}" for topic in (*topics(), "info")]
        if self._home is not None:
            heard += [BIRTH, self._home.subscription]
        return Hearing(heard, self.hear)

    def hear(self, topic: str, payload: bytes, retained: bool) -> None:
        """Take one message. Raises ValueError, with why, for one that is no command."""
        below = topic.removeprefix(f"{self._root}/")
        command: Command | None
        if below == topic:
            command = self._of_home(topic, payload)
        elif below == "info":
            self._compare(payload)
            command = None
        else:
            command = self._of_people(below, payload, retained)
        if command is not None and not self._hand_on(command):
            self._fold.warn("a command was lost: the main loop does not keep up")

    def _of_people(self, below: str, payload: bytes, retained: bool) -> Command:
        try:
            if retained:
                raise ValueError("it is retained, and would come again with every connection")
            return understood(below, payload, self._config.cameras, self._modes)
        except ValueError:
            self._metrics.count("commands_refused")
            raise

    def _of_home(self, topic: str, payload: bytes) -> Command | None:
        """Return what follows from what Home Assistant says, or from what it still has of us."""
        if topic == BIRTH:
            return TellAgain() if payload == b"online" else None
        camera = self._home.camera_of(topic) if self._home is not None else None
        if camera is None or camera in self._config.cameras or not payload:
            return None
        return CameraGone(camera, topic)

    def _compare(self, payload: bytes) -> None:
        """Tell where another machine has this node's name: each would take the other's alerts for its own."""
        told = json.loads(payload)
        if isinstance(told, dict) and isinstance(told.get("machine"), str) and told["machine"] != self._machine:
            other = str(told.get("host"))[:100]
            node = self._config.node
            self._fold.error(
                f"two machines are node {node}: this one ({platform.node()}) and {other!r}; give one another `node`"
            )


class Control:
    """Does what commands say. Used by the main loop only."""

    def __init__(
        self, switches: Switches, policy: Policy, ledger: AlertLedger, outbox: Outbox, link: MqttLink, clock: Clock
    ) -> None:
        self.switches = switches
        self._policy = policy
        self._ledger = ledger
        self._outbox = outbox
        self._link = link
        self._clock = clock

    def announce(self, home: HomeAssistant | None) -> None:
        """Tell Home Assistant of every camera, where it is to know."""
        for topic, payload in (home.announcements() if home is not None else {}).items():
            self._link.announce(topic, payload)

    def begin(self, modes: frozenset[str]) -> None:
        """Take up how things stood when the last run ended."""
        try:
            self.switches.load(modes)
        except StorageError as error:
            _log.warning("everything is switched on, since how it stood cannot be read: %s", error)
        for camera in self._policy.cameras:
            self._switched(camera)
        self._tell_mode()

    def tick(self) -> tuple[list[str], list[Decision]]:
        """Turn on what was off for a time that is over; return the cameras, and what was decided."""
        cameras, decisions = [], []
        for command in self.switches.over():
            decisions += self.take(command)
            cameras.append(command.camera)
        return cameras, decisions

    def take(self, command: Command) -> list[Decision]:
        """Do what a command says; return what was decided by that."""
        match command:
            case SwitchCommand():
                self.switches.turn(command)
                return self._switched(command.camera)
            case ModeCommand(mode):
                self.switches.go_into(mode)
                self._tell_mode()
            case FeedbackCommand():
                self._judge(command)
            case ReplayCommand(after):
                self._replay(after)
            case TellAgain():
                self._link.tell_again()
            case CameraGone():
                self._forget(command)
        return []

    def _forget(self, gone: CameraGone) -> None:
        """Remove what the broker still keeps of a camera that has left the config."""
        _log.info("camera=%s has left the config, and Home Assistant is told", gone.camera)
        self._link.announce(gone.topic, b"")
        for topic in ("status", "objects", "snapshot", *(f"{switch}/state" for switch in SWITCHES)):
            self._link.retain(f"{gone.camera}/{topic}", b"", 1)

    def _switched(self, camera: str) -> list[Decision]:
        off = self.switches.off(camera)
        for switch in SWITCHES:
            self._link.retain(f"{camera}/{switch}/state", b"OFF" if switch in off else b"ON", 1)
        now = Moment(self._clock.monotonic(), self._clock.wall())
        return self._policy.cameras[camera].switch(off, now)

    def _tell_mode(self) -> None:
        for camera in self._policy.cameras.values():
            camera.mode = self.switches.mode
        self._link.retain("mode/state", self.switches.mode.encode(), 1)

    def _judge(self, command: FeedbackCommand) -> None:
        try:
            known = self._ledger.judge(command.incident, command.verdict, command.by)
        except StorageError as error:
            _log.warning("alert=%s feedback is lost: %s", command.incident, error)
            return
        if known:
            _log.info("alert=%s is called %s by %s", command.incident, command.verdict, command.by or "somebody")
        else:
            _log.warning("alert=%s there is no such alert to give feedback on", command.incident)

    def _replay(self, after: int) -> None:
        try:
            count = self._ledger.send_again(after)
            self._outbox.look_again()
        except StorageError as error:
            _log.warning("nothing can be sent again: %s", error)
            return
        _log.info("%d alert messages after seq %d are sent again", count, after)
        self._link.wake()


def info(config: Config, machine: str, about: dict[str, Any]) -> bytes:
    """Return the JSON of the topic `info`; `about` is what the service adds."""
    told = {
        **about,
        "node": config.node,
        "name": config.name,
        "machine": machine,
        "host": platform.node(),
        "modes": sorted({*modes_of(config), *MODES}),
        "cameras": {name: {"name": c.name, "labels": c.labels} for name, c in config.cameras.items()},
    }
    return json.dumps(told).encode()
