"""Which addresses are of this machine or of a private network: pictures of people go nowhere else by themselves."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

NOT_PRIVATE = "no private address, and pictures of people would leave the house; if they shall, say"


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
    """Return whether a URL names an address that is not private; a host name is judged when it is connected to."""
    host = urlsplit(url).hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return not is_private(host)
