"""Every payload is held against Home Assistant's rules, every template rendered on real messages."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest

from surveil import __version__, commands
from surveil.config import Config
from surveil.deliver.homeassistant import SEES, SWITCHES, WELL, HomeAssistant
from surveil.messages import CameraState, Level
from tests.deliver.homeassistant import (
    ALERT,
    DISCOVERY_TOPIC,
    HIGH,
    HOSTILE,
    ID,
    OTHER,
    Message,
    check,
    configured,
    entities,
    message,
    rendered,
    said,
    this,
)

STATES = get_args(CameraState)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return configured(tmp_path)


@pytest.fixture
def discovery(config: Config) -> HomeAssistant:
    return HomeAssistant(config, "homeassistant")


@pytest.fixture
def front(discovery: HomeAssistant) -> Message:
    payload: Message = json.loads(discovery.announcements()["homeassistant/device/surveil_gate-box__front/config"])
    return payload


def test_every_camera_is_announced_by_the_rules_of_home_assistant(discovery: HomeAssistant) -> None:
    announced = discovery.announcements()
    assert list(announced) == [
        "homeassistant/device/surveil_gate-box__front/config",
        "homeassistant/device/surveil_gate-box__back_yard-2/config",
    ]
    for topic, payload in announced.items():
        assert DISCOVERY_TOPIC.fullmatch(topic)
        assert len(payload) < 16_384
        check(json.loads(payload))


@pytest.mark.parametrize(
    ("where", "change"),
    [
        ((), {"extra": 1}),
        ((), {"origin": {}}),
        ((), {"availability_topic": "a"}),
        (("device",), {"identifiers": []}),
        (("components", "risk"), {"state_class": "measurement"}),
        (("components", "risk"), {"device_class": None}),
        (("components", "risk"), {"state_topic": "house/+/alert"}),
        (("components", "risk"), {"default_entity_id": "sensor.a__b"}),
        (("components", "problem"), {"device_class": "trouble"}),
        (("components", "snapshot"), {"url_topic": "a"}),
        (("components", "alert"), {"event_types": []}),
    ],
)
def test_the_rules_refuse_what_home_assistant_refuses(front: Message, where: tuple[str, ...], change: Message) -> None:
    part = front
    for key in where:
        part = part[key]
    part.update(change)
    with pytest.raises(jsonschema.ValidationError):
        check(front)


def test_a_camera_is_a_device_with_its_name_and_ids_that_stay(front: Message, discovery: HomeAssistant) -> None:
    assert front["device"]["name"] == 'Front "door" ü'
    assert front["device"]["identifiers"] == ["surveil_gate-box__front"]
    assert front["origin"] == {"name": "surveil", "sw_version": __version__}
    assert {name: entity["platform"] for name, entity in entities(front)} == {
        "person": "binary_sensor", "problem": "binary_sensor", "risk": "sensor", "fps": "sensor", "summary": "sensor",
        "alert": "event", "snapshot": "image", "detect": "switch", "assess": "switch", "alerts": "switch",
    }  # fmt: skip
    assert front["components"]["risk"]["unique_id"] == "surveil_gate-box__front__risk"
    assert front["components"]["risk"]["default_entity_id"] == "sensor.surveil_gate_box_front_risk"
    every = [e for payload in discovery.announcements().values() for _, e in entities(json.loads(payload))]
    for key in ("unique_id", "default_entity_id"):
        assert len({entity[key] for entity in every}) == len(every)
    nameless = json.loads(discovery.announcements()[discovery.topic("back_yard-2")])
    assert nameless["device"]["name"] == "back_yard-2"


def test_topics_are_the_contracts(front: Message) -> None:
    root, topics = "house/cams/gate-box/front", set()
    for _, entity in entities(front):
        topics |= {value for key, value in entity.items() if key.endswith("topic")}
    assert topics == {
        f"{root}/{name}" for name in (
            "objects", "status", "alert", "snapshot", "detect/set", "detect/state", "assess/set", "assess/state",
            "alerts/set", "alerts/state",
        )
    }  # fmt: skip
    assert front["qos"] == 1


# What was announced before.


def test_what_is_no_more_in_the_config_is_removed(discovery: HomeAssistant) -> None:
    gone = "homeassistant/device/surveil_gate-box__garage/config"
    foreign = [
        "homeassistant/device/surveil_gate-box-2__garage/config",
        "homeassistant/device/surveil_gate-box__/config",
        "homeassistant/device/surveil_gate-box__a__b/config",
        "homeassistant/device/surveil_gate-box__garage/x/config",
        "elsewhere/device/surveil_gate-box__garage/config",
        "homeassistant/device/zigbee/config",
    ]
    assert discovery.removals([*discovery.announcements(), gone, *foreign]) == {gone: b""}
    assert discovery.removals([]) == {}
    assert [topic for topic in (gone, *foreign) if discovery.is_ours(topic)] == [gone]
    assert discovery.camera_of(gone) == "garage"
    assert discovery.camera_of(discovery.topic("back_yard-2")) == "back_yard-2"


def test_the_subscription_brings_all_topics_of_ours(discovery: HomeAssistant) -> None:
    prefix, suffix = discovery.subscription.split("+")
    for topic in discovery.announcements():
        assert topic.startswith(prefix)
        assert topic.endswith(suffix)
        assert "/" not in topic[len(prefix) : -len(suffix)]


# What entities make of messages.


def status(state: str | None, **more: Any) -> str:
    return json.dumps({"state": state, "since": "2000-01-01T12:00:00.000Z", "fps": 25, "detail": "", "off": [], **more})


def available(payload: Message, name: str, retained: dict[str, str]) -> bool:
    """Return whether an entity is there, as `availability_mode: all` has it: every topic must have said so."""
    entity = dict(entities(payload))[name]
    assert entity["availability_mode"] == "all"
    answers = []
    for place in entity["availability"]:
        heard = retained.get(place["topic"])
        answer = "offline" if heard is None else rendered(place["value_template"], heard)
        assert answer in {"online", "offline"}  # another word changes nothing there
        answers.append(answer == "online")
    return all(answers)


def test_availability_is_the_nodes_and_the_cameras(front: Message) -> None:
    assert set(SEES) == {"online", "degraded", "blurred", "moved"}
    node, camera = "house/cams/gate-box/status", "house/cams/gate-box/front/status"
    for name, _ in entities(front):
        of_pictures = name in {"person", "fps"}
        for state in STATES:
            there = available(front, name, {node: "online", camera: status(state)})
            assert there == (not of_pictures or state in SEES), (name, state)
        for word in ("offline", "stopped", ""):
            assert not available(front, name, {node: word, camera: status("online")})
        assert not available(front, name, {camera: status("online")})
        for nothing in ("", "[]", "17", "{}", "{"):
            assert available(front, name, {node: "online", camera: nothing}) != of_pictures


@pytest.mark.parametrize(
    ("objects", "state"),
    [
        ('{"person": 1, "car": 2}', "ON"),
        ('{"car": 2}', "OFF"),
        ('{"person": 0}', "OFF"),
        ("{}", "OFF"),
        ("", "None"),
        ("[1]", "None"),
    ],
)
def test_person_is_on_while_somebody_is_in_view(front: Message, objects: str, state: str) -> None:
    person = front["components"]["person"]
    assert rendered(person["value_template"], objects) == state
    counts = json.loads(rendered(person["json_attributes_template"], objects))["counts"]
    assert counts == (json.loads(objects) if state != "None" else {})


def test_any_state_that_is_not_well_is_a_problem(front: Message) -> None:
    problem = front["components"]["problem"]
    for state in (*STATES, "on fire"):
        expected = "OFF" if state in WELL else "ON"
        assert rendered(problem["value_template"], status(state)) == expected, state
    assert set(WELL) == {"online", "connecting", "disabled"}
    for nothing in ("", "{}", "[]", status(None)):
        assert rendered(problem["value_template"], nothing) == "None"
    attributes = json.loads(rendered(problem["json_attributes_template"], status("offline", detail=HOSTILE)))
    assert attributes == {"camera_state": "offline", "since": "2000-01-01T12:00:00.000Z", "detail": HOSTILE}
    assert json.loads(rendered(problem["json_attributes_template"], "")) == {}


def test_fps_is_the_status(front: Message) -> None:
    fps = front["components"]["fps"]["value_template"]
    assert rendered(fps, status("online")) == "25"
    assert rendered(fps, status("offline", fps=0)) == "0"
    assert [rendered(fps, nothing) for nothing in ("", "{}", status("online", fps="many"))] == ["None"] * 3


def test_a_switch_shows_its_state(front: Message) -> None:
    for switch in ("detect", "assess", "alerts"):
        entity = front["components"][switch]
        assert entity["command_topic"] == f"house/cams/gate-box/front/{switch}/set"
        template = entity["value_template"]
        assert [rendered(template, state) for state in ("ON", "OFF", "OFF 3600")] == [
            entity["payload_on"], entity["payload_off"], entity["payload_off"],
        ]  # fmt: skip


def test_risk_is_the_newest_alerts_until_its_end(front: Message, config: Config) -> None:
    risk = front["components"]["risk"]
    assert risk["options"] == [level.name for level in Level]
    entity = this("unknown")

    def hear(sent: Message) -> str:
        text = json.dumps(sent)
        state = rendered(risk["value_template"], text, this=entity)
        attributes = json.loads(rendered(risk["json_attributes_template"], text, this=entity))
        entity.state, entity.attributes = state, attributes
        return state

    end = replace(HIGH, rev=3, phase="end", ended=946728009.0, end_reason="quiet")
    assert hear(message(config, replace(end, id=OTHER))) == "none"  # its beginning was missed
    assert hear(message(config, ALERT)) == "low"
    assert hear(message(config, replace(HIGH, rev=2, phase="update"))) == "high"
    # The end of another incident, such as one of the camera's health, leaves it.
    assert hear(message(config, replace(end, id=OTHER))) == "high"
    assert hear(message(config, end)) == "none"
    assert entity.attributes == {"incident": None}
    assert rendered(risk["value_template"], "nonsense", this=entity) == "None"
    assert json.loads(rendered(risk["json_attributes_template"], "nonsense", this=entity)) == {}


@pytest.mark.parametrize("summary", [None, "A person stands at the door.", HOSTILE, "x" * 255, "x" * 256])
def test_the_last_summary_fits_a_state_and_is_whole_in_its_attributes(
    front: Message, config: Config, summary: str | None
) -> None:
    entity = front["components"]["summary"]
    sent = message(config, ALERT if summary is None else replace(ALERT, assessment=said(summary)))
    state = rendered(entity["value_template"], json.dumps(sent))
    whole = summary or ALERT.reason
    assert len(state) <= 255
    assert state == (whole if len(whole) <= 255 else whole[:254] + "…")
    attributes = json.loads(rendered(entity["json_attributes_template"], json.dumps(sent)))
    assert (attributes["summary"], attributes["reason"]) == (summary, ALERT.reason)
    assert rendered(entity["value_template"], "nonsense") == "None"


@pytest.mark.parametrize("summary", [None, HOSTILE])
@pytest.mark.parametrize("phase", ["new", "update", "end"])
def test_an_alert_is_an_event(front: Message, config: Config, phase: Any, summary: str | None) -> None:
    entity = front["components"]["alert"]
    alert = replace(HIGH, phase=phase, notify=True, rev=2)
    if summary is not None:
        alert = replace(alert, assessment=said(summary), reason=summary)
    event = json.loads(rendered(entity["value_template"], json.dumps(message(config, alert))))
    assert event.pop("event_type") == phase
    assert phase in entity["event_types"]
    assert (event["id"], event["rev"], event["risk"], event["notify"]) == (ID, 2, "high", True)
    assert (event["summary"], event["reason"]) == (summary, alert.reason)
    assert event["rules"] == ["person"]


def test_what_is_no_alert_is_no_event(front: Message, config: Config) -> None:
    template = front["components"]["alert"]["value_template"]
    for nothing in ("", "{", "[]", "{}", '{"phase": "maybe"}', "null"):
        assert rendered(template, nothing) == ""


def test_the_switches_are_those_that_can_be_commanded() -> None:
    assert tuple(SWITCHES) == commands.SWITCHES
