"""What keeping every alert costs: messages a second into the database, and out of it through a real broker.

    python -m benchmarks.outbox [--messages 5000] [--outage 600]

Real messages of 2 to 3 KB. Into it: one at a time (each waits for the disk) and fifty at a time (a burst). Out of it:
the link to a mosquitto on loopback, each acknowledged, until the outbox is empty. Then an outage: `--outage` seconds of
alerts at ten a minute are decided while there is no broker, with the process killed with -9 twice meanwhile (time is
not waited for), and counted at a subscriber afterwards. Writes benchmarks/results/outbox.json.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from rich.console import Console
from rich.table import Table

from surveil.clock import SystemClock
from surveil.config import load
from surveil.deliver.broker import Broker
from surveil.deliver.mqtt import MqttLink
from surveil.deliver.outbox import Outbox
from surveil.deliver.wire import Envelope
from surveil.messages import Alert, Assessment, Level, Risk, Subject
from surveil.outgoing import Draft
from surveil.store.database import Database
from surveil.store.ledger import AlertLedger
from surveil.trigger.identity import random_entropy, ulid

RESULT = Path(__file__).parent / "results" / "outbox.json"
REVISIONS = 3


def drafts(envelope: Envelope, count: int) -> Iterator[Draft]:
    """Yield messages of incidents with three revisions each."""
    for number in range(count):
        rev = number % REVISIONS + 1
        if rev == 1:
            wall = time.time()
            ident = ulid(wall, random_entropy("front", wall))
        subjects = tuple(Subject(track, "person", 0.9, (0.1, 0.2, 0.3, 0.9), 4.2, ("yard",)) for track in range(8))
        alert = Alert(
            id=ident, rev=rev, phase="new" if rev == 1 else "end" if rev == REVISIONS else "update", changed=(),
            notify=False, camera="front", kind="person", rules=("intrusion:yard",), reason="8 persons in zone yard",
            started=wall, updated=wall, ended=None, risk=Risk.of(Level.low, None),
            assessment=Assessment(ident, "front", "pending"), subjects=subjects,
        )  # fmt: skip
        yield _draft(envelope, alert)


def _draft(envelope: Envelope, alert: Alert) -> Draft:
    return Draft(alert, lambda seq: envelope.message(alert, seq).line().encode())


@contextlib.contextmanager
def outbox_in(folder: Path) -> Iterator[Outbox]:
    """Yield an outbox on a database in a folder."""
    database = Database(folder)
    database.open()
    outbox = Outbox(AlertLedger(database), SystemClock())
    outbox.open()
    try:
        yield outbox
    finally:
        database.close()


@contextlib.contextmanager
def mosquitto(port: int) -> Iterator[None]:
    """Run a broker."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "m.conf")
        config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
        process = subprocess.Popen(["mosquitto", "-c", str(config)], stderr=subprocess.DEVNULL)  # noqa: S603, S607
        try:
            for _ in range(100):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait(10)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def kept(envelope: Envelope, count: int, together: int) -> float:
    """Return how many messages a second are numbered, made and synced to the disk, so many at a time."""
    with tempfile.TemporaryDirectory() as folder, outbox_in(Path(folder)) as outbox:
        made = list(drafts(envelope, count))
        began = time.perf_counter()
        for first in range(0, count, together):
            outbox.append(made[first : first + together])
        return count / (time.perf_counter() - began)


def link_to(port: int, outbox: Outbox) -> MqttLink:
    """Return the daemon's own link."""
    broker = Broker("127.0.0.1", port, None, None, "surveil-box", "surveil/box")
    return MqttLink(broker, outbox, SystemClock(), lambda name: Path(name).read_bytes())


def drained(envelope: Envelope, count: int) -> float:
    """Return how many messages a second leave the database for a broker that acknowledges them."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, mosquitto(port), outbox_in(Path(folder)) as outbox:
        made = list(drafts(envelope, count))
        for first in range(0, count, 50):
            outbox.append(made[first : first + 50])
        link = link_to(port, outbox)
        began = time.perf_counter()
        link.start()
        while len(outbox):
            time.sleep(0.005)
        took = time.perf_counter() - began
        link.stop(3.0)
        return count / took


def outage(seconds: int) -> dict[str, Any]:
    """Return what a subscriber hears of alerts that were decided while the broker was away and two lives ended."""
    port = free_port()
    count = seconds // 6 * REVISIONS
    with tempfile.TemporaryDirectory() as folder:
        committed = 0
        for life in range(3):
            committed += _lived(Path(folder), port, count // 3, killed=life < 2)
        heard: list[dict[str, Any]] = []
        with mosquitto(port), outbox_in(Path(folder)) as outbox:
            _listen(port, heard)
            link = link_to(port, outbox)
            link.start()
            until = time.monotonic() + 60
            while len(outbox) and time.monotonic() < until:
                time.sleep(0.05)
            time.sleep(0.5)
            link.stop(3.0)
    seqs = [message["seq"] for message in heard]
    return {"committed": committed, "arrived": len(set(seqs)), "duplicates": len(seqs) - len(set(seqs))}


def _lived(folder: Path, port: int, count: int, killed: bool) -> int:
    """Let a process decide alerts while there is no broker; return how many it said were kept."""
    command = [sys.executable, "-m", "benchmarks.outbox", "--live", str(folder), "--messages", str(count)]
    process = subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.PIPE, text=True)  # noqa: S603
    assert process.stdout is not None  # noqa: S101
    lines = []
    for line in process.stdout:
        lines.append(line)
        if killed and len(lines) == count:
            os.kill(process.pid, signal.SIGKILL)
            break
    process.wait(30)
    process.stdout.close()
    return len(lines)


def _live(folder: Path, port: int, count: int, envelope: Envelope) -> None:
    with outbox_in(folder) as outbox:
        link = link_to(port, outbox)
        link.start()
        for draft in drafts(envelope, count):
            outbox.append([draft])
            print("kept", flush=True)
        time.sleep(2 if count else 0)
        link.stop(1.0)


def _listen(port: int, heard: list[dict[str, Any]]) -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _c, _d, message: heard.append(json.loads(message.payload))
    client.connect("127.0.0.1", port)
    client.subscribe("surveil/+/+/alert", 1)
    client.loop_start()
    time.sleep(0.3)


def main() -> None:
    """Measure, show and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--outage", type=int, default=600)
    parser.add_argument("--live", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help=argparse.SUPPRESS)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "c.yaml")
        config.write_text("node: box\ncameras: {front: {source: rtsp://192.0.2.1/1}}\n")
        envelope = Envelope(load(config))
    if told.live:
        _live(told.live, told.port, told.messages, envelope)
        return
    size = len(replace(next(drafts(envelope, 1))).message(1))
    result = {
        "message_bytes": size,
        "kept_one_at_a_time_a_second": round(kept(envelope, told.messages, 1)),
        "kept_in_bursts_a_second": round(kept(envelope, told.messages, 50)),
        "drained_a_second": round(drained(envelope, told.messages)),
        "outage": outage(told.outage),
    }
    table = Table("what", "measured", "asked")
    table.add_row("messages kept a second, one at a time", str(result["kept_one_at_a_time_a_second"]), "")
    table.add_row("messages kept a second, in bursts", str(result["kept_in_bursts_a_second"]), "1000")
    table.add_row("messages delivered a second", str(result["drained_a_second"]), "500")
    table.add_row(f"an outage of {told.outage} s, two kills", json.dumps(result["outage"]), "all arrive")
    Console(stderr=True).print(table)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
