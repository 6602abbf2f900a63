"""Which addresses are of this machine or of a private network: pictures of people go nowhere else by themselves."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

NOT_PRIVATE = "no private address, and pictures of people would leave the house; if they shall, say"

LOCAL_NAMES = (".localhost", ".local", ".lan", ".internal", ".intranet", ".home", ".home.arpa", ".localdomain")
"""Endings that no public name has (RFC 6761, 6762, 8375; ICANN reserves .internal), and those that routers hand out."""


def is_private(address: str) -> bool:
    """Return whether an IP address is of this machine or of a private network.

    Link-local ones are not counted: clouds serve their credentials at 169.254.169.254.
    """
    try:
        parsed = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    except ValueError:
        return False
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return not parsed.is_global and not parsed.is_link_local and not parsed.is_multicast


def is_remote(url: str) -> bool:
    """Return whether a URL names an address that is not private, or a host whose name is not one of a local network.

    Names are not looked up: where one leads is judged again when it is connected to.
    """
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "." in host and not host.endswith(LOCAL_NAMES)
    return not is_private(host)
