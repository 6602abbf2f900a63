"""Incident ids: ULIDs, which sort by time and need no coordination (github.com/ulid/spec)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

Entropy = Callable[[str, float], bytes]
"""From a camera's name and the incident's start to 10 bytes."""


def random_entropy(_camera: str, _wall: float) -> bytes:
    """Return bytes that no other incident has."""
    return secrets.token_bytes(10)


def derived_entropy(camera: str, wall: float) -> bytes:
    """Return bytes that follow from camera and time alone, so that a replay gives the same ids every time."""
    return hashlib.sha256(f"{camera} {wall:.3f}".encode()).digest()[:10]


def ulid(wall: float, entropy: bytes) -> str:
    """Return the ULID of UNIX seconds `wall` and 10 bytes: 26 characters of Crockford's base 32."""
    number = round(wall * 1000) << 80 | int.from_bytes(entropy, "big")
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))
