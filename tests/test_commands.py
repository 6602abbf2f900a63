from __future__ import annotations

import json
import random

import pytest

from surveil.commands import (
    Command,
    FeedbackCommand,
    ModeCommand,
    ReplayCommand,
    SwitchCommand,
    topics,
    understood,
)

CAMERAS = ("front", "back")
ID = "01JD8Q6M2M7W5C2F6B0T4V9KXA"


def told(topic: str, payload: str | bytes) -> Command:
    return understood(topic, payload.encode() if isinstance(payload, str) else payload, CAMERAS, {"party"})


@pytest.mark.parametrize(
    ("topic", "payload", "command"),
    [
        ("front/detect/set", "ON", SwitchCommand("front", "detect", True)),
        ("back/alerts/set", "OFF", SwitchCommand("back", "alerts", False)),
        ("back/alerts/set", "OFF 3600", SwitchCommand("back", "alerts", False, 3600.0)),
        ("front/assess/set", "OFF", SwitchCommand("front", "assess", False)),
        ("mode/set", "party", ModeCommand("party")),
        ("mode/set", "home", ModeCommand("home")),
        ("front/feedback/set", f'{{"id": "{ID}", "verdict": "false", "by": "a"}}', FeedbackCommand(ID, "false", "a")),
        ("front/feedback/set", f'{{"id": "{ID}", "verdict": "true"}}', FeedbackCommand(ID, "true", None)),
        ("replay/set", '{"after_seq": 41}', ReplayCommand(41)),
    ],
)  # fmt: skip
def test_what_the_contract_names_is_understood(topic: str, payload: str, command: Command) -> None:
    assert told(topic, payload) == command


@pytest.mark.parametrize(
    ("topic", "payload", "why"),
    [
        ("side/detect/set", "ON", "there is no camera 'side'"),
        ("front/fly/set", "ON", "nothing listens"),
        ("front/detect/get", "ON", "nothing listens"),
        ("front/detect/set", "on", "neither ON nor OFF"),
        ("front/detect/set", "ON 5", "neither ON nor OFF"),
        ("front/detect/set", "OFF 0", "from 1 to a year"),
        ("front/detect/set", "OFF 99999999", "from 1 to a year"),
        ("front/detect/set", "OFF ١٢", "neither ON nor OFF"),
        ("front/detect/set", b"\xff\xfe", "utf-8"),
        ("mode/set", "vacation", "there are away, home, night, party"),
        ("front/feedback/set", "[]", "no JSON object"),
        ("front/feedback/set", '{"id": "../../etc/passwd", "verdict": "true"}', "no incident's"),
        ("front/feedback/set", json.dumps({"id": ID, "verdict": "maybe"}), "verdict is neither"),
        ("front/feedback/set", json.dumps({"id": ID, "verdict": "true", "by": "a\nb"}), "no name"),
        ("replay/set", '{"after_seq": -1}', "no whole number"),
        ("replay/set", '{"after_seq": true}', "no whole number"),
        ("replay/set", '{"after_seq": 1e400}', "no whole number"),
        ("replay/set", "[" * 4000, "nested too deeply|no JSON|Expecting"),
        ("replay/set", " " * 5000, "it has 5000 bytes"),
    ],
)
def test_everything_else_is_refused_with_why(topic: str, payload: str | bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        told(topic, payload)


def test_ten_thousand_random_messages_raise_nothing_but_a_refusal() -> None:
    dice = random.Random(7)
    words = ["ON", "OFF", "OFF 5", "{", "}", '"id"', ID, '{"after_seq":', "1", "null", "NaN", "\x00", "é", "party"]
    levels = ["front", "mode", "replay", "set", "detect", "feedback", "", "#"]
    refused = []
    for _ in range(10_000):
        topic = "/".join(dice.choice(levels) for _ in range(3))
        if dice.random() < 0.5:
            topic = dice.choice(topics()).replace("+", "front")
        text = "".join(dice.choice(words) for _ in range(dice.randrange(5))).encode()
        payload = dice.randbytes(dice.randrange(40)) if dice.random() < 0.3 else text
        try:
            understood(topic, payload, CAMERAS, {"party"})
        except ValueError as error:
            refused.append(str(error))
    assert 8_000 < len(refused) < 10_000
    assert max(map(len, refused)) < 400
