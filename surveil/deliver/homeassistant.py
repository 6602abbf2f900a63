"""What Home Assistant is told of the cameras: one retained discovery message for each, with everything it shows.

Facts from Home Assistant's MQTT integration (home-assistant.io/integrations/mqtt, core's `components/mqtt`): one key
too many beside `components` and the whole device is refused; a component's `availability` replaces the device's; the
ids of entities come from `default_entity_id` since 2025.10, which older ones pass over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from surveil import __version__
from surveil.config import Config
from surveil.config.rules import NAME_PATTERN
from surveil.messages import CameraState, Level, Phase

SWITCHES = {"detect": ("Detection", "mdi:motion-sensor"), "assess": ("Assessment", "mdi:brain"),
            "alerts": ("Alerts", "mdi:bell")}  # fmt: skip
"""What a camera's switches are called, and their icons."""
STATE_LENGTH = 255
"""Home Assistant takes no longer state; attributes may be longer."""

SEES: tuple[CameraState, ...] = ("online", "degraded", "blurred", "moved")
"""States in which somebody in view is seen. In the others "nobody there" would be a promise that nobody can keep."""
WELL: tuple[CameraState, ...] = ("online", "connecting", "disabled")
"""States that are no problem: all is well, it has just been started, or somebody wants it so. Any other is one, also
one that a later version brings."""

_LEVELS = [level.name for level in Level]
_NODE_ONLINE = "{{ 'online' if value == 'online' else 'offline' }}"  # `stopped` is neither of Home Assistant's words
_CAMERA_SEES = f"{{{{ 'online' if value_json is mapping and value_json.get('state') in {list(SEES)} else 'offline' }}}}"
_PROBLEM = (
    "{% if value_json is mapping and value_json.get('state') %}"
    f"{{{{ 'OFF' if value_json.state in {list(WELL)} else 'ON' }}}}"
    "{% else %}None{% endif %}"  # unknown
)
# `state` is no name for an attribute: Home Assistant drops it.
_PROBLEM_DETAILS = (
    "{{ {'camera_state': value_json.get('state'), 'since': value_json.get('since'), 'detail': value_json.get('detail')}"
    " | to_json if value_json is mapping else '{}' }}"
)
_PERSON = (
    "{% if value_json is mapping %}{{ 'ON' if value_json.get('person', 0) | int(0) > 0 else 'OFF' }}"
    "{% else %}None{% endif %}"
)
_COUNTS = "{{ {'counts': value_json if value_json is mapping else {}} | to_json }}"
_FPS = "{{ value_json.fps if value_json is mapping and value_json.get('fps') is number else 'None' }}"
_SWITCH = "{{ value.split(' ')[0] }}"  # `OFF 3600` is off

_IS_ALERT = f"value_json is mapping and value_json.get('phase') in {list(get_args(Phase))}"
# Whose risk is shown. Camera health has incidents of its own beside those of what is seen: the end of one must not
# wipe away the other's risk, so the incident is kept in an attribute. `this` is the entity as it was before.
_SHOWN = "{% set shown = this.attributes.get('incident') if this is defined else none %}"
_RISK = (
    f"{{% if not ({_IS_ALERT}) %}}None{{% else %}}{_SHOWN}"
    "{% if value_json.phase != 'end' %}{{ value_json.risk.level }}"
    "{% elif shown in [none, value_json.id] %}none{% else %}{{ this.state }}{% endif %}{% endif %}"
)
_RISK_DETAILS = (
    f"{_SHOWN}{{% if not ({_IS_ALERT}) %}}{{}}"
    "{% elif value_json.phase != 'end' %}{{ {'incident': value_json.id} | to_json }}"
    "{% else %}{{ {'incident': none if shown == value_json.id else shown} | to_json }}{% endif %}"
)
_SUMMARY = (
    f"{{{{ (value_json.assessment.summary or value_json.reason) | truncate({STATE_LENGTH}, true, '…', 0)"
    f" if {_IS_ALERT} else 'None' }}}}"
)
_DETAILS = {
    "id": "id", "rev": "rev", "notify": "notify", "kind": "kind", "rules": "rules", "reason": "reason",
    "risk": "risk.level", "score": "risk.score", "assessment": "assessment.state", "verdict": "assessment.verdict",
    "summary": "assessment.summary", "recommended_action": "assessment.recommended_action", "started": "started",
    "ended": "ended", "end_reason": "end_reason", "previous": "previous", "snapshot_url": "snapshot_url",
    "clip_url": "clip_url",
}  # fmt: skip
"""What an alert's entities carry as attributes, and where the message has it."""
_DETAILS_JSON = ", ".join(f"'{name}': value_json.{path}" for name, path in _DETAILS.items())
_SUMMARY_DETAILS = f"{{{{ {{{_DETAILS_JSON}}} | to_json if {_IS_ALERT} else '{{}}' }}}}"
_EVENT = f"{{% if {_IS_ALERT} %}}{{{{ {{'event_type': value_json.phase, {_DETAILS_JSON}}} | to_json }}}}{{% endif %}}"


