"""RTP packets of H.264: what is put together again is what was cut."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from surveil.demo.camera import AccessUnit
from surveil.demo.rtp import Packets, payloads


def joined(parts: list[bytes]) -> list[bytes]:
    """Put NAL units together again, as RFC 6184 says."""
    nals: list[bytes] = []
    for part in parts:
        if part[0] & 31 != 28:
            nals.append(part)
            continue
        if part[1] & 0x80:
            nals.append(bytes([part[0] & 0xE0 | part[1] & 0x1F]))
        nals[-1] += part[2:]
    return nals


@given(st.lists(st.integers(1, 6000), min_size=1, max_size=4), st.integers(0, 3))
def test_what_is_cut_can_be_put_together(sizes: list[int], importance: int) -> None:
    nals = tuple(bytes([importance << 5 | 5]) + bytes(n % 251 for n in range(size)) for size in sizes)
    parts = payloads(AccessUnit(nals, True, 0))
    assert joined(parts) == list(nals)
    assert all(len(part) <= 1400 for part in parts)


def test_fragments_say_where_they_begin_and_end() -> None:
    parts = payloads(AccessUnit((bytes([0x65]) + bytes(4000),), True, 0))
    assert [part[1] >> 6 for part in parts] == [0b10, 0b00, 0b01]
    assert {part[1] & 31 for part in parts} == {5}


def test_numbers_go_on_and_around_and_the_last_packet_is_marked() -> None:
    packets = Packets(source=7, sequence=65535)
    first, second = packets.of([b"a", b"b"], ticks=(1 << 32) + 6000)
    assert struct.unpack("!BBHII", first[:12]) == (0x80, 96, 65535, 6000, 7)
    assert struct.unpack("!BBHII", second[:12]) == (0x80, 96 | 0x80, 0, 6000, 7)
    assert second[12:] == b"b"
