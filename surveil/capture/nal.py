"""The parameter sets of H.264 and H.265: what a decoder must know before the first picture."""

from __future__ import annotations

from collections.abc import Iterator

from surveil.capture.packets import CodedPacket

_START = b"\0\0\1"
_SETS = {"h264": (7, 8), "hevc": (32, 33, 34)}  # SPS, PPS; VPS, SPS, PPS: ITU-T H.264 table 7-1, H.265 table 7-1
CODECS = tuple(_SETS)


def parameter_sets(codec: str, told: bytes | None, key: CodedPacket) -> tuple[bytes, ...]:
    """Return what the packets from this key packet on are decoded with, none where it is nowhere.

    What the key packet says itself counts before what was `told` of the connection: there are cameras whose SDP is
    stale. Recordings have a block of another form (`avcC`, `hvcC`), which is returned whole.
    """
    told = told or b""
    if _is_block(told):
        return (told,)
    inside = list(_sets(codec, key.data))
    kinds = {_kind(codec, unit) for unit in inside}
    return (*(unit for unit in _sets(codec, told) if _kind(codec, unit) not in kinds), *inside)


def as_extradata(sets: tuple[bytes, ...]) -> bytes:
    """Return parameter sets in the form in which FFmpeg takes them."""
    return sets[0] if sets and _is_block(sets[0]) else b"".join(b"\0" + _START + unit for unit in sets)


def _is_block(extradata: bytes) -> bool:
    """Return whether this is `avcC` or `hvcC` (ISO/IEC 14496-15), and packets have lengths instead of start codes."""
    return extradata[:1] == b"\1"


def _sets(codec: str, data: bytes) -> Iterator[bytes]:
    """Yield the parameter sets that come before the first slice."""
    begin = data.find(_START)
    while begin >= 0:
        end = data.find(_START, begin + 3)
        unit = data[begin + 3 : begin + 4]
        if not unit or _is_slice(codec, _kind(codec, unit)):
            return
        if _kind(codec, unit) in _SETS[codec]:
            yield data[begin + 3 : end if end >= 0 else len(data)].rstrip(b"\0")  # the next start code's first byte
        begin = end


def _kind(codec: str, unit: bytes) -> int:
    return unit[0] & 0x1F if codec == "h264" else unit[0] >> 1 & 0x3F


def _is_slice(codec: str, kind: int) -> bool:
    return 1 <= kind <= 5 if codec == "h264" else kind < 32
