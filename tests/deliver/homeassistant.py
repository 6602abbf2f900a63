"""As much of Home Assistant as the tests need: templates, rules for what is discovered, automations; and our messages.

The rules are its own, written down from core's MQTT schemas (`components/mqtt`) of 2026. Templates are rendered as it
does: in Jinja's sandbox, with its filters; what is undefined is an error here, and there a line in somebody's log.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import yaml
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from surveil.config import Config, load
from surveil.deliver.wire import Envelope
from surveil.messages import Alert, Assessment, Level, Risk, Subject
from surveil.testing import answer

Message = dict[str, Any]


# Messages of ours.

ID, OTHER = "01ARYZ6S410000000000000000", "01ARYZ6S410000000000000001"
HOSTILE = "\"}] {{ 1/0 }} {% raise %} 'None'\n\\n <b>\u2028ü</b> " + "x" * 300
ALERT = Alert(
    id=ID, rev=1, phase="new", changed=(), notify=False, camera="front", kind="person", rules=("person",),
    reason="person in view for 0.2 s", started=946728000.12, updated=946728000.12, ended=None,
    risk=Risk(Level.low, 20, "rules", Level.low), assessment=Assessment(ID, "front", "pending"),
    subjects=(Subject(3, "person", 0.87, (0.31, 0.22, 0.45, 0.83), 4.2),),
)  # fmt: skip
HIGH = replace(ALERT, risk=Risk(Level.high, 60, "rules", Level.high))


def configured(folder: Path) -> Config:
    """Return a config of two cameras, of which one has a name."""
    (folder / "c.yaml").write_text(
        "node: gate-box\nmqtt: {base_topic: house/cams}\n"
        "cameras: {front: {source: rtsp://h/1, name: 'Front \"door\" ü'}, back_yard-2: {source: rtsp://h/2}}\n"
    )
    return load(folder / "c.yaml")


def message(config: Config, alert: Alert, snapshot: str | None = None, **changes: Any) -> Message:
    """Return the message of `alert` as subscribers read it, with `changes` of the test's."""
    return {**json.loads(Envelope(config).message(alert, 7, snapshot).line()), **changes}


def said(summary: str) -> Assessment:
    """Return an assessment with this summary."""
    return Assessment(ID, "front", "done", answer(50, summary), 1200)


# Its templates.


def environment() -> ImmutableSandboxedEnvironment:
    jinja = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    jinja.filters["to_json"] = lambda value: json.dumps(value, ensure_ascii=False, allow_nan=False)
    return jinja


def rendered(template: str, payload: str, **variables: Any) -> str:
    """Return what an MQTT entity makes of a message; `value_json` is there only where it is JSON."""
    with suppress(ValueError):
        variables["value_json"] = json.loads(payload)
    return environment().from_string(template).render(value=payload, **variables).strip()


def this(state: str, **attributes: Any) -> SimpleNamespace:
    return SimpleNamespace(state=state, attributes=attributes)


# Its rules for what is discovered.

TEXT = {"type": "string", "minLength": 1}
TOPIC = {"type": "string", "minLength": 1, "maxLength": 65535, "not": {"pattern": "[+#\\u0000]"}}
QOS = {"enum": [0, 1, 2]}
AVAILABILITY = {
    "availability": {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["topic"],
            "additionalProperties": False,
            "properties": {
                "topic": TOPIC, "payload_available": TEXT, "payload_not_available": TEXT, "value_template": TEXT,
            },
        },
    },
    "availability_mode": {"enum": ["all", "any", "latest"]},
    "availability_topic": TOPIC,
    "availability_template": TEXT,
    "payload_available": TEXT,
    "payload_not_available": TEXT,
}  # fmt: skip
ONE_AVAILABILITY = {"not": {"required": ["availability", "availability_topic"]}}
SHARED = {**AVAILABILITY, "state_topic": TOPIC, "command_topic": TOPIC, "qos": QOS, "encoding": {"type": "string"}}
DEVICE = {
    "type": "object",
    "required": ["device", "origin", "components"],
    "additionalProperties": False,  # one key too many, and nothing of the device appears
    "properties": {
        **SHARED,
        "device": {
            "type": "object",
            "anyOf": [{"required": ["identifiers"]}, {"required": ["connections"]}],
            "additionalProperties": False,
            "properties": {
                "identifiers": {"type": "array", "minItems": 1, "items": TEXT},
                **dict.fromkeys(("name", "manufacturer", "model", "model_id", "sw_version", "hw_version"), TEXT),
                **dict.fromkeys(("serial_number", "suggested_area", "via_device", "configuration_url"), TEXT),
            },
        },
        "origin": {
            "type": "object",
            "required": ["name"],
            "additionalProperties": False,
            "properties": {"name": TEXT, "sw_version": TEXT, "support_url": {"pattern": "^https?://"}},
        },
        "components": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": "^[a-zA-Z0-9_-]+$"},
            "additionalProperties": {"type": "object", "required": ["platform", "unique_id"]},
        },
    },
    **ONE_AVAILABILITY,
}
COMMON = {
    **AVAILABILITY,
    "platform": TEXT,
    "unique_id": TEXT,
    "qos": QOS,
    "encoding": {"type": "string"},
    "name": {"type": ["string", "null"]},
    "default_entity_id": {"pattern": "^[a-z_]+\\.(?!.*__)[a-z0-9](?:[a-z0-9_]*[a-z0-9])?$"},
    "enabled_by_default": {"type": "boolean"},
    "entity_category": {"enum": ["config", "diagnostic"]},
    "icon": {"pattern": "^[a-z]+:[a-z0-9-]+$"},
    "json_attributes_topic": TOPIC,
    "json_attributes_template": TEXT,
}
READS = {"state_topic": TOPIC, "value_template": TEXT}
BINARY = [
    "battery", "battery_charging", "carbon_monoxide", "cold", "connectivity", "door", "garage_door", "gas", "heat",
    "light", "lock", "moisture", "motion", "moving", "occupancy", "opening", "plug", "power", "presence", "problem",
    "running", "safety", "smoke", "sound", "tamper", "update", "vibration", "window",
]  # fmt: skip


