"""The blueprint in Home Assistant's hands: which message leads to which action."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from surveil.config import Config
from surveil.messages import Level, Risk
from tests.deliver.homeassistant import (
    ALERT,
    AUTOMATION,
    HIGH,
    HOSTILE,
    ID,
    OTHER,
    PICTURE,
    Automation,
    Message,
    blueprint,
    configured,
    inputs_of,
    message,
    said,
)

MINE = f"surveil:{AUTOMATION}"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return configured(tmp_path)


@pytest.fixture
def automation() -> Automation:
    return Automation(notify_action="notify.mobile_app_ada")


def test_every_input_is_declared_and_used() -> None:
    content = blueprint()
    declared = set(content["blueprint"]["input"])
    assert declared == set(inputs_of(content))
    assert content["blueprint"]["domain"] == "automation"
    required = {name for name, field in content["blueprint"]["input"].items() if "default" not in field}
    assert required == {"notify_action"}
    for name in ("minimum_risk", "notify_risk"):
        field = content["blueprint"]["input"][name]
        assert field["selector"]["select"]["options"] == [level.name for level in Level]
        assert field["default"] in field["selector"]["select"]["options"]


def test_it_listens_to_what_was_chosen(automation: Automation) -> None:
    assert automation.topic == "surveil/+/+/alert"
    assert (
        Automation(base_topic="house/cams", node="gate-box", camera="front").topic == "house/cams/gate-box/front/alert"
    )


def one(done: list[tuple[str, Message]]) -> Message:
    [(action, data)] = done
    assert action == "notify.mobile_app_ada"
    return data


def test_it_rings_on_notify(automation: Automation, config: Config) -> None:
    sent = message(config, replace(HIGH, notify=True), "front/x.jpg")
    data = one(automation.alert(json.dumps(sent)))
    assert data["title"] == 'Front "door" ü: high'
    assert data["message"] == "person in view for 0.2 s"
    settings = data["data"]
    assert settings["tag"] == f"surveil-{ID}"
    assert settings["alert_once"] is False
    assert settings["push"] == {"sound": "default", "interruption-level": "time-sensitive"}
    assert settings["image"] == f"/api/image_proxy/{PICTURE}"
    place = "surveil/gate-box/front"
    assert [button["action"] for button in settings["actions"]] == [
        f"{MINE}:{verb}:{place}:{ID}" for verb in ("acknowledge", "false_alarm", "snooze")
    ]


def test_revisions_replace_each_other_silently(automation: Automation, config: Config) -> None:
    first = one(automation.alert(json.dumps(message(config, replace(HIGH, notify=True)))))
    update = replace(HIGH, rev=2, phase="update", assessment=said("A person stands at the door."))
    second = one(automation.alert(json.dumps(message(config, update))))
    assert second["message"] == "A person stands at the door. · person in view for 0.2 s"
    end = replace(update, rev=3, phase="end", ended=946728009.0, end_reason="quiet")
    third = one(automation.alert(json.dumps(message(config, end))))
    assert third["title"] == 'Front "door" ü: high, over'
    for silent in (second["data"], third["data"]):
        assert (silent["tag"], silent["group"]) == (first["data"]["tag"], first["data"]["group"])
        assert silent["alert_once"] is True
        assert silent["push"] == {"sound": "none", "interruption-level": "passive"}


@pytest.mark.parametrize(
    ("level", "notify", "chosen", "shown"),
    [
        # Nothing has rung before: news must not make a notification.
        (Level.low, False, {}, False),
        (Level.medium, False, {"notify_risk": "high"}, False),
        (Level.low, False, {"notify_risk": "low"}, True),
        # Whatever surveil rings for, also an assessment that failed at a low level.
        (Level.low, True, {}, True),
        (Level.none, True, {"notify_risk": "none"}, True),
        # A phone that wants to be left alone.
        (Level.medium, True, {"minimum_risk": "high"}, False),
        (Level.medium, False, {"minimum_risk": "high"}, False),
        (Level.high, True, {"minimum_risk": "high"}, True),
        (Level.high, False, {"minimum_risk": "high"}, True),
        (Level.critical, False, {"minimum_risk": "high"}, True),
    ],
)
def test_what_never_rang_makes_no_notification(
    config: Config, level: Level, notify: bool, chosen: dict[str, str], shown: bool
) -> None:
    automation = Automation(notify_action="notify.mobile_app_ada", **chosen)
    alert = replace(ALERT, rev=2, phase="update", notify=notify, risk=Risk(level, int(level), "rules", level))
    assert bool(automation.alert(json.dumps(message(config, alert)))) == shown


def test_an_incident_that_goes_on_has_the_notification_of_the_one_before(
    automation: Automation, config: Config
) -> None:
    data = one(automation.alert(json.dumps(message(config, replace(HIGH, id=OTHER, previous=ID)))))
    assert data["data"]["tag"] == f"surveil-{ID}"
    assert data["data"]["actions"][0]["action"].endswith(f":{OTHER}")


def test_the_picture_is_the_alerts_own(automation: Automation, config: Config) -> None:
    alert = replace(HIGH, notify=True)

    def picture(sent: Message) -> str | None:
        image: str | None = one(automation.alert(json.dumps(sent)))["data"].get("image")
        return image

    assert picture(message(config, alert)) is None  # Home Assistant's would be another alert's
    assert picture(message(config, alert, "a.jpg", snapshot_url="https://h/a.jpg")) == "https://h/a.jpg"
    assert picture(message(config, alert, "a.jpg", camera="elsewhere")) is None  # no such entity


@pytest.mark.parametrize("text", [HOSTILE, "None", "{'a': 1}", "[1, 2]", "17", "clear_notification", "{{ 1/0 }}"])
def test_a_models_text_stays_text(automation: Automation, config: Config, text: str) -> None:
    alert = replace(HIGH, notify=True, assessment=said(text))
    data = one(automation.alert(json.dumps(message(config, alert, name=text[:90]))))
    harmless = str.maketrans("{}<", "()\u2039")
    assert data["message"] == f"{text} · person in view for 0.2 s".translate(harmless)
    assert data["title"] == f"{text[:90]}: high".translate(harmless)
    assert data["data"]["tag"] == f"surveil-{ID}"


def test_what_is_no_alert_is_passed_over(automation: Automation, config: Config) -> None:
    good = message(config, replace(HIGH, notify=True))
    for nothing in ("", "{", "[]", "17", "{}", "null"):
        assert automation.alert(nothing) == []
    for key, value in {
        "id": 5, "notify": "yes", "risk": {"level": "dire"}, "assessment": None, "reason": None, "node": None,
    }.items():  # fmt: skip
        assert automation.alert(json.dumps({**good, key: value})) == [], key
        assert automation.alert(json.dumps({k: v for k, v in good.items() if k != key})) == [], key


def test_the_buttons_answer(automation: Automation) -> None:
    place = "surveil/gate-box/front"
    for verb, verdict in (("acknowledge", "true"), ("false_alarm", "false")):
        [(action, data)] = automation.press(f"{MINE}:{verb}:{place}:{ID}")
        assert action == "mqtt.publish"
        assert data["topic"] == f"{place}/feedback/set"
        feedback = data["payload"] if isinstance(data["payload"], dict) else json.loads(data["payload"])
        assert feedback == {"id": ID, "verdict": verdict, "by": "Ada"}
        assert data["qos"] == 1
    assert automation.press(f"{MINE}:snooze:{place}:{ID}") == [
        ("mqtt.publish", {"topic": f"{place}/alerts/set", "payload": "OFF 3600", "qos": 1})
    ]
    for user in (None, "nobody"):
        [(_, data)] = automation.press(f"{MINE}:acknowledge:{place}:{ID}", user)
        assert "Home Assistant" in str(data["payload"])


@pytest.mark.parametrize(
    "action",
    [
        None,
        "",
        "OPEN_DOOR",
        f"surveil:automation.of_another_phone:acknowledge:surveil/gate-box/front:{ID}",
        f"{MINE}:open:surveil/gate-box/front:{ID}",
        f"{MINE}:acknowledge:locks/front/open:{ID}",
        f"{MINE}:acknowledge:surveil/gate-box/front",
        f"{MINE}:acknowledge",
    ],
)
def test_other_buttons_are_left_alone(automation: Automation, action: str | None) -> None:
    assert automation.press(action) == []
