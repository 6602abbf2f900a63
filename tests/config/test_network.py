from __future__ import annotations

import pytest

from surveil.config.network import is_private, is_remote


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "10.0.0.1",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "192.168.255.255",
        "100.64.0.1",  # carriers' and overlay networks' own: routed by nobody else
        "::1",
        "::ffff:192.168.0.1",
        "fc00::1",
        "fd12:3456:789a::1",
        "fd12::1%eth0",
    ],
)
def test_addresses_of_this_machine_and_of_private_networks_are_private(address: str) -> None:
    assert is_private(address)


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "172.15.255.255",
        "172.32.0.1",
        "192.167.255.255",
        "100.128.0.1",
        "2001:4860:4860::8888",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",  # 8.8.8.8 behind a translator
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "fe80::1",
        "fe80::1%eth0",
        "224.0.0.1",
        "ff02::1",
    ],
)
def test_public_link_local_and_multicast_addresses_are_not(address: str) -> None:
    assert not is_private(address)


@pytest.mark.parametrize("garbage", ["", "%", "localhost", "10.0.0", "10.0.0.1:80", "[::1]", "0x7f000001", "1" * 5000])
def test_what_is_no_address_is_not_private(garbage: str) -> None:
    assert not is_private(garbage)


@pytest.mark.parametrize(
    ("url", "remote"),
    [
        ("http://127.0.0.1:8000/v1", False),
        ("http://[::1]:8000/v1", False),
        ("http://[fd12::1]/v1", False),
        ("https://8.8.8.8/v1", True),
        ("http://[2001:4860:4860::8888]:8000/v1", True),
        ("http://169.254.169.254/v1", True),
        ("https://api.example.org/v1", True),
        ("https://localhost.example.org./v1", True),
        ("http://localhost:8000/v1", False),
        ("http://gpu:8000/v1", False),
        ("http://GPU.Lan./v1", False),
        ("http://gpu.home.arpa/v1", False),
        ("http://vlm.internal/v1", False),  # judged again by the address that it is connected to
    ],
)
def test_a_url_is_remote_by_its_address_or_by_a_name_that_is_not_of_a_local_network(url: str, remote: bool) -> None:
    assert is_remote(url) is remote
