"""The link to the broker through a proxy that cuts it at a random byte, refuses, and swallows what it is given."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from surveil.deliver import mqtt
from tests.deliver.boxes import draft
from tests.deliver.test_mqtt import impatient, linked
from tests.real.components import Subscriber, free_port, mosquitto, wait_for

Subscribe = Callable[..., Subscriber]
CUTS = 100
__all__ = ["impatient"]


class Proxy:
    """Passes bytes between clients and a broker; each connection is cut after as many bytes as `lives` says."""

    def __init__(self, to: int, lives: Iterator[int | None]) -> None:
        self.cuts = 0
        self._to = to
        self._lives = lives
        self._over = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(0.1)
        self.port = int(self._server.getsockname()[1])
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = self._server.accept()
                with client, socket.create_connection(("127.0.0.1", self._to)) as broker:
                    self._pass(client, broker, next(self._lives))

    def _pass(self, client: socket.socket, broker: socket.socket, life: int | None) -> None:
        passed = 0
        while not self._over.is_set():
            for source in select.select([client, broker], [], [], 0.1)[0]:
                data = b""
                with contextlib.suppress(OSError):
                    data = source.recv(4096)
                if life is not None and passed + len(data) >= life:
                    with contextlib.suppress(OSError):
                        (broker if source is client else client).sendall(data[: life - passed])
                    self.cuts += 1
                    return
                if not data:
                    return
                passed += len(data)
                with contextlib.suppress(OSError):
                    (broker if source is client else client).sendall(data)

    def close(self) -> None:
        """Hang up."""
        self._over.set()
        self._thread.join(10)
        self._server.close()


def lives() -> Iterator[int | None]:
    dice = random.Random(11)
    for _ in range(CUTS):
        yield dice.randrange(1, 6000)
    while True:
        yield None


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_a_broker_that_is_cut_off_at_a_hundred_random_bytes_loses_nothing(broker: int, subscribe: Subscribe) -> None:
    subscriber = subscribe(broker)
    proxy = Proxy(broker, lives())
    try:
        with linked(proxy.port) as (link, outbox):
            number = 0
            until = time.monotonic() + 100
            while proxy.cuts < CUTS:
                assert time.monotonic() < until, f"only {proxy.cuts} cuts"
                outbox.append([draft(number), draft(number, payload=b"again", rev=2)])
                link.wake()
                number += 1
                time.sleep(0.01)
            wait_for(lambda: not len(outbox), 20, "everything is acknowledged")
            assert (outbox.lost, outbox.dead) == (0, 0)
        wait_for(lambda: len(set(subscriber.payloads("/alert"))) == number + 1, 5, "everything has arrived")
        firsts = [int(payload) for payload in subscriber.payloads("/alert") if payload != b"again"]
        assert list(dict.fromkeys(firsts)) == list(range(number))
    finally:
        proxy.close()


@pytest.mark.slow
def test_what_is_forbidden_too_large_or_never_acknowledged_holds_up_nobody(
    tmp_path: Path, subscribe: Subscribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "acl").write_text("topic read #\ntopic write surveil/box/front/alert\ntopic write surveil/box/status\n")
    port = free_port()
    lines = ("max_packet_size 3000", f"acl_file {tmp_path / 'acl'}")
    monkeypatch.setattr(mqtt, "PATIENCE_SECONDS", 2.0)
    with mosquitto(tmp_path, port, *lines), linked(port) as (link, outbox):
        subscriber = subscribe(port)
        wait_for(lambda: link.connected, 10, "connected")
        outbox.append([draft("forbidden", "back"), draft("huge", payload=bytes(5000)), draft("swallowed")])
        outbox.append([draft(number) for number in range(50)])
        swallowed: list[int] = []
        acknowledge = outbox.acknowledge

        def deaf(packet: int) -> object:
            """Lose every acknowledgement of one message, as a broker would that never sends it."""
            sent = outbox._in_flight.get(packet)
            if sent is not None and sent.outgoing.payload == b"swallowed":
                swallowed.append(packet)
                return None
            return acknowledge(packet)

        monkeypatch.setattr(outbox, "acknowledge", deaf)
        link.wake()
        wait_for(lambda: len(subscriber.payloads("/alert")) >= 50, 5, "the others")
        for number in range(50, 500):  # whoever is never acknowledged is known by others that are
            if outbox.dead == 3:
                break
            outbox.append([draft(number)])
            link.wake()
            time.sleep(0.1)
        wait_for(lambda: outbox.dead == 3, 30, "three dead letters")
        wait_for(lambda: not len(outbox), 10, "nothing waits")
        assert len(swallowed) == 4
