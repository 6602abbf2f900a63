from __future__ import annotations

from surveil.capture.nal import as_extradata, parameter_sets
from surveil.capture.packets import CodedPacket

SPS, PPS, OTHER_PPS, SEI, SLICE = (
    b"\x67\x42\xc0\x0b",
    b"\x68\xce\x0f",
    b"\x68\xee\x3c",
    b"\x06\x05\x80",
    b"\x65\x88\x84",
)
VPS5, SPS5, PPS5, SLICE5 = b"\x40\x01\x0c", b"\x42\x01\x01", b"\x44\x01\xc1", b"\x26\x01\xaf"


def key(*units: bytes) -> CodedPacket:
    return CodedPacket(b"".join(b"\0\0\0\1" + unit for unit in units), True, 0, 0, 0.0, 0.0)


def test_what_a_key_packet_says_counts_before_what_was_told() -> None:
    told = key(SPS, PPS).data
    assert parameter_sets("h264", told, key(SLICE)) == (SPS, PPS)
    assert parameter_sets("h264", None, key(SPS, PPS, SEI, SLICE)) == (SPS, PPS)
    assert parameter_sets("h264", told, key(SPS, OTHER_PPS, SLICE)) == (SPS, OTHER_PPS)
    assert parameter_sets("h264", told, key(OTHER_PPS, SLICE)) == (SPS, OTHER_PPS)
    assert parameter_sets("h264", None, key(SLICE)) == ()


def test_h265_has_three_of_them() -> None:
    assert parameter_sets("hevc", key(VPS5, SPS5, PPS5).data, key(SLICE5)) == (VPS5, SPS5, PPS5)
    assert parameter_sets("hevc", None, key(VPS5, SPS5, PPS5, SLICE5)) == (VPS5, SPS5, PPS5)


def test_what_comes_behind_the_first_slice_is_not_looked_at() -> None:
    assert parameter_sets("h264", None, key(SPS, SLICE, PPS)) == (SPS,)


def test_a_recordings_block_is_left_as_it_is() -> None:
    block = b"\1\x42\xc0\x0b\xff\xe1"
    sets = parameter_sets("h264", block, key(SLICE))
    assert sets == (block,)
    assert as_extradata(sets) == block
    assert as_extradata((SPS, PPS)) == b"\0\0\0\1" + SPS + b"\0\0\0\1" + PPS


def test_noise_is_no_parameter_set() -> None:
    for noise in (b"", b"\0\0\1", b"\0\0", bytes(range(256)), b"\0\0\1\x67"):
        assert parameter_sets("h264", noise, CodedPacket(noise, True, 0, 0, 0.0, 0.0)) in {(), (b"\x67",)}