class HomeAssistant:
    """The discovery messages of one node's cameras below `prefix`. Pure: no connection, no clock; any thread.

    All topics are whole ones, not below the node's. Everything is to be retained, with QoS 1.
    """

    def __init__(self, config: Config, prefix: str) -> None:
        self._config = config
        self._prefix = prefix
        self._ours = re.compile(rf"{re.escape(prefix)}/device/surveil_{re.escape(config.node)}__([^/]+)/config")

    @property
    def subscription(self) -> str:
        """The filter that brings what was announced before; MQTT has none for a part of a level, so ask `is_ours`."""
        return f"{self._prefix}/device/+/config"

    def topic(self, camera: str) -> str:
        """Return where a camera is announced."""
        return f"{self._prefix}/device/{self._device(camera)}/config"

    def camera_of(self, topic: str) -> str | None:
        """Return the camera that `topic` announces; None where that is not one of this node, present or past.

        No name has two underscores in a row, so that nodes whose names begin alike are told apart.
        """
        match = self._ours.fullmatch(topic)
        return match[1] if match and re.fullmatch(NAME_PATTERN, match[1]) else None

    def is_ours(self, topic: str) -> bool:
        """Return whether `topic` announces a camera of this node, present or past."""
        return self.camera_of(topic) is not None

    def announcements(self) -> dict[str, bytes]:
        """Return what is to be retained for the cameras of the config: topic → payload."""
        return {self.topic(camera): self._payload(camera) for camera in self._config.cameras}

    def removals(self, announced: Iterable[str]) -> dict[str, bytes]:
        """Return what removes the cameras that were `announced` but are no more in the config: topic → nothing."""
        cameras = {topic: self.camera_of(topic) for topic in announced}
        return {
            topic: b"" for topic, camera in cameras.items() if camera is not None and camera not in self._config.cameras
        }

    def _device(self, camera: str) -> str:
        return f"surveil_{self._config.node}__{camera}"

    def _payload(self, camera: str) -> bytes:
        root = f"{self._config.mqtt.base_topic}/{self._config.node}"
        node = {"topic": f"{root}/status", "value_template": _NODE_ONLINE}
        sees = {"topic": f"{root}/{camera}/status", "value_template": _CAMERA_SEES}
        payload = {
            "device": {
                "identifiers": [self._device(camera)],
                "name": self._config.cameras[camera].name or camera,
                "manufacturer": "surveil",
                "model": "camera",
                "sw_version": __version__,
            },
            "origin": {"name": "surveil", "sw_version": __version__},
            "availability": [node, sees],
            "availability_mode": "all",
            "qos": 1,
            "components": self._components(camera, f"{root}/{camera}", node),
        }
        return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()

    def _components(self, camera: str, root: str, node: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        """Return all entities of a camera. Those that hold without its pictures depend on the node alone.

        An alert that a camera was cut off must not be lost in an entity that is not there, and what is wrong with it,
        the last picture and the switches are wanted just then.
        """
        of_pictures = _of_pictures(root)
        of_node = {**_of_status(root), **_of_alerts(root), **_switches(root)}
        for entity in of_node.values():
            entity["availability"] = [node]
        components = {**of_pictures, **of_node}
        slug = (
            self._device(camera).replace("__", "_").replace("-", "_")
        )  # an entity's id has no two underscores in a row
        for name, entity in components.items():
            entity["unique_id"] = f"{self._device(camera)}__{name}"
            entity["default_entity_id"] = f"{entity['platform']}.{slug}_{name}"
        return components


def _of_pictures(root: str) -> dict[str, dict[str, Any]]:
    return {
        "person": {
            "platform": "binary_sensor",
            "name": "Person",
            "device_class": "occupancy",
            "state_topic": f"{root}/objects",
            "value_template": _PERSON,
            "json_attributes_topic": f"{root}/objects",
            "json_attributes_template": _COUNTS,
        },
        "fps": {
            "platform": "sensor",
            "name": "Frame rate",
            "icon": "mdi:filmstrip",
            "entity_category": "diagnostic",
            "state_class": "measurement",
            "unit_of_measurement": "fps",
            "state_topic": f"{root}/status",
            "value_template": _FPS,
        },
    }


def _of_status(root: str) -> dict[str, dict[str, Any]]:
    return {
        "problem": {
            "platform": "binary_sensor",
            "name": "Problem",
            "device_class": "problem",
            "entity_category": "diagnostic",
            "state_topic": f"{root}/status",
            "value_template": _PROBLEM,
            "json_attributes_topic": f"{root}/status",
            "json_attributes_template": _PROBLEM_DETAILS,
        }
    }


def _of_alerts(root: str) -> dict[str, dict[str, Any]]:
    return {
        "risk": {
            "platform": "sensor",
            "name": "Risk",
            "icon": "mdi:shield-alert",
            "device_class": "enum",
            "options": _LEVELS,
            "state_topic": f"{root}/alert",
            "value_template": _RISK,
            "json_attributes_topic": f"{root}/alert",
            "json_attributes_template": _RISK_DETAILS,
        },
        "summary": {
            "platform": "sensor",
            "name": "Last summary",
            "icon": "mdi:text",
            "state_topic": f"{root}/alert",
            "value_template": _SUMMARY,
            "json_attributes_topic": f"{root}/alert",
            "json_attributes_template": _SUMMARY_DETAILS,
        },
        "alert": {
            "platform": "event",
            "name": "Alert",
            "icon": "mdi:alarm-light",
            "event_types": list(get_args(Phase)),
            "state_topic": f"{root}/alert",
            "value_template": _EVENT,
        },
        "snapshot": {
            "platform": "image",
            "name": "Snapshot",
            "content_type": "image/jpeg",
            "image_topic": f"{root}/snapshot",
        },
    }


def _switches(root: str) -> dict[str, dict[str, Any]]:
    return {
        switch: {
            "platform": "switch",
            "name": name,
            "icon": icon,
            "entity_category": "config",
            "command_topic": f"{root}/{switch}/set",
            "state_topic": f"{root}/{switch}/state",
            "payload_on": "ON",
            "payload_off": "OFF",
            "value_template": _SWITCH,
        }
        for switch, (name, icon) in SWITCHES.items()
    }


__all__ = ["SEES", "STATE_LENGTH", "SWITCHES", "WELL", "HomeAssistant"]
