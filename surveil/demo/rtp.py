"""H.264 in RTP packets (RFC 6184): a small NAL unit is a packet of its own, a large one is sent in fragments (FU-A)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from surveil.demo.camera import AccessUnit

PAYLOAD_TYPE = 96
_MOST = 1400
"""Bytes of a payload: what an Ethernet frame has room for."""
_FU_A = 28


def payloads(unit: AccessUnit) -> list[bytes]:
    """Return the payloads of one picture's packets, in their order."""
    return [payload for nal in unit.nals for payload in _fragments(nal)]


def _fragments(nal: bytes) -> Iterator[bytes]:
    if len(nal) <= _MOST:
        yield nal
        return
    importance, kind = nal[0] & 0xE0, nal[0] & 0x1F
    room = _MOST - 2
    for at in range(1, len(nal), room):
        first, last = at == 1, at + room >= len(nal)
        yield bytes([importance | _FU_A, first << 7 | last << 6 | kind]) + nal[at : at + room]


class Packets:
    """One receiver's packets: its numbers and its source, which differ from those of all others."""

    def __init__(self, source: int, sequence: int) -> None:
        self.source = source
        self.sequence = sequence & 0xFFFF

    def of(self, parts: list[bytes], ticks: int) -> Iterator[bytes]:
        """Yield the packets of one picture; the last one is marked as such."""
        for number, part in enumerate(parts, 1):
            marked = (number == len(parts)) << 7 | PAYLOAD_TYPE
            yield struct.pack("!BBHII", 0x80, marked, self.sequence, ticks & 0xFFFFFFFF, self.source) + part
            self.sequence = (self.sequence + 1) & 0xFFFF
