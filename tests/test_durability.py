"""What a crash, a restart and a subscriber's wishes leave of alerts and switches: the real daemon and broker."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

from tests.real.components import Daemon, Subscriber, wait_for

Start = Callable[[Path], Daemon]
Subscribe = Callable[..., Subscriber]
Alert = dict[str, Any]


def config(folder: Path, footage: Path, model: Path, port: int, cameras: str = "hall") -> Path:
    file = folder / "config.yaml"
    named = ", ".join(f"{name}: {{source: {footage}, loop: true}}" for name in cameras.split())
    file.write_text(
        f"""
        node: box
        cameras: {{{named}}}
        detector: {{model: {model}}}
        assessor: {{backend: none}}
        alerts: {{linger: 60, notify_risk: low}}
        mqtt: {{host: 127.0.0.1, port: {port}}}
        storage: {{path: {folder / "data"}}}
        """
    )
    return file


def by_incident(alerts: list[Alert]) -> dict[str, list[Alert]]:
    told: dict[str, list[Alert]] = defaultdict(list)
    for alert in alerts:
        told[alert["id"]].append(alert)
    return told


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_killed_daemon_goes_on_where_it_was(
    tmp_path: Path, footage: Path, yolo_folder: Path, broker: int, daemon: Start, subscribe: Subscribe
) -> None:
    file = config(tmp_path, footage, yolo_folder, broker)
    subscriber = subscribe(broker)
    first = daemon(file)
    wait_for(subscriber.alerts, 90, "an alert")
    first.kill()
    second = daemon(file)
    wait_for(lambda: any(alert["phase"] == "end" for alert in subscriber.alerts()), 90, "the end of what was cut off")
    wait_for(lambda: len(by_incident(subscriber.alerts())) == 2, 60, "a new incident")
    assert second.stop() == 0, second.log

    alerts = subscriber.alerts()
    seqs = list(dict.fromkeys(alert["seq"] for alert in alerts))
    assert seqs == list(range(1, len(seqs) + 1))
    incidents = by_incident(alerts)
    for told_of in incidents.values():
        revisions = list(dict.fromkeys(alert["rev"] for alert in told_of))
        assert revisions == list(range(1, len(revisions) + 1))
        assert told_of[-1]["phase"] == "end"
    cut, begun = list(incidents)[:2]
    assert incidents[cut][-1]["end_reason"] == "restart"
    assert incidents[cut][-1]["snapshot"] == incidents[cut][0]["snapshot"] is not None
    assert (incidents[begun][0]["previous"], incidents[begun][0]["notify"]) == (cut, False)
    # Killed so soon, the first may have nothing on disk yet; the other was stopped, and has what there was.
    with av.open(str(tmp_path / "data" / incidents[begun][-1]["clip"])) as container:
        assert next(container.decode(container.streams.video[0])).width == 768
    with sqlite3.connect(tmp_path / "data" / "surveil.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert database.execute("SELECT count(*) FROM revision WHERE state = 'waiting'").fetchone()[0] == 0
    database.close()

    third = daemon(file)
    third.wait_for("ready", 90)
    count = len(subscriber.alerts())
    subscriber.say("surveil/box/replay/set", json.dumps({"after_seq": 1}))
    wait_for(lambda: {a["seq"] for a in subscriber.alerts()[count:]} >= set(seqs[1:]), 20, "the replay")
    subscriber.say("surveil/box/hall/feedback/set", json.dumps({"id": cut, "verdict": "false", "by": "anna"}))
    third.wait_for(f"alert={cut} is called false by anna", 10)
    assert third.stop() == 0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_switches_and_mode_outlive_a_restart_and_junk_changes_nothing(
    tmp_path: Path, footage: Path, yolo_folder: Path, broker: int, daemon: Start, subscribe: Subscribe
) -> None:
    file = config(tmp_path, footage, yolo_folder, broker, "hall door")
    subscriber = subscribe(broker)
    first = daemon(file)
    first.wait_for("ready", 90)
    wait_for(lambda: len(subscriber.payloads("/config")) == 2, 10, "two devices for Home Assistant")
    wait_for(lambda: b'{"person": 1}' in subscriber.payloads("hall/objects"), 60, "somebody is counted")
    for topic, payload in (("door/detect/set", "OFF"), ("hall/alerts/set", "OFF 1"), ("mode/set", "away")):
        subscriber.say(f"surveil/box/{topic}", payload)
    for junk in (b"\xff", b"on", b"{" * 9000, b"", b"OFF -1"):
        for topic in ("door/detect/set", "mode/set", "replay/set", "hall/feedback/set", "nobody/detect/set"):
            subscriber.say(f"surveil/box/{topic}", junk)
    wait_for(lambda: subscriber.payloads("hall/alerts/state") == [b"ON", b"OFF", b"ON"], 10, "off for a second")
    assert subscriber.payloads("door/detect/state") == [b"ON", b"OFF"]
    assert subscriber.payloads("mode/state") == [b"home", b"away"]
    assert json.loads(subscriber.payloads("door/status")[-1])["state"] == "disabled"
    assert json.loads(subscriber.payloads("door/status")[-1])["off"] == ["detect"]
    assert "was not understood, and changes nothing" in first.log
    assert "Traceback" not in first.log
    wait_for(
        lambda: any(alert["end_reason"] == "disabled" for alert in subscriber.alerts() if alert["camera"] == "hall"),
        15,
        "the end of what was open, with its clip",
    )
    assert first.stop() == 0

    late = subscribe(broker)
    second = daemon(config(tmp_path, footage, yolo_folder, broker, "door"))
    second.wait_for("camera=hall has left the config", 90)
    second.wait_for("ready", 60)
    wait_for(lambda: late.payloads("surveil_box__hall/config")[-1] == b"", 10, "hall is removed")
    assert late.payloads("door/detect/state")[-1] == b"OFF"
    assert late.payloads("mode/state")[-1] == b"away"
    subscriber.say("surveil/box/door/detect/set", "ON")
    wait_for(lambda: any(a["camera"] == "door" for a in late.alerts()), 60, "the door is watched again")
    assert second.stop() == 0
