"""Servers that are not there, refuse, or never end; and the one line that says so."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from surveil.fetch import remote
from surveil.fetch.remote import FetchError
from tests.fetch.servers import Page, Server
from tests.real.components import free_port


def test_a_document_is_what_the_server_says(server: Server, client: httpx.Client) -> None:
    server.pages["/d"] = Page(b"{}")
    assert remote.document(client, f"{server.url}/d", {"X-Own": "1"}) == b"{}"
    assert server.asked[0].headers["x-own"] == "1"
    assert server.asked[0].headers["user-agent"].startswith("surveil/")


def test_nobody_there(client: httpx.Client) -> None:
    port = free_port()
    told = rf"^127.0.0.1:{port} cannot be reached \(connection refused\); look at the network, or name a proxy"
    with pytest.raises(FetchError, match=told):
        remote.document(client, f"http://127.0.0.1:{port}/d?secret=1", {})


def test_no_tls_there(server: Server, client: httpx.Client) -> None:
    with pytest.raises(
        FetchError, match=r"fails to speak TLS: .*; a company's own certificate goes into SSL_CERT_FILE"
    ):
        remote.document(client, server.url.replace("http:", "https:"), {})


def test_a_proxy_that_refuses(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", server.url.replace("//", "//user:hunter2@"))
    with remote.client() as client, pytest.raises(FetchError) as caught:
        remote.document(client, "https://models.invalid/d", {})
    assert str(caught.value) == "the proxy gives no way to models.invalid; look at HTTPS_PROXY"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("HTTPS_PROXY", "carrier-pigeon://user:hunter2@h", "the proxy that HTTPS_PROXY or ALL_PROXY names"),
        ("HTTPS_PROXY", "http://user:hunter2@h:port", "the proxy that HTTPS_PROXY or ALL_PROXY names"),
        ("SSL_CERT_FILE", "/no/such/file", "the certificates that SSL_CERT_FILE names cannot be read"),
    ],
)  # fmt: skip
def test_an_environment_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(FetchError, match=told) as caught, remote.client():
        pass
    assert "hunter2" not in str(caught.value)


def test_silence_ends(server: Server) -> None:
    server.pages["/d"] = Page(b"{}", hang=1)
    with remote.client(0.2) as client, pytest.raises(FetchError, match="does not answer; look at the network"):
        remote.document(client, f"{server.url}/d", {})


def test_an_answer_without_end_ends(server: Server, client: httpx.Client) -> None:
    server.pages["/d"] = Page(b"x" * 40_000_000)
    with pytest.raises(FetchError, match="answers without end"):
        remote.document(client, f"{server.url}/d", {})
    with pytest.raises(FetchError, match="answers without end"):
        remote.document(client, f"{server.url}/d", {}, seconds=0.0)


def test_a_limit_is_no_refusal(server: Server, client: httpx.Client) -> None:
    server.pages["/d"] = Page(status=403, headers={"X-RateLimit-Remaining": "0"})
    with pytest.raises(FetchError, match="too often; try again in an hour"):
        remote.document(client, f"{server.url}/d", {})


def test_a_secret_goes_to_nobody_else(serve: Callable[[], Server], client: httpx.Client) -> None:
    here, there = serve(), serve()
    here.pages["/d"] = Page(status=302, headers={"Location": f"{there.url}/d"})
    there.pages["/d"] = Page(b"{}")
    assert remote.document(client, f"{here.url}/d", {"Authorization": "Bearer hunter2"}) == b"{}"
    assert "authorization" in here.asked[0].headers
    assert "authorization" not in there.asked[0].headers


def test_a_name_for_people_holds_no_secret() -> None:
    assert remote.host("https://user:hunter2@h.example:1/path?signature=1") == "h.example:1"
