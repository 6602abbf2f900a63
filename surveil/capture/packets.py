"""The compressed packets of the last seconds: kept as they came, so that pictures can still be made of them later."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from fractions import Fraction

RING_SECONDS = 10.0
RING_BYTES = 32 * 1024 * 1024
"""For one camera: 10 s of 25 Mbit/s, more than cameras send."""
GOP_SECONDS = 30.0
"""Cameras that save bits send a key packet every 10 to 20 s; what is longer is cut."""


@dataclass(frozen=True, slots=True)
class Coding:
    """What a decoder or a container must know of the packets of one connection."""

    codec: str
    extradata: bytes | None
    time_base: Fraction
    width: int
    height: int


@dataclass(frozen=True, slots=True, eq=False)
class CodedPacket:
    """One compressed picture; `at` and `wall` are the moment it was captured, `pts` and `dts` the camera's times."""

    data: bytes
    is_key: bool
    pts: int | None
    dts: int | None
    at: float
    wall: float


class Gop:
    """A key packet and those after it: all that is needed to decode any of them.

    The newest one grows on the thread that reads, while others look: `packets` gives what is there by then. Whoever
    may want a picture later holds on to it, which keeps it when the ring lets go.
    """

    def __init__(self, coding: Coding, key: CodedPacket) -> None:
        self.coding = coding
        self.began = key.at
        self.bytes = len(key.data)
        self.cut = False
        self._packets = [key]

    def append(self, packet: CodedPacket) -> None:
        """Take the next packet."""
        self._packets.append(packet)
        self.bytes += len(packet.data)

    @property
    def packets(self) -> tuple[CodedPacket, ...]:
        """The packets so far, in the order in which they must be decoded."""
        return tuple(self._packets)

    @property
    def last(self) -> CodedPacket:
        """The newest packet."""
        return self._packets[-1]


class PacketRing:
    """The last seconds of one camera's stream, bounded in time and bytes. One thread adds, any may look."""

    def __init__(self, seconds: float = RING_SECONDS, max_bytes: int = RING_BYTES) -> None:
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._gops: deque[Gop] = deque()
        self._open = False
        self._lock = threading.Lock()

    def begin(self) -> None:
        """A new connection: what comes now belongs to no Gop before it has sent a key packet."""
        with self._lock:
            self._open = False

    def add(self, coding: Coding, packet: CodedPacket) -> bool:
        """Keep one packet; False for the first one that is over the bounds of its Gop, which is then cut there."""
        with self._lock:
            if packet.is_key and len(packet.data) <= self._max_bytes:
                self._gops.append(Gop(coding, packet))
                self._open = True
            elif not self._open:
                return True  # it belongs to what was cut, or to a picture that was before us
            elif not self._fits(self._gops[-1], packet):
                self._gops[-1].cut = True
                self._open = False
                return False
            else:
                self._gops[-1].append(packet)
            self._forget(packet.at)
            return True

    def newest(self) -> Gop | None:
        """Return the Gop that is growing, or was last; None before the first key packet."""
        with self._lock:
            return self._gops[-1] if self._gops else None

    def gops(self) -> tuple[Gop, ...]:
        """Return all that is kept, the oldest first."""
        with self._lock:
            return tuple(self._gops)

    def _fits(self, gop: Gop, packet: CodedPacket) -> bool:
        return gop.bytes + len(packet.data) <= self._max_bytes and packet.at - gop.began <= GOP_SECONDS

    def _forget(self, now: float) -> None:
        """Let go of the oldest while those after it reach back far enough, or all are over the bytes."""
        while len(self._gops) > 1 and (
            self._gops[1].began <= now - self._seconds or sum(gop.bytes for gop in self._gops) > self._max_bytes
        ):
            self._gops.popleft()
