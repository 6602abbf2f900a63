"""What people and machines tell the daemon over MQTT (CONTRACT section 5), understood or refused."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

Switch = Literal["detect", "assess", "alerts"]
SWITCHES: tuple[Switch, ...] = get_args(Switch)
MODES = ("home", "away", "night")
"""Known without any rule: there must be a way out of a mode that rules know. The first holds until another is set."""
_SWITCHED = re.compile(r"(ON|OFF)(?: (\d{1,8}))?", re.ASCII)
_LONGEST_OFF = 31_536_000
_INCIDENT = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}", re.ASCII)
_MAX_SEQ = 2**53


@dataclass(frozen=True, slots=True)
class SwitchCommand:
    """Turn something of a camera on or off; off for so many seconds, where `seconds` says so."""

    camera: str
    switch: Switch
    on: bool
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class ModeCommand:
    """Go into a mode."""

    mode: str


@dataclass(frozen=True, slots=True)
class FeedbackCommand:
    """What somebody says of an incident."""

    incident: str
    verdict: Literal["true", "false"]
    by: str | None


@dataclass(frozen=True, slots=True)
class ReplayCommand:
    """Send all messages after a `seq` again."""

    after: int


@dataclass(frozen=True, slots=True)
class TellAgain:
    """Somebody who knows nothing yet has come: Home Assistant has been started."""


@dataclass(frozen=True, slots=True)
class CameraGone:
    """A camera of an earlier config is still announced at a topic."""

    camera: str
    topic: str


Command = SwitchCommand | ModeCommand | FeedbackCommand | ReplayCommand | TellAgain | CameraGone
LONGEST = 4096
"""A command is short: what has more bytes is none."""


def topics() -> tuple[str, ...]:
    """Return the topics, below the node's, at which commands come in."""
    return (*(f"+/{switch}/set" for switch in SWITCHES), "+/feedback/set", "mode/set", "replay/set")


def understood(topic: str, payload: bytes, cameras: Collection[str], modes: Collection[str]) -> Command:
    """Return the command of a message.

    Args:
        topic: below the node's.
        payload: as it came.
        cameras: those there are.
        modes: those that rules know.

    Raises:
        ValueError: it is none; says why, in a few words.
    """
    if len(payload) > LONGEST:
        raise ValueError(f"it has {len(payload)} bytes")
    text = payload.decode("utf-8")  # a UnicodeDecodeError is a ValueError
    match topic.split("/"):
        case ["mode", "set"]:
            return _mode(text, modes)
        case ["replay", "set"]:
            return _replay(text)
        case [camera, what, "set"] if camera not in cameras:
            raise ValueError(f"there is no camera {camera[:60]!r}")
        case [camera, "feedback", "set"]:
            return _feedback(text)
        case [camera, what, "set"] if what in SWITCHES:
            return _switch(camera, what, text)
    raise ValueError("nothing listens at this topic")


def _switch(camera: str, switch: str, text: str) -> SwitchCommand:
    told = _SWITCHED.fullmatch(text)
    seconds = float(told[2]) if told and told[2] else None
    if told is None or (told[1] == "ON" and seconds is not None):
        raise ValueError("it is neither ON nor OFF nor OFF with seconds")
    if seconds is not None and not 0 < seconds <= _LONGEST_OFF:
        raise ValueError("seconds go from 1 to a year")
    return SwitchCommand(camera, switch, told[1] == "ON", seconds)  # type: ignore[arg-type]  # one of SWITCHES


def _mode(text: str, modes: Collection[str]) -> ModeCommand:
    if text not in modes and text not in MODES:
        raise ValueError(f"no rule knows such a mode; there are {', '.join(sorted({*modes, *MODES}))}")
    return ModeCommand(text)


def _feedback(text: str) -> FeedbackCommand:
    told = _mapping(text)
    incident, verdict, by = told.get("id"), told.get("verdict"), told.get("by")
    if isinstance(verdict, bool):
        verdict = "true" if verdict else "false"
    if not isinstance(incident, str) or not _INCIDENT.fullmatch(incident):
        raise ValueError("its id is no incident's")
    if verdict not in {"true", "false"}:
        raise ValueError('its verdict is neither "true" nor "false"')
    if by is not None and (not isinstance(by, str) or len(by) > 200 or not by.isprintable()):
        raise ValueError("its by is no name")
    return FeedbackCommand(incident, verdict, by)


def _replay(text: str) -> ReplayCommand:
    after = _mapping(text).get("after_seq")
    if isinstance(after, bool) or not isinstance(after, int) or not 0 <= after <= _MAX_SEQ:
        raise ValueError("its after_seq is no whole number from 0")
    return ReplayCommand(after)


def _mapping(text: str) -> dict[str, object]:
    try:
        told = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(told, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - as every other message that is no command
    return told
