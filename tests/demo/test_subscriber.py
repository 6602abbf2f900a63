from __future__ import annotations

import json

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from surveil.deliver.embedded import EmbeddedBroker
from surveil.demo.subscriber import Message, Subscriber
from tests.real.components import free_port, wait_for


@pytest.mark.usefixtures("what_amqtt_leaves")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_it_waits_for_the_broker_and_hears_alerts_and_stats() -> None:
    port, heard = free_port(), list[Message]()
    subscriber = Subscriber(port, "demo", heard.append)
    subscriber.start()
    broker = EmbeddedBroker(port)
    broker.start()
    publisher = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311)
    publisher.connect("127.0.0.1", port)
    publisher.loop_start()
    alert = {"id": "one", "assessment": {"state": "done"}}

    def told() -> bool:
        publisher.publish("surveil/demo/yard/alert", json.dumps(alert), 1)
        publisher.publish("surveil/demo/stats", json.dumps({"queue": 0}))
        publisher.publish("surveil/other/yard/alert", json.dumps({"id": "not ours"}), 1)
        return bool(heard) and subscriber.received.stats is not None

    wait_for(told, 10, "both arrive")
    publisher.disconnect()
    publisher.loop_stop()
    subscriber.stop()
    assert broker.stop()
    assert {message["id"] for message in heard} == {"one"}
    assert subscriber.received.assessed
