from __future__ import annotations

from fractions import Fraction

from surveil.capture.packets import GOP_SECONDS, CodedPacket, Coding, PacketRing

CODING = Coding("h264", None, Fraction(1, 90_000), 320, 240)


def packet(at: float, size: int = 100, is_key: bool = False) -> CodedPacket:
    return CodedPacket(bytes(size), is_key, int(at * 90_000), int(at * 90_000), at, at)


def fill(ring: PacketRing, begin: float, end: float, gop: float, size: int = 100) -> None:
    """Ten packets a second, the first of every `gop` seconds a key packet."""
    for number in range(round(begin * 10), round(end * 10)):
        ring.add(CODING, packet(number / 10, size, is_key=number % round(gop * 10) == 0))


def test_it_holds_the_last_seconds_from_a_key_packet_on() -> None:
    ring = PacketRing(seconds=10.0)
    fill(ring, 0, 61, gop=2)
    gops = ring.gops()
    assert [gop.began for gop in gops] == [50.0, 52.0, 54.0, 56.0, 58.0, 60.0]
    assert all(gop.packets[0].is_key and len(gop.packets) == 20 for gop in gops[:-1])
    newest = ring.newest()
    assert newest is gops[-1]
    assert newest.last.at == 60.9


def test_it_never_holds_more_bytes_than_it_may() -> None:
    ring = PacketRing(seconds=1000.0, max_bytes=10_000)
    for second in range(1, 60):
        fill(ring, second - 1, second, gop=2, size=300)
        assert sum(gop.bytes for gop in ring.gops()) <= 10_000
    assert len(ring.gops()) == 2
    assert sum(len(p.data) for gop in ring.gops() for p in gop.packets) == sum(gop.bytes for gop in ring.gops())


def test_a_gop_over_the_bytes_is_cut_and_says_so_once() -> None:
    ring = PacketRing(max_bytes=1000)
    kept = [ring.add(CODING, packet(n / 10, is_key=n == 0)) for n in range(15)]
    assert kept == [True] * 10 + [False] + [True] * 4
    (gop,) = ring.gops()
    assert gop.cut
    assert gop.last.at == 0.9
    assert ring.add(CODING, packet(2.0, is_key=True))
    assert [gop.began for gop in ring.gops()] == [2.0]


def test_a_gop_that_never_ends_is_cut() -> None:
    ring = PacketRing()
    assert ring.add(CODING, packet(0.0, is_key=True))
    assert ring.add(CODING, packet(GOP_SECONDS))
    assert not ring.add(CODING, packet(GOP_SECONDS + 0.1))


def test_a_key_packet_larger_than_everything_is_left_out() -> None:
    ring = PacketRing(max_bytes=1000)
    ring.add(CODING, packet(0.0, size=1001, is_key=True))
    assert ring.newest() is None


def test_after_a_break_nothing_is_kept_before_the_next_key_packet() -> None:
    ring = PacketRing()
    fill(ring, 0, 3, gop=2)
    ring.begin()
    ring.add(CODING, packet(5.1))
    fill(ring, 6, 7, gop=2)
    assert [(gop.began, gop.last.at) for gop in ring.gops()] == [(0.0, 1.9), (2.0, 2.9), (6.0, 6.9)]


def test_a_gop_outlives_the_ring_for_whoever_holds_it() -> None:
    ring = PacketRing(seconds=1.0)
    fill(ring, 0, 2, gop=2)
    held = ring.newest()
    fill(ring, 2, 60, gop=2)
    assert held is not None
    assert held not in ring.gops()
    assert len(held.packets) == 20
