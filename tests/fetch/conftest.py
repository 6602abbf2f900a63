"""A network of this machine's own: no proxy, no token, no hub but the ones that a test names."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from surveil.fetch import remote
from surveil.fetch.errand import Listener
from tests.fetch.servers import Server


@pytest.fixture(autouse=True)
def own_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(("HF_", "HUGGING", "GITHUB_", "SSL_CERT_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


@pytest.fixture
def serve() -> Iterator[Callable[[], Server]]:
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(Server().running())


@pytest.fixture
def server(serve: Callable[[], Server]) -> Server:
    return serve()


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with remote.client(5.0) as made:
        yield made


class Ear(Listener):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        super().__init__(self.lines.append)


@pytest.fixture
def ear() -> Ear:
    return Ear()