def platform(required: list[str], properties: Message, **more: Any) -> Message:
    return {
        "type": "object",
        "required": ["platform", "unique_id", *required],
        "additionalProperties": False,
        "properties": {**COMMON, **properties},
        **ONE_AVAILABILITY,
        **more,
    }


PLATFORMS = {
    "binary_sensor": platform(
        ["state_topic"],
        {**READS, "device_class": {"enum": BINARY}, "payload_on": TEXT, "payload_off": TEXT, "expire_after": {},
         "off_delay": {}, "force_update": {}},
    ),
    "sensor": platform(
        ["state_topic"],
        {**READS, "device_class": {"type": ["string", "null"]}, "unit_of_measurement": TEXT, "expire_after": {},
         "force_update": {}, "state_class": {"enum": ["measurement", "measurement_angle", "total", "total_increasing"]},
         "options": {"type": "array", "minItems": 1, "items": TEXT, "uniqueItems": True},
         "suggested_display_precision": {}, "last_reset_value_template": {}},
        # An enum has its options, and they are for enums alone, which have neither class nor unit.
        dependentSchemas={"options": {
            "required": ["device_class"],
            "properties": {"device_class": {"const": "enum"}, "state_class": False, "unit_of_measurement": False},
        }},
    ),
    "event": platform(
        ["state_topic", "event_types"],
        {**READS, "device_class": {"enum": ["button", "doorbell", "motion", None]},
         "event_types": {"type": "array", "minItems": 1, "items": TEXT}},
    ),
    "image": platform(
        [],
        {"image_topic": TOPIC, "url_topic": TOPIC, "content_type": {"pattern": "^image/"},
         "image_encoding": {"const": "b64"}, "url_template": TEXT},
        oneOf=[{"required": ["image_topic"]}, {"required": ["url_topic"]}],
    ),
    "switch": platform(
        ["command_topic"],
        {**READS, "command_topic": TOPIC, "command_template": TEXT, "payload_on": TEXT, "payload_off": TEXT,
         "state_on": TEXT, "state_off": TEXT, "retain": {"type": "boolean"}, "optimistic": {"type": "boolean"},
         "device_class": {"enum": ["outlet", "switch"]}},
    ),
}  # fmt: skip
DISCOVERY_TOPIC = re.compile(r"homeassistant/(?P<component>\w+)/(?P<object_id>[a-zA-Z0-9_-]+)/config")


def entities(payload: Message) -> Iterator[tuple[str, Message]]:
    """Yield each component with what it takes over from the device, as Home Assistant sets it up."""
    for name, component in payload["components"].items():
        yield name, {**{key: payload[key] for key in SHARED if key in payload}, **component}


def check(payload: Message) -> None:
    jsonschema.validate(payload, DEVICE, cls=jsonschema.Draft202012Validator)
    for _, entity in entities(payload):
        jsonschema.validate(entity, PLATFORMS[entity["platform"]], cls=jsonschema.Draft202012Validator)
        assert entity["default_entity_id"].startswith(f"{entity['platform']}.")


