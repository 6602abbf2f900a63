"""The demo's subscriber: an ordinary MQTT client that hears what any subscriber hears, and counts it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

HOST = "127.0.0.1"
_AGAIN_SECONDS = 0.2
Message = dict[str, Any]


@dataclass(slots=True)
class Received:
    """What came so far: alert messages in their order, and when each came (UNIX seconds)."""

    alerts: list[tuple[float, Message]] = field(default_factory=list)
    stats: Message | None = None

    @property
    def newest(self) -> dict[str, Message]:
        """The last message of each incident, by id, the oldest incident first."""
        return {message["id"]: message for _, message in list(self.alerts)}

    @property
    def pending(self) -> bool:
        """Whether an incident still waits for its assessment."""
        return any(message["assessment"]["state"] == "pending" for message in self.newest.values())

    @property
    def assessed(self) -> bool:
        """Whether at least one alert got the VLM's answer."""
        return any(message["assessment"]["state"] == "done" for _, message in list(self.alerts))


class Subscriber:
    """Listens from `start` to `stop`; `on_alert` is called on paho's thread."""

    def __init__(self, port: int, node: str, on_alert: Callable[[Message], None]) -> None:
        self.received = Received()
        self._port = port
        self._root = f"surveil/{node}"
        self._on_alert = on_alert
        self._stop = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311)
        self._client.on_connect = self._subscribe
        self._client.on_message = self._take
        self._thread = threading.Thread(target=self._run, name="demo-subscriber", daemon=True)

    def start(self) -> None:
        """Connect as soon as the broker is there."""
        self._thread.start()

    def stop(self) -> None:
        """Hang up."""
        self._stop.set()
        self._client.disconnect()
        self._thread.join(5.0)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._client.connect(HOST, self._port)
                self._client.loop_forever(retry_first_connection=False)
            except OSError:
                self._stop.wait(_AGAIN_SECONDS)

    def _subscribe(self, client: paho.Client, *_: Any) -> None:
        client.subscribe([(f"{self._root}/+/alert", 1), (f"{self._root}/stats", 0)])

    def _take(self, _client: Any, _data: Any, message: Any) -> None:
        payload = json.loads(message.payload)
        if message.topic.endswith("/alert"):
            self.received.alerts.append((time.time(), payload))
            self._on_alert(payload)
        else:
            self.received.stats = payload
