"""Where the broker is and who we are to it, and paho's client made ready for one connection."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Literal

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from surveil.interfaces import BrokerError

CONNECT_SECONDS = 5.0
KEEP_ALIVE_SECONDS = 30
WILL_DELAY_SECONDS = 5
"""A connection that comes back so soon was never away: the last will is not spoken."""
SESSION_SECONDS = 86_400
"""How long the broker keeps what it has for us while we are away: commands of quality 1."""


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files: the authority that the broker's certificate is checked by (None: the system's), and our own pair."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is and who we are to it."""

    host: str
    port: int
    username: str | None
    password: str | None
    client_id: str
    root: str
    version: Literal["auto", "5", "3.1.1"] = "auto"
    tls: Tls | None = None

    @property
    def place(self) -> str:
        """Host and port, for people."""
        return f"{self.host}:{self.port}"

    def client(self, protocol: int) -> paho.Client:
        """Return a client with our name, our last will and our keys, not yet connected. Raises BrokerError."""
        old = {"clean_session": False} if protocol != paho.MQTTv5 else {}
        client = paho.Client(CallbackAPIVersion.VERSION2, self.client_id, protocol=protocol, **old)  # type: ignore[arg-type]
        client.connect_timeout = CONNECT_SECONDS
        client.max_inflight_messages_set(65_535)  # how many are under way is ours to say: paho's queue is memory only
        if self.username is not None:
            client.username_pw_set(self.username, self.password)
        if self.tls is not None:
            client.tls_set_context(_context(self.tls))
        will = Properties(PacketTypes.WILLMESSAGE)  # type: ignore[no-untyped-call]
        will.WillDelayInterval = WILL_DELAY_SECONDS
        told = will if protocol == paho.MQTTv5 else None
        client.will_set(f"{self.root}/status", b"offline", qos=1, retain=True, properties=told)
        return client

    def connect(self, client: paho.Client) -> None:
        """Open the connection. Raises BrokerError."""
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        session.SessionExpiryInterval = SESSION_SECONDS
        new = {"clean_start": False, "properties": session} if client.protocol == paho.MQTTv5 else {}
        try:
            client.connect(self.host, self.port, KEEP_ALIVE_SECONDS, **new)  # type: ignore[arg-type]
        except ssl.SSLCertVerificationError as error:
            why = f"has a certificate that mqtt.tls.ca does not vouch for: {error.verify_message}"
            raise BrokerError(f"broker {self.place} {why}") from None
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise BrokerError(f"broker {self.place} cannot be reached: {why.lower()}") from None


def _context(tls: Tls) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        if tls.cert is not None:
            context.load_cert_chain(tls.cert, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise BrokerError(f"the files of mqtt.tls cannot be used: {error.strerror or error}") from None
    return context


def refusal(broker: Broker, reason: object) -> str:
    """Return what a broker's refusal means, for people: what it says, and what to do."""
    said = str(reason).lower()
    advice = {
        "bad user name or password": "check mqtt.username and mqtt.password",
        "not authorized": "check mqtt.username, mqtt.password and the broker's access list",
        "client identifier not valid": f"its name {broker.client_id} is not allowed there",
        "banned": f"its name {broker.client_id} is banned there",
        "quota exceeded": "the broker takes no more clients",
        "server busy": "the broker takes no more clients now",
    }.get(said)
    who = f" the user {broker.username}" if broker.username else ""
    return f"broker {broker.place} refuses{who}: {said}" + (f"; {advice}" if advice else "")