# Its automations, as far as the blueprint needs them.

BLUEPRINT = Path(__file__).parents[2] / "homeassistant/blueprints/automation/surveil/alert.yaml"
AUTOMATION = "automation.alerts"
PICTURE = "image.surveil_gate_box_front_snapshot"


class Input(str):
    """What stands where the blueprint says `!input`."""

    __slots__ = ()


class BlueprintLoader(yaml.SafeLoader):
    """Reads the blueprint as it is."""


BlueprintLoader.add_constructor("!input", lambda loader, node: Input(loader.construct_scalar(node)))  # type: ignore[arg-type]


def blueprint() -> Message:
    content: Message = yaml.load(BLUEPRINT.read_text(encoding="utf-8"), BlueprintLoader)
    return content


def inputs_of(part: Any) -> Iterator[str]:
    if isinstance(part, Input):
        yield str(part)
    elif isinstance(part, dict | list):
        for inner in part.values() if isinstance(part, dict) else part:
            yield from inputs_of(inner)


def native(text: str) -> Any:
    """Return what Home Assistant makes of a rendered text: literals of Python become what they say."""
    with suppress(ValueError, TypeError, SyntaxError, MemoryError):
        value = ast.literal_eval(text)
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        if not isinstance(value, str | complex) and (not plain or re.fullmatch(r"[+-]?(?!0\d)\d*(?:\.\d*)?", text)):
            return value
    return text


class Automation:
    """One automation made of the blueprint: `alert` and `press` give the actions that a trigger leads to."""

    def __init__(self, **chosen: str) -> None:
        self.config = blueprint()
        declared = self.config["blueprint"]["input"]
        self._inputs = {name: field.get("default") for name, field in declared.items()} | chosen
        self._jinja = environment()
        self._jinja.globals["has_value"] = lambda entity: entity == PICTURE
        people = [SimpleNamespace(name="Ada", attributes={"user_id": "u1"}), SimpleNamespace(name="Bo", attributes={})]
        self._jinja.globals["states"] = SimpleNamespace(person=people)
        self._done: list[tuple[str, Message]] = []

    @property
    def topic(self) -> str:
        topic = self._value(self.config["triggers"][0]["topic"], self._value(self.config["trigger_variables"], {}))
        assert isinstance(topic, str)
        return topic

    def alert(self, payload: str, topic: str = "surveil/gate-box/front/alert") -> list[tuple[str, Message]]:
        trigger: Message = {"id": "alert", "topic": topic, "payload": payload}
        with suppress(ValueError):
            trigger["payload_json"] = json.loads(payload)
        return self._hear(trigger)

    def press(self, action: str | None, user: str | None = "u1") -> list[tuple[str, Message]]:
        data = {} if action is None else {"action": action}
        event = SimpleNamespace(data=data, context=SimpleNamespace(user_id=user))
        return self._hear({"id": "button", "event": event})

    def _hear(self, trigger: Message) -> list[tuple[str, Message]]:
        self._done = []
        scope = {"trigger": trigger, "this": SimpleNamespace(entity_id=AUTOMATION)}
        for block in ("trigger_variables", "variables"):
            scope |= self._value(self.config[block], scope)
        self._run(self.config["actions"], scope)
        return self._done

    def _run(self, sequence: list[Message], scope: Message) -> None:
        for step in sequence:
            if "variables" in step:
                for name, value in step["variables"].items():
                    scope = {**scope, name: self._value(value, scope)}
            elif "choose" in step:
                chosen = (way["sequence"] for way in step["choose"] if self._hold(way["conditions"], scope))
                self._run(next(chosen, step.get("default", [])), scope)
            else:
                action, data = self._value(step["action"], scope), self._value(step["data"], scope)
                if action.startswith("notify."):  # which renders these once more
                    data |= {key: self._jinja.from_string(str(data[key])).render() for key in ("title", "message")}
                self._done.append((action, data))

    def _hold(self, conditions: list[Message], scope: Message) -> bool:
        return all(
            scope["trigger"]["id"] == condition["id"]
            if condition["condition"] == "trigger"
            else self._value(condition["value_template"], scope) is True
            for condition in conditions
        )

    def _value(self, part: Any, scope: Message) -> Any:
        if isinstance(part, Input):
            return self._inputs[part]
        if isinstance(part, dict):
            return {key: self._value(value, scope) for key, value in part.items()}
        if isinstance(part, list):
            return [self._value(value, scope) for value in part]
        if isinstance(part, str) and ("{{" in part or "{%" in part):
            return native(self._jinja.from_string(part).render(scope).strip())
        return part
