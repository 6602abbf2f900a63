"""The link to the broker, against a real mosquitto, and against sockets that are no broker."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from surveil.clock import SystemClock
from surveil.deliver.broker import Broker
from surveil.deliver.embedded import EmbeddedBroker
from surveil.deliver.mqtt import Hearing, MqttLink
from surveil.deliver.outbox import Outbox
from tests.deliver.boxes import boxed, draft
from tests.real.components import Subscriber, free_port, mosquitto, wait_for

Subscribe = Callable[..., Subscriber]
Version = Literal["auto", "5", "3.1.1"]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("surveil.backoff.Backoff.next", lambda _self: 0.05)


@contextlib.contextmanager
def linked(
    port: int,
    user: str | None = None,
    password: str | None = None,
    version: Version = "auto",
    topics: tuple[str, ...] = (),
    tell: Callable[[str, bytes, bool], None] = lambda _topic, _payload, _retained: None,
) -> Iterator[tuple[MqttLink, Outbox]]:
    broker = Broker("127.0.0.1", port, user, password, "surveil-box", "surveil/box", version)
    with tempfile.TemporaryDirectory() as folder, boxed(Path(folder)) as outbox:
        link = MqttLink(broker, outbox, SystemClock(), _no_picture, hearing=Hearing(topics, tell))
        link.start()
        try:
            yield link, outbox
        finally:
            link.stop(3.0)


def _no_picture(_name: str) -> bytes:
    raise FileNotFoundError


def send(link: MqttLink, outbox: Outbox, *numbers: int, picture: bytes | None = None) -> None:
    for number in numbers:
        outbox.append([draft(number, jpeg=picture)])
    link.wake()


def test_everything_arrives_once_in_order_picture_first_and_goodbye_last(broker: int, subscribe: Subscribe) -> None:
    subscriber = subscribe(broker)
    with linked(broker) as (link, outbox):
        link.retain("info", b"{}", 1)
        send(link, outbox, *range(500), picture=b"jpeg")
        wait_for(lambda: not len(outbox), 20, "all are acknowledged")
        assert link.connected
    wait_for(lambda: subscriber.payloads("box/status") == [b"online", b"stopped"], 5, "the goodbye")
    assert [int(payload) for payload in subscriber.payloads("/alert")] == list(range(500))
    topics = [topic for _, topic, _, _ in subscriber.messages]
    assert topics.index("surveil/box/front/snapshot") < topics.index("surveil/box/front/alert")
    assert subscriber.payloads("/info") == [b"{}"]
    late = subscribe(broker)
    wait_for(lambda: len(late.messages) == 3, 5, "what is retained")
    assert {(topic, payload) for _, topic, payload, retained in late.messages if retained} == {
        ("surveil/box/status", b"stopped"),
        ("surveil/box/info", b"{}"),
        ("surveil/box/front/snapshot", b"jpeg"),
    }


def test_a_broker_that_comes_late_and_one_that_comes_back_hear_everything(tmp_path: Path, subscribe: Subscribe) -> None:
    port = free_port()
    with linked(port) as (link, outbox):
        link.retain("front/status", b"online", 1)
        send(link, outbox, 1, 2, 3)
        time.sleep(0.3)
        assert not link.connected
        with mosquitto(tmp_path, port):
            # It may be emptied before anybody listens: what is retained says that it arrived.
            wait_for(lambda: not len(outbox), 10, "the outbox is empty")
        wait_for(lambda: not link.connected, 10, "the loss is noticed")
        send(link, outbox, 4)
        with mosquitto(tmp_path, port):
            subscriber = subscribe(port)
            wait_for(lambda: not len(outbox), 10, "the outbox is empty again")
            wait_for(lambda: b"online" in subscriber.payloads("front/status"), 5, "retained again")
            send(link, outbox, 5)
            wait_for(lambda: b"5" in subscriber.payloads("/alert"), 5, "goes on")


def test_a_broker_killed_in_the_middle_loses_nothing(tmp_path: Path, subscribe: Subscribe) -> None:
    port = free_port()
    with linked(port) as (link, outbox):
        for life in range(4):
            with mosquitto(tmp_path, port) as process:
                wait_for(lambda: link.connected, 10, "connected")
                send(link, outbox, *range(life * 200, life * 200 + 200))
                wait_for(lambda: len(outbox) < 190, 10, "some are acknowledged")
                process.send_signal(signal.SIGKILL)
                process.wait(5)
                wait_for(lambda: not link.connected, 10, "the loss is noticed")
        left = len(outbox)
        with mosquitto(tmp_path, port):
            wait_for(lambda: not len(outbox), 10, f"the {left} that were left are acknowledged")
    assert (outbox.lost, outbox.dead) == (0, 0)


def test_what_the_access_list_forbids_is_refused_and_the_rest_passes(
    tmp_path: Path, subscribe: Subscribe, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "acl").write_text("topic read #\ntopic write surveil/box/front/alert\ntopic write surveil/box/status\n")
    port = free_port()
    with mosquitto(tmp_path, port, f"acl_file {tmp_path / 'acl'}"), linked(port) as (link, outbox):
        subscriber = subscribe(port)
        wait_for(lambda: link.connected, 10, "connected")
        outbox.append([draft("forbidden", "back")])
        send(link, outbox, 1, 2)
        wait_for(lambda: subscriber.payloads("/alert") == [b"1", b"2"], 10, "the allowed ones")
        wait_for(lambda: not len(outbox), 20, "nothing waits")
    assert outbox.dead == 1
    assert "is a dead letter (surveil alerts resend): refused by the broker: not authorized" in caplog.text


def test_a_picture_above_the_brokers_limit_is_left_out_and_the_alert_goes(tmp_path: Path, subscribe: Subscribe) -> None:
    port = free_port()
    with mosquitto(tmp_path, port, "max_packet_size 20000"), linked(port) as (link, outbox):
        subscriber = subscribe(port)
        wait_for(lambda: link.connected, 10, "connected")
        send(link, outbox, 1, picture=bytes(50_000))
        wait_for(lambda: subscriber.payloads("/alert") == [b"1"], 10, "the alert")
        assert not subscriber.payloads("/snapshot")


def test_an_alert_above_the_brokers_limit_does_not_hold_up_the_others(
    tmp_path: Path, subscribe: Subscribe, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    with mosquitto(tmp_path, port, "max_packet_size 3000"), linked(port) as (link, outbox):
        subscriber = subscribe(port)
        wait_for(lambda: link.connected, 10, "connected")
        outbox.append([draft("huge", payload=bytes(5000))])
        send(link, outbox, 1, 2)
        wait_for(lambda: subscriber.payloads("/alert") == [b"1", b"2"], 10, "the others")
        assert link.connected
    assert outbox.dead == 1
    assert "it is larger than the broker takes (3000 bytes)" in caplog.text


def test_after_a_fault_the_broker_speaks_the_last_will(broker: int, subscribe: Subscribe) -> None:
    subscriber = subscribe(broker)
    with linked(broker) as (link, _outbox):
        wait_for(lambda: link.connected, 10, "connected")
        link.stop(3.0, clean=False)
    wait_for(lambda: subscriber.payloads("box/status") == [b"online", b"offline"], 10, "the will")


def test_a_wrong_password_is_told_with_the_users_name_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "users").touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", str(tmp_path / "users"), "viewer", "right"], check=True)
    port = free_port()
    lines = ("allow_anonymous false", f"password_file {tmp_path / 'users'}")
    with mosquitto(tmp_path, port, *lines):
        with linked(port, "viewer", "wrong-password") as (link, outbox):
            send(link, outbox, 1)
            wait_for(lambda: "refuses the user viewer" in caplog.text, 10, "the refusal")
            assert not link.connected
        assert "wrong-password" not in caplog.text
        with linked(port, "viewer", "right") as (link, outbox):
            send(link, outbox, 1)
            wait_for(lambda: not len(outbox), 10, "the right one works")


def test_an_absent_broker_is_told_once_not_at_every_try(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    with linked(port) as (_link, _outbox):
        wait_for(lambda: "connection refused" in caplog.text, 5, "the complaint")
        time.sleep(0.5)
    assert caplog.text.count("connection refused") == 1


@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\x00", bytes(200), b"\xff" * 64])
def test_what_is_no_broker_is_told_and_tried_again(greeting: bytes, caplog: pytest.LogCaptureFixture) -> None:
    accepted = 0
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        over = threading.Event()

        def serve() -> None:
            nonlocal accepted
            while not over.is_set():
                with contextlib.suppress(OSError):
                    client, _ = server.accept()
                    accepted += 1
                    with client:
                        client.sendall(greeting)

        thread = threading.Thread(target=serve)
        thread.start()
        with linked(server.getsockname()[1]) as (link, outbox):
            send(link, outbox, 1)
            wait_for(lambda: accepted >= 3, 20, "it is tried again")
            assert not link.connected
            assert len(outbox) == 1
        over.set()
        thread.join(5)
    assert "broker 127.0.0.1" in caplog.text


def test_a_broker_that_accepts_and_says_nothing_does_not_hold_up_the_stop() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, linked(server.getsockname()[1]) as (link, _outbox):
        time.sleep(0.3)
        began = time.monotonic()
        link.stop(1.0)
        assert time.monotonic() - began < 3


@pytest.mark.usefixtures("what_amqtt_leaves")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_broker_of_the_old_protocol_is_spoken_to_in_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    port = free_port()
    broker = EmbeddedBroker(port)
    broker.start()
    try:
        subscriber = Subscriber(port, protocol=MQTTProtocolVersion.MQTTv311)
        with linked(port) as (link, outbox):
            send(link, outbox, *range(100), picture=b"jpeg")
            wait_for(lambda: not len(outbox), 20, "all are acknowledged")
        wait_for(lambda: subscriber.payloads("box/status") == [b"online", b"stopped"], 5, "the goodbye")
        assert [int(payload) for payload in subscriber.payloads("/alert")] == list(range(100))
        subscriber.close()
    finally:
        assert broker.stop()
    assert re.search("unsupported protocol version|does not answer as an MQTT 5 broker", caplog.text)
    assert "is connected, in MQTT 3.1.1" in caplog.text


def test_a_broker_that_just_hangs_up_on_the_new_protocol_is_spoken_to_in_the_old_one() -> None:
    tried: list[int] = []

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    tried.append(connection.recv(100)[8])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        with linked(int(listener.getsockname()[1])):
            wait_for(lambda: len(tried) >= 4, 10, "several tries")
    assert tried[:4] == [5, 4, 5, 4]


def test_a_protocol_that_the_config_names_is_the_only_one(
    broker: int, subscribe: Subscribe, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    subscriber = subscribe(broker)
    for version in ("5", "3.1.1"):
        with linked(broker, version=version) as (link, outbox):
            send(link, outbox, 1)
            wait_for(lambda: not len(outbox), 10, "it is acknowledged")
        assert f"is connected, in MQTT {version}" in caplog.text
    wait_for(lambda: subscriber.payloads("/alert") == [b"1", b"1"], 5, "both arrive")


def test_what_is_said_to_us_is_heard_and_what_cannot_be_understood_ends_nothing(
    broker: int, subscribe: Subscribe, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[tuple[str, bytes, bool]] = []

    def tell(topic: str, payload: bytes, retained: bool) -> None:
        heard.append((topic, payload, retained))
        if payload == b"junk":
            raise ValueError("it is junk")
        if payload == b"fault":
            raise KeyError(topic)

    subscriber = subscribe(broker)
    subscriber.say("surveil/box/mode/set", "before", retain=True)
    with linked(broker, topics=("surveil/box/mode/set",), tell=tell) as (link, outbox):
        wait_for(lambda: link.connected, 10, "connected")
        for payload in (b"junk", b"fault", b"away"):
            subscriber.say("surveil/box/mode/set", payload)
        wait_for(lambda: len(heard) == 4, 10, "all are heard")
        send(link, outbox, 1)
        wait_for(lambda: not len(outbox), 10, "the connection is still there")
    assert [(payload, retained) for _, payload, retained in heard] == [
        (b"before", True),
        (b"junk", False),
        (b"fault", False),
        (b"away", False),
    ]
    assert "was not understood, and changes nothing: it is junk" in caplog.text
    assert "a fault over a message" in caplog.text
