"""One camera to one alert, end to end, on real input: RTSP server, daemon, VLM, broker, subscriber."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from surveil.deliver.wire import alert_schema
from tests.capture.test_damage import recorded
from tests.real import components
from tests.real.components import Daemon, Subscriber, free_port, mosquitto, rtsp_server, wait_for
from tests.real.vlm_server import VlmServer

Start = Callable[[Path], Daemon]
Subscribe = Callable[..., Subscriber]


def config(folder: Path, text: str) -> Path:
    file = folder / "config.yaml"
    file.write_text(text)
    return file


@pytest.mark.slow
def test_a_visit_becomes_an_alert_its_assessment_and_its_end(
    tmp_path: Path,
    footage: Path,
    yolo_folder: Path,
    toy_qwen: Path,
    broker: int,
    daemon: Start,
    subscribe: Subscribe,
) -> None:
    with rtsp_server(footage, free_port(), "viewer", "s3cret p@ss/word") as url:
        file = config(
            tmp_path,
            f"""
            node: box
            labels: {{site: north}}
            timezone: Europe/Vienna
            cameras:
              hall: {{source: "{url}", name: Hall, username: viewer, password: "s3cret p@ss/word"}}
            detector: {{model: {yolo_folder}}}
            assessor: {{backend: qwen, model: {toy_qwen}}}
            alerts: {{linger: 2}}
            mqtt: {{host: 127.0.0.1, port: {broker}}}
            storage: {{path: {tmp_path / "data"}}}
            """,
        )
        subscriber = subscribe(broker)
        running = daemon(file)
        running.wait_for("ready: node box watches hall", 90)
        wait_for(lambda: any(a["phase"] == "end" for a in subscriber.alerts()), 60, "an incident ends")
        assert running.stop() == 0, running.log

    alerts = subscriber.alerts()
    first = [alert for alert in alerts if alert["id"] == alerts[0]["id"]]
    assert [alert["rev"] for alert in first] == list(range(1, len(first) + 1))
    assert first[0]["phase"] == "new"
    assert first[-1]["phase"] == "end"
    states = [alert["assessment"]["state"] for alert in first]
    assert states[0] == "pending"
    assert "done" in states[1:-1] or (states[-1] == "done" and len(states) == 2)
    assert [alert["seq"] for alert in alerts] == list(range(1, len(alerts) + 1))
    validator = jsonschema.Draft202012Validator(alert_schema())
    for alert in alerts:
        validator.validate(alert)
        assert (alert["node"], alert["camera"], alert["name"]) == ("box", "hall", "Hall")
        assert alert["labels"] == {"site": "north"}
        assert alert["tz"] == "Europe/Vienna"
        if alert["phase"] == "new":
            assert alert["latency_ms"]["capture_to_publish"] < 1000

    topics = [(topic, retained) for _, topic, _, retained in subscriber.messages]
    picture_at = topics.index(("surveil/box/hall/snapshot", False))
    assert picture_at < topics.index(("surveil/box/hall/alert", False))
    snapshot = tmp_path / "data" / first[0]["snapshot"]
    assert snapshot.read_bytes()[:2] == b"\xff\xd8"
    assert subscriber.payloads("box/status") == [b"online", b"stopped"]
    assert json.loads(subscriber.payloads("hall/status")[-1])["state"] == "offline"
    late = subscribe(broker, "surveil/box/status")
    wait_for(lambda: late.messages, 5, "the retained status")
    assert late.messages[0][2:] == (b"stopped", True)
    everything = running.log + "".join(str(message) for message in subscriber.messages)
    for secret in ("s3cret", "p@ss", "p%40ss"):
        assert secret not in everything


@pytest.mark.slow
def test_what_is_not_there_is_told_in_a_line_and_the_rest_goes_on(
    tmp_path: Path, yolo_folder: Path, video: Path, daemon: Start, subscribe: Subscribe
) -> None:
    (tmp_path / "no-video.mp4").write_text("this is no video")
    port, nobody = free_port(), free_port()
    with rtsp_server(video, free_port(), "viewer", "right") as url:
        file = config(
            tmp_path,
            f"""
            node: box
            cameras:
              wrong: {{source: "{url}", username: viewer, password: guessed}}
              asked: {{source: "{url}"}}
              absent: {{source: "rtsp://127.0.0.1:{nobody}/cam"}}
              broken: {{source: {tmp_path / "no-video.mp4"}}}
              good: {{source: {video}}}
            detector: {{model: {yolo_folder}}}
            assessor: {{backend: none}}
            mqtt: {{host: 127.0.0.1, port: {port}}}
            storage: {{path: {tmp_path / "data"}}}
            """,
        )
        running = daemon(file)
        place = url.removeprefix("rtsp://").removesuffix("/cam")
        running.wait_for(f"camera=wrong is auth_failed: {place} refuses this user name or password", 60)
        running.wait_for(f"camera=asked is auth_failed: {place} wants a user name and a password")
        running.wait_for(f"camera=absent is offline: 127.0.0.1:{nobody}: connection refused")
        running.wait_for("camera=broken is offline")
        running.wait_for("this is no video that can be read")
        running.wait_for("camera=good is online")
        running.wait_for("camera=good is offline: end of file")
        running.wait_for(f"broker 127.0.0.1:{port} cannot be reached: connection refused")
        # The broker comes at last, and hears what it missed.
        with mosquitto(tmp_path, port):
            running.wait_for(f"broker 127.0.0.1:{port} is connected", 30)
            subscriber = subscribe(port)

            def states() -> dict[str, str]:
                return {
                    topic.split("/")[2]: json.loads(payload)["state"]
                    for _, topic, payload, _ in subscriber.messages
                    if topic.endswith("/status") and topic.count("/") == 3
                }

            told = {
                "wrong": "auth_failed",
                "asked": "auth_failed",
                "absent": "offline",
                "broken": "offline",
                "good": "offline",
            }
            wait_for(lambda: states() == told, 10, "every camera's state is retained")
            assert running.stop() == 0
    assert "Traceback" not in running.log
    assert "guessed" not in running.log


@pytest.mark.slow
def test_a_server_that_never_answers_delays_no_alert_and_is_told_of_at_its_deadline(
    tmp_path: Path, footage: Path, yolo_folder: Path, broker: int, daemon: Start, subscribe: Subscribe
) -> None:
    deadline = 3.0
    with rtsp_server(footage, free_port()) as camera, VlmServer("never") as server:
        file = config(
            tmp_path,
            f"""
            node: box
            cameras: {{hall: {{source: "{camera}"}}}}
            detector: {{model: {yolo_folder}}}
            assessor: {{backend: openai, urls: ["{server.url}"], model: toy, deadline: {deadline}}}
            alerts: {{linger: 2}}
            mqtt: {{host: 127.0.0.1, port: {broker}}}
            storage: {{path: {tmp_path / "data"}}}
            """,
        )
        subscriber = subscribe(broker)
        running = daemon(file)
        running.wait_for(f"assessor: {server.name} does not answer; it is tried again with every question", 90)
        running.wait_for("ready: node box watches hall", 30)
        wait_for(lambda: any(a["phase"] == "end" for a in subscriber.alerts()), 60, "an incident ends")
        assert running.stop() == 0, running.log
    alerts = subscriber.alerts()
    first = [alert for alert in alerts if alert["id"] == alerts[0]["id"]]
    new, unanswered = first[0], next(alert for alert in first if alert["assessment"]["state"] != "pending")
    assert new["latency_ms"]["capture_to_publish"] < 1000
    assert unanswered["assessment"]["state"] == "expired"
    assert unanswered["assessment"]["error"] == "no answer before the deadline"
    assert deadline <= moment(unanswered) - moment(new, "started") <= deadline + 1.0
    assert unanswered["notify"]
    assert first[-1]["phase"] == "end"
    assert server.questions


def moment(alert: dict[str, Any], key: str = "updated") -> float:
    return datetime.fromisoformat(alert[key]).timestamp()


@pytest.mark.slow
def test_a_killed_daemon_leaves_its_last_will(
    tmp_path: Path, yolo_folder: Path, video: Path, broker: int, daemon: Start, subscribe: Subscribe
) -> None:
    file = config(
        tmp_path,
        f"""
        node: box
        cameras: {{good: {{source: {video}, loop: true}}}}
        detector: {{model: {yolo_folder}}}
        assessor: {{backend: none}}
        mqtt: {{host: 127.0.0.1, port: {broker}}}
        storage: {{path: {tmp_path / "data"}}}
        """,
    )
    subscriber = subscribe(broker)
    running = daemon(file)
    running.wait_for("ready", 60)
    wait_for(lambda: subscriber.payloads("box/status") == [b"online"], 10, "online")
    stats = wait_for(lambda: subscriber.payloads("box/stats"), 20, "stats")
    numbers = json.loads(stats[0])
    assert set(numbers) >= {"cameras", "queue", "assessments", "outbox"}
    assert set(numbers["cameras"]["good"]) == {"fps_in", "fps_detected", "dropped", "damaged", "state"}
    states = wait_for(
        lambda: [s for s in map(json.loads, subscriber.payloads("good/status")) if s["fps"]], 20, "a frame rate"
    )
    assert states[-1]["state"] == "online"
    assert 5 <= states[-1]["fps"] <= 15
    info = json.loads(subscriber.payloads("box/info")[0])
    assert info["node"] == "box"
    assert list(info["cameras"]) == ["good"]
    running.kill()
    wait_for(lambda: subscriber.payloads("box/status")[-1] == b"offline", 10, "the last will")


@pytest.mark.slow
def test_where_pictures_come_from_and_which_are_damaged_is_told(
    tmp_path: Path, yolo_folder: Path, video: Path, broker: int, daemon: Start, subscribe: Subscribe
) -> None:
    damaged = recorded(tmp_path / "damaged.ts", "h264", lambda n, data: data[:-9000] if n == 20 else data)
    large = components.write_video(tmp_path / "large.mp4", frames=600, size=(640, 480))
    port = free_port()
    file = config(
        tmp_path,
        f"""
        node: box
        cameras:
          both: {{source: {video}, loop: true, detail: "rtsp://127.0.0.1:{port}/cam"}}
          one: {{source: {damaged}, loop: true}}
        detector: {{model: {yolo_folder}}}
        assessor: {{backend: none}}
        mqtt: {{host: 127.0.0.1, port: {broker}}}
        storage: {{path: {tmp_path / "data"}}}
        """,
    )
    subscriber = subscribe(broker)

    def told(camera: str) -> tuple[str, str, str] | None:
        payloads = [json.loads(payload) for payload in subscriber.payloads(f"box/{camera}/status")]
        return (payloads[-1]["state"], payloads[-1]["pictures"], payloads[-1]["detail"]) if payloads else None

    away = ("online", "source", f"its detail stream is offline: 127.0.0.1:{port}: connection refused")
    running = daemon(file)
    wait_for(lambda: told("both") == away, 60, "no detail yet")
    with rtsp_server(large, port):
        wait_for(lambda: told("both") == ("online", "detail", ""), 60, "detail is there")
    wait_for(lambda: told("both") == away, 30, "detail is away again")
    running.wait_for("camera=one a damaged picture was left out")
    assert told("one") == ("online", "source", "")
    assert "camera=both is offline" not in running.log
    assert running.stop() == 0
    assert "/cam" not in running.log


@pytest.mark.slow
def test_more_than_the_machine_can_see_is_told_as_degraded(
    tmp_path: Path, footage: Path, yolo_folder: Path, broker: int, daemon: Start, subscribe: Subscribe
) -> None:
    video = tmp_path / "fast.mp4"
    fast = ["-t", "6", "-vf", "setpts=PTS/24,scale=384:216", "-r", "240", str(video)]
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", str(footage), *fast], check=True)
    cameras = "".join(f"\n              cam-{n}: {{source: {video}, loop: true}}" for n in range(6))
    file = config(
        tmp_path,
        f"""
            node: box
            cameras: {cameras}
            detector: {{model: {yolo_folder}}}
            assessor: {{backend: none}}
            mqtt: {{host: 127.0.0.1, port: {broker}}}
            storage: {{path: {tmp_path / "data"}}}
        """,
    )
    subscriber = subscribe(broker)
    running = daemon(file)
    running.wait_for("camera=cam-0 is degraded: the detector is too slow: ", 90)
    running.wait_for("a frame was dropped", 5)
    wait_for(lambda: any(b'"degraded"' in told for told in subscriber.payloads("cam-0/status")), 5, "it is told")
    assert running.stop() == 0, running.log
    told = [json.loads(payload) for payload in subscriber.payloads("cam-0/status")]
    slow = next(status for status in told if status["state"] == "degraded")
    assert slow["detail"].startswith("the detector is too slow: ")
    assert slow["dropped"] > 0
    assert slow["fps"] > slow["fps_detected"]
    stats = json.loads(subscriber.payloads("/stats")[-1])["cameras"]["cam-0"]
    assert stats["dropped"] > 0
    assert running.log.count("camera=cam-0 a frame was dropped") < 30  # once a second at most


@pytest.mark.slow
def test_a_lens_that_is_covered_is_told_in_the_status_and_as_an_alert(
    tmp_path: Path, footage: Path, yolo_folder: Path, broker: int, daemon: Start, subscribe: Subscribe
) -> None:
    empty, covered = tmp_path / "empty.mp4", tmp_path / "covered.mp4"
    ffmpeg = ["ffmpeg", "-nostdin", "-v", "error"]
    subprocess.run([*ffmpeg, "-i", str(footage), "-t", "6", str(empty)], check=True)
    box = "drawbox=w=iw:h=ih:color=black:t=fill:enable='gte(t,12)'"
    subprocess.run([*ffmpeg, "-stream_loop", "4", "-i", str(empty), "-vf", box, "-t", "24", str(covered)], check=True)
    with rtsp_server(covered, free_port()) as url:
        file = config(
            tmp_path,
            f"""
            node: box
            cameras: {{hall: {{source: "{url}"}}}}
            detector: {{model: {yolo_folder}}}
            assessor: {{backend: none}}
            alerts: {{linger: 2}}
            mqtt: {{host: 127.0.0.1, port: {broker}}}
            storage: {{path: {tmp_path / "data"}}}
            """,
        )
        subscriber = subscribe(broker)
        running = daemon(file)
        running.wait_for("camera=hall is covered: ", 90)
        wait_for(lambda: any(b'"covered"' in told for told in subscriber.payloads("hall/status")), 5, "it is told")
        wait_for(subscriber.alerts, 5, "an alert")
        assert running.stop() == 0, running.log
    new = subscriber.alerts()[0]
    assert (new["phase"], new["kind"], new["rules"], new["risk"]["level"]) == ("new", "anomaly", ["tamper"], "high")
    assert new["notify"] is True
    assert new["reason"].startswith("the camera has been covered for ")
    assert new["snapshot"] is not None


@pytest.mark.slow
def test_systemd_is_told_ready_watchdog_and_stopping(
    tmp_path: Path, yolo_folder: Path, video: Path, daemon: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        file = config(
            tmp_path,
            f"""
            cameras: {{good: {{source: {video}, loop: true}}}}
            detector: {{model: {yolo_folder}}}
            assessor: {{backend: none}}
            mqtt: {{host: 127.0.0.1, port: {free_port()}}}
            storage: {{path: {tmp_path / "data"}}}
            """,
        )
        running = daemon(file)
        said: list[str] = []

        def hear(word: str) -> None:
            until = time.monotonic() + 60
            while not any(line.startswith(word) for line in said):
                assert time.monotonic() < until, (word, said, running.log)
                said.extend(listener.recv(4096).decode().splitlines())

        for word in ("READY=1", "WATCHDOG=1", "STATUS=1 of 1 cameras"):
            hear(word)
        began = time.monotonic()
        assert running.stop() == 0
        assert time.monotonic() - began < 10
        hear("STOPPING=1")


def test_components_are_counted_as_missing_only_outside_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception):
        components.missing("mosquitto")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception):
        components.missing("mosquitto")
