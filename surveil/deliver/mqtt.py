"""The connection to the broker: one thread that owns paho's client and its socket, and comes back by itself.

paho's own loop thread is not used: an exception in a callback ends it silently, and its session keeps messages in
memory that it may send twice. Here every connection has a fresh client, and callbacks run in our loop.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from surveil.backoff import Backoff
from surveil.clock import Clock
from surveil.deliver.broker import CONNECT_SECONDS, Broker, refusal
from surveil.deliver.outbox import Outbox
from surveil.interfaces import BrokerError
from surveil.logs import Fold
from surveil.outgoing import Outgoing

_log = logging.getLogger(__name__)
GOODBYE_SECONDS = 1.0
IN_FLIGHT = 20
PICTURE_SECONDS = 86_400
PATIENCE_SECONDS = 15.0
"""A message that is not acknowledged within this time is looked into."""
SETTLE_SECONDS = 0.5
"""How often what has arrived is noted on disk; a crash before that sends it again."""
_FOR_GOOD = frozenset({"Packet too large", "Topic name invalid", "Payload format invalid"})
"""Refusals that another try changes nothing about."""
_HEADER_BYTES = 1024  # more than topic and properties of a packet need
_SETTLED_SECONDS = 5.0
"""A connection that holds for so long is no longer an attempt; one that breaks sooner may be a loop."""
_NO_LIMIT = 268_435_455  # MQTT's own: a remaining length of four bytes
_UNKNOWN_PROTOCOL = frozenset({"Unsupported protocol version", "Protocol error"})
"""How a broker says that it does not know our MQTT; older ones just hang up."""
_REPEAT_SECONDS = 60.0
"""A broker that stays away is told of again this often."""


@dataclass(frozen=True, slots=True)
class _Packet:
    topic: str
    payload: bytes
    qos: int
    retain: bool
    content_type: str = ""
    expiry: int | None = None


@dataclass(frozen=True, slots=True)
class Hearing:
    """What is listened to: topics with wildcards, whole, and who is told of each message: topic, payload, retained."""

    topics: Collection[str]
    tell: Callable[[str, bytes, bool], None]


DEAF = Hearing((), lambda _topic, _payload, _retained: None)


class MqttLink:
    """Sends the outbox and the retained topics. `run` is the retry policy, `run_once` one connection."""

    def __init__(
        self,
        broker: Broker,
        outbox: Outbox,
        clock: Clock,
        picture: Callable[[str], bytes],
        keep_seconds: int | None = None,
        hearing: Hearing = DEAF,
    ) -> None:
        """Only store.

        Args:
            broker: where it is, and who we are.
            outbox: what is to be sent.
            clock: monotonic.
            picture: reads a snapshot of the storage path; raises OSError.
            keep_seconds: after so long the broker may throw an alert away that a subscriber has not fetched.
            hearing: what is listened to.
        """
        self.connected = False
        self._picture = picture
        self._keep_seconds = keep_seconds
        self._hearing = hearing
        self._fold = Fold(_log)
        self._settled_at = 0.0
        self._probed = False
        self._broker = broker
        self._outbox = outbox
        self._clock = clock
        self._next_protocol = paho.MQTTv311 if broker.version == "3.1.1" else paho.MQTTv5
        self._protocol = self._next_protocol
        self._greeting: Any = None
        self._farewell: Any = None
        self._goodbye: int | None = None
        self._max_packet = _NO_LIMIT
        self._window = IN_FLIGHT
        self._unacknowledged: set[int] = set()
        self._flush_until = 0.0
        self._retained: dict[str, tuple[bytes, int]] = {}
        self._unsent: dict[str, tuple[bytes, int]] = {}
        self._passing: tuple[str, bytes] | None = None
        self._lock = threading.Lock()
        self._clean = True
        self._stop = threading.Event()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._backoff = Backoff(patient=False)
        self._complaint = ("", -_REPEAT_SECONDS)
        self._thread = threading.Thread(target=self.run, name="mqtt", daemon=True)

    def start(self) -> None:
        """Start the thread; a broker that is away fails nothing."""
        self._thread.start()

    def stop(self, timeout: float, clean: bool = True) -> bool:
        """Flush within `timeout` seconds, say `stopped` after a `clean` run, hang up; False when messages are left.

        After a fault nothing is said and the connection just ends, so that the broker speaks our last will.
        """
        self._clean = clean
        self._flush_until = self._clock.monotonic() + max(0.0, timeout - GOODBYE_SECONDS)
        self._stop.set()
        self.wake()
        self._thread.join(timeout)
        return not self._thread.is_alive() and not len(self._outbox)

    @property
    def waiting(self) -> int:
        """How many alert messages the broker has not acknowledged."""
        return len(self._outbox)

    def describe(self) -> str:
        """Return how the broker is, for people."""
        return "connected" if self.connected else f"away, {len(self._outbox)} messages wait"

    def wake(self) -> None:
        """Tell the thread that there is something to send."""
        with contextlib.suppress(BlockingIOError):  # a full pipe: it has been told already
            os.write(self._wake_write, b"!")

    def retain(self, topic: str, payload: bytes, qos: int) -> None:
        """Keep `payload` at a topic below the node's, now and after every new connection."""
        self.announce(self._below(topic), payload, qos)

    def announce(self, topic: str, payload: bytes, qos: int = 1) -> None:
        """Do as `retain` does, at a whole topic; an empty payload removes what was there."""
        with self._lock:
            if self._retained.get(topic) == (payload, qos):
                return
            self._retained[topic] = self._unsent[topic] = (payload, qos)
        self.wake()

    def pass_on(self, topic: str, payload: bytes) -> None:
        """Send once, if the broker is there now: for numbers that the next ones replace."""
        with self._lock:
            self._passing = (topic, payload)
        self.wake()

    def run(self) -> None:
        """Keep a connection until stopped."""
        while not self._stop.is_set():
            try:
                self.run_once()
            except BrokerError as error:
                self._complain(str(error))
            except Exception:  # noqa: BLE001 - whatever a broker makes paho raise, the next try is a fresh client
                _log.exception("a fault in the broker's thread")
            finally:
                self.connected = False
                self._outbox.put_back()
                self._outbox.settle()
            if not self._stop.is_set():
                self._stop.wait(self._backoff.next())

    def run_once(self) -> None:
        """Connect, and send until stopped. Raises BrokerError."""
        client = self._connect()
        try:
            self._greet(client)
            began = self._clock.monotonic()
            _log.info("broker %s is connected, in MQTT %s", self._broker.place, self._spoken)
            self._publish(client, _Packet(self._below("status"), b"online", 1, retain=True))
            self._listen(client)
            self._probed = False
            with self._lock:
                self._unsent = dict(self._retained)
                self._passing = None
            self.connected = True
            if self._broker.version == "auto":
                self._next_protocol = paho.MQTTv5  # a broker that comes back may be a newer one
            while not self._stop.is_set() or self._flushing():
                self._send(client)
                self._look_into_overdue(client)
                self._settle()
                if self._clock.monotonic() - began > _SETTLED_SECONDS:
                    self._complaint = ("", -_REPEAT_SECONDS)
                    self._backoff.reset()
                self._step(client, 0.05 if self._stop.is_set() else 1.0)
            if self._clean:
                self._say_goodbye(client)
        finally:
            if self._clean:
                client.disconnect()
            elif (sock := client.socket()) is not None:
                sock.close()

    def _greet(self, client: paho.Client) -> None:
        """Wait for the broker's word; where it does not know our MQTT, the next try is in the other one."""
        try:
            self._await_greeting(client)
        except BrokerError:
            unknown = self._greeting is None or str(self._greeting) in _UNKNOWN_PROTOCOL
            if unknown and self._broker.version == "auto" and not self._stop.is_set():
                self._next_protocol = paho.MQTTv311 if self._protocol == paho.MQTTv5 else paho.MQTTv5
            raise

    def _connect(self) -> paho.Client:
        self._protocol = self._next_protocol
        client = self._broker.client(self._protocol)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        self._broker.connect(client)
        return client

    def _await_greeting(self, client: paho.Client) -> None:
        self._greeting = self._farewell = None
        self._unacknowledged.clear()
        until = self._clock.monotonic() + CONNECT_SECONDS
        while self._greeting is None:
            if self._stop.is_set():
                raise BrokerError(f"broker {self._broker.place} had not answered yet")
            if self._clock.monotonic() > until:
                raise BrokerError(f"broker {self._broker.place} does not answer as an MQTT {self._spoken} broker")
            self._step(client, 0.2)
        if self._greeting.is_failure:
            raise BrokerError(refusal(self._broker, self._greeting))

    @property
    def _spoken(self) -> str:
        return "5" if self._protocol == paho.MQTTv5 else "3.1.1"

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, properties: Any) -> None:
        self._greeting = reason
        # paho does not hold to the broker's limit, and a broker hangs up on what is above it.
        self._max_packet = getattr(properties, "MaximumPacketSize", _NO_LIMIT)
        # Nor to how many unacknowledged messages it takes.
        self._window = min(IN_FLIGHT, getattr(properties, "ReceiveMaximum", IN_FLIGHT))

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if self._farewell is None:  # what the broker says comes first, then that the socket is gone
            self._farewell = reason

    def _on_publish(self, _client: Any, _data: Any, packet: int, reason: Any, _properties: Any) -> None:
        self._unacknowledged.discard(packet)
        if packet == self._goodbye:
            self._goodbye = None
        if not reason.is_failure:
            arrived = self._outbox.acknowledge(packet)
            if arrived is not None:
                _log.debug("%s acknowledged", arrived.label)
            return
        said = str(reason)
        self._outbox.refuse(packet, f"refused by the broker: {said.lower()}", said in _FOR_GOOD)

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        try:
            self._hearing.tell(message.topic, message.payload, message.retain)
        except ValueError as error:
            self._fold.warn(f"a message to {message.topic[:200]!r} was not understood, and changes nothing: {error}")
        except Exception:  # noqa: BLE001 - whatever somebody sends must not end the connection
            _log.exception("a fault over a message to %r", message.topic[:200])

    def _listen(self, client: paho.Client) -> None:
        for topic in self._hearing.topics:
            client.subscribe(topic, 1)

    def _send(self, client: paho.Client) -> None:
        while len(self._unacknowledged) < self._window and (unsent := self._next_unsent()) is not None:
            topic, (payload, qos) = unsent
            self._publish(client, _Packet(topic, payload, qos, retain=True))
        with self._lock:
            passing, self._passing = self._passing, None
        if passing is not None:
            self._publish(client, _Packet(self._below(passing[0]), passing[1], 0, retain=False))
        while len(self._unacknowledged) < self._window and (outgoing := self._outbox.head()) is not None:
            self._send_alert(client, outgoing)

    def _send_alert(self, client: paho.Client, outgoing: Outgoing) -> None:
        most = self._max_packet - _HEADER_BYTES
        if len(outgoing.payload) > most:
            self._outbox.refuse_unsent(outgoing, f"it is larger than the broker takes ({self._max_packet} bytes)")
            return
        picture = self._pictured(outgoing)
        if picture is not None and len(picture) < most:
            topic = self._below(f"{outgoing.camera}/snapshot")
            self._publish(client, _Packet(topic, picture, 0, True, "image/jpeg", PICTURE_SECONDS))
        alert = _Packet(self._below(outgoing.topic), outgoing.payload, 1, False, "application/json", self._keep_seconds)
        self._outbox.sent(self._publish(client, alert), outgoing)
        _log.debug("%s sent", outgoing.label)

    def _pictured(self, outgoing: Outgoing) -> bytes | None:
        if outgoing.picture is None:
            return outgoing.jpeg
        try:
            return self._picture(outgoing.picture)
        except OSError as error:
            self._fold.warn(f"{outgoing.label} its picture cannot be read: {error.strerror}")
            return None

    def _look_into_overdue(self, client: paho.Client) -> None:
        """Where messages are not acknowledged, see whether anything is; else a new connection must bring it out."""
        if not self._probed and self._outbox.overdue(PATIENCE_SECONDS / 2, strike=False):
            self._probed = True
            self._publish(client, _Packet(self._below("status"), b"online", 1, retain=True))
        if self._outbox.overdue(PATIENCE_SECONDS, strike=True):
            raise BrokerError(f"broker {self._broker.place} does not acknowledge what it gets")

    def _settle(self) -> None:
        now = self._clock.monotonic()
        if now - self._settled_at >= SETTLE_SECONDS:
            self._settled_at = now
            self._outbox.settle()

    def tell_again(self) -> None:
        """Send all retained topics again: whoever listens has forgotten them."""
        with self._lock:
            self._unsent = dict(self._retained)
        self.wake()

    def _below(self, topic: str) -> str:
        return f"{self._broker.root}/{topic}"

    def _next_unsent(self) -> tuple[str, tuple[bytes, int]] | None:
        with self._lock:
            topic = next(iter(self._unsent), None)
            return None if topic is None else (topic, self._unsent.pop(topic))

    def _properties(self, packet: _Packet) -> Properties | None:
        """Return what MQTT 5 tells beside the payload; 3.1.1 has no place for it."""
        if self._protocol != paho.MQTTv5:
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if packet.content_type:
            properties.ContentType = packet.content_type
        if packet.expiry is not None:
            properties.MessageExpiryInterval = packet.expiry
        return properties

    def _publish(self, client: paho.Client, packet: _Packet) -> int:
        info = client.publish(packet.topic, packet.payload, packet.qos, packet.retain, self._properties(packet))
        if info.rc not in {paho.MQTT_ERR_SUCCESS, paho.MQTT_ERR_NO_CONN, paho.MQTT_ERR_AGAIN}:
            raise BrokerError(f"broker {self._broker.place}: {paho.error_string(info.rc)}")
        if packet.qos:
            self._unacknowledged.add(info.mid)
        return info.mid

    def _step(self, client: paho.Client, timeout: float) -> None:
        """Wait for the socket or a wake-up, at most `timeout` seconds, and let paho do its part."""
        sock = client.socket()
        if sock is None:
            raise self._hung_up()
        poll = select.poll()
        poll.register(self._wake_read, select.POLLIN)
        poll.register(sock, select.POLLIN | (select.POLLOUT if client.want_write() else 0))
        events = dict(poll.poll(timeout * 1000))
        if self._wake_read in events:
            os.read(self._wake_read, 4096)
        client.loop_misc()
        if events.get(sock.fileno(), 0) & ~select.POLLOUT:
            client.loop_read()
        if client.want_write():
            client.loop_write()
        if client.socket() is None and not (self._greeting and self._greeting.is_failure):
            raise self._hung_up()

    def _hung_up(self) -> BrokerError:
        why = f": {str(self._farewell).lower()}" if self._farewell else ""
        if "taken over" in why:
            why += f"; another client calls itself {self._broker.client_id}: is there a second daemon of this node?"
        return BrokerError(f"broker {self._broker.place} closed the connection{why}")

    def _flushing(self) -> bool:
        return bool(len(self._outbox) or self._unsent) and self._clock.monotonic() < self._flush_until

    def _say_goodbye(self, client: paho.Client) -> None:
        self._goodbye = self._publish(client, _Packet(self._below("status"), b"stopped", 1, retain=True))
        until = self._clock.monotonic() + GOODBYE_SECONDS / 2
        while self._goodbye is not None and self._clock.monotonic() < until:
            self._step(client, 0.05)

    def _complain(self, text: str) -> None:
        last, at = self._complaint
        now = self._clock.monotonic()
        if text != last or now - at >= _REPEAT_SECONDS:
            self._complaint = (text, now)
            _log.warning("%s; alerts wait (%d)", text, len(self._outbox))
