from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest

from surveil.config import Config, load
from surveil.deliver.wire import SCHEMA, Envelope, LevelName, alert_schema, restored
from surveil.messages import Alert, Assessment, Level, Risk, Subject
from surveil.testing import answer

ALERT = Alert(
    id="00VHPP5PKR0000000000000000", rev=1, phase="new", changed=(), notify=False, camera="front", kind="person",
    rules=("person",), reason="person in view for 0.2 s", started=946728000.12, updated=946728000.12, ended=None,
    risk=Risk(Level.low, 20, "rules", Level.low),
    assessment=Assessment("00VHPP5PKR0000000000000000", "front", "pending"),
    subjects=(Subject(3, "person", 0.87, (0.31, 0.22, 0.45, 0.83), 4.2),),
)  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "c.yaml").write_text(
        "node: gate-box\nlabels: {site: north, floor: '1'}\ntimezone: Europe/Vienna\n"
        "cameras: {front: {source: rtsp://h/1, name: Front door, labels: {floor: '2'}}}\n"
    )
    return load(tmp_path / "c.yaml")


def made(envelope: Envelope, alert: Alert, snapshot: str | None = None, latency: int | None = None) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(envelope.message(alert, 7, snapshot, None, latency).line())
    return message


def test_a_message_has_every_key_of_the_contract_and_no_other(config: Config) -> None:
    message = made(Envelope(config), ALERT, "front/2026/11/22/x.jpg", 42)
    assert set(message) == {
        "schema", "id", "rev", "seq", "phase", "changed", "notify", "end_reason", "previous", "suppressed", "node",
        "camera", "name", "labels", "tz", "kind", "rules", "reason", "started", "updated", "ended", "risk",
        "assessment", "objects", "snapshot", "clip", "snapshot_url", "clip_url", "latency_ms",
    }  # fmt: skip
    assert message["schema"] == SCHEMA
    assert (message["node"], message["name"], message["tz"]) == ("gate-box", "Front door", "Europe/Vienna")
    assert message["labels"] == {"site": "north", "floor": "2"}
    assert message["started"] == "2000-01-01T12:00:00.120Z"
    assert message["ended"] is None
    assert message["risk"] == {"level": "low", "score": 20, "source": "rules", "floor": "low"}
    assert message["objects"] == [
        {
            "track": 3,
            "label": "person",
            "confidence": 0.87,
            "box": [0.31, 0.22, 0.45, 0.83],
            "zones": [],
            "dwell_s": 4.2,
        }
    ]
    assert message["latency_ms"] == {"capture_to_publish": 42}
    assert set(message["assessment"]) == {
        "state", "verdict", "summary", "activity", "evidence", "recommended_action", "scene_text", "confidence",
        "model", "latency_ms", "error", "flags",  # flags: docs/design/0005-assessment.md
    }  # fmt: skip


def test_a_stored_message_gives_its_alert_back(config: Config) -> None:
    done = Assessment(ALERT.id, "front", "done", replace(answer(50), score=50), 1200)
    risk = Risk.of(Level.low, 50)
    for alert in (
        ALERT,
        replace(ALERT, rev=3, phase="end", ended=946728009.0, end_reason="quiet", assessment=done, risk=risk),
    ):
        assert restored(Envelope(config).message(alert, 7).line().encode()) == alert
    with pytest.raises(ValueError, match="AlertMessage"):
        restored(b"{}")


def test_every_message_fits_the_published_schema(config: Config) -> None:
    validator = jsonschema.Draft202012Validator(alert_schema())
    done = Assessment("x", "front", "done", answer(50), 1200)
    failed = Assessment("x", "front", "failed", error="out of memory")
    for alert in (
        ALERT,
        replace(ALERT, rev=2, phase="update", changed=("assessment",), assessment=done),
        replace(ALERT, rev=3, phase="end", ended=946728009.0, end_reason="quiet", assessment=failed),
    ):
        validator.validate(made(Envelope(config), alert))
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**made(Envelope(config), ALERT), "phase": "maybe"})


def test_level_names_are_the_wires() -> None:
    assert [level.name for level in Level] == list(get_args(LevelName))
