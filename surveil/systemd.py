"""sd_notify(3): what systemd is told, in datagrams; nothing happens where it does not listen."""

from __future__ import annotations

import os
import socket


def notify(*states: str) -> None:
    """Send states such as `READY=1` or `STATUS=…`; does nothing without NOTIFY_SOCKET."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # an abstract socket, as Linux has them
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as datagrams:
            datagrams.settimeout(1.0)
            datagrams.connect(address)
            datagrams.sendall("\n".join(states).encode())
    except OSError:
        pass  # whoever listened has gone; the daemon's work does not hang on it
