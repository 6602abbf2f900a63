from __future__ import annotations

import socket
import threading

import pytest

from surveil.deliver.embedded import EmbeddedBroker
from surveil.interfaces import BrokerError
from tests.real.components import free_port, listening

pytestmark = pytest.mark.usefixtures("what_amqtt_leaves")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_it_listens_on_loopback_alone_and_is_gone_after_its_stop() -> None:
    port = free_port()
    broker = EmbeddedBroker(port)
    broker.start()
    assert listening(port)
    others = [address for *_, (address, *_) in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    for address in others:
        if not str(address).startswith("127."):
            with socket.socket() as probe:
                assert probe.connect_ex((str(address), port)) != 0
    assert broker.stop()
    assert not listening(port)
    assert "broker" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_port_that_is_taken_is_told_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BrokerError, match=f"cannot listen on 127.0.0.1:{port}: address already in use"):
            EmbeddedBroker(port).start()
