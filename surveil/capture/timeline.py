"""When each packet of a clip is decoded and shown: by the camera's own times where they make sense.

All times here are ticks of 1/90000 s, the clock of RTP, from the clip's beginning.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, takewhile

from surveil.capture.packets import CodedPacket, Coding

TICKS = 90_000
STEP = TICKS // 25
"""From one picture to the next where nothing says better."""
GAP_SECONDS = 5.0
"""A camera that was away longer between two connections is shown to have been away for so long."""
JUMP_SECONDS = 5.0
"""A camera whose time moves by so much more than ours has set its clock: its time is taken up anew."""
_DEEPEST = 16
"""Neither H.264 nor H.265 lets more pictures be reordered."""


class Timeline:
    """Puts the packets of one clip, in the order in which they are decoded, on one line of time.

    A new connection's times begin anew: it goes on behind what was before, with the gap that there was.
    """

    def __init__(self) -> None:
        self._coding: Coding | None = None
        self._origin: int | None = None
        self._floor = 0
        self._newest = 0
        self._last_at = 0.0

    def shown(self, coding: Coding, packet: CodedPacket) -> int | None:
        """Return when it is shown; None where it cannot be: it is built on pictures from before the key packet."""
        own = None if packet.pts is None else round(packet.pts * coding.time_base * TICKS)
        first = self._coding is None
        waited = 0 if first else round((packet.at - self._last_at) * TICKS)
        if coding is not self._coding or self._jumps(own, packet.is_key, waited):
            when = 0 if first else self._newest + max(STEP, min(waited, round(GAP_SECONDS * TICKS)))
            self._origin = None if own is None else when - own
            self._floor = when if packet.is_key else self._floor
        elif own is None or self._origin is None:
            when = self._newest + max(TICKS // 1000, waited)
        else:
            when = own + self._origin
        self._coding, self._last_at = coding, packet.at
        if when < self._floor:
            return None
        self._newest = max(self._newest, when)
        return when

    def _jumps(self, own: int | None, is_key: bool, waited: int) -> bool:
        if own is None:
            return False
        if self._origin is None:
            return True
        ahead = own + self._origin - self._newest
        # All that is decoded before a key picture is shown before it too: this one's time went back.
        back = ahead <= 0 if is_key else ahead < -JUMP_SECONDS * TICKS
        return back or ahead - waited > JUMP_SECONDS * TICKS


def completed(coding: Coding, first: Sequence[CodedPacket]) -> list[CodedPacket]:
    """Return the first packets of a connection, those at its beginning that have no time with the one they must have.

    FFmpeg's RTSP reader gives the first picture without its time, though those after it are counted from it.
    """
    bare = sum(1 for _ in takewhile(lambda packet: packet.pts is None, first))
    known = sorted(packet.pts for packet in first if packet.pts is not None)
    if not bare or not known:
        return list(first)
    steps = sorted(after - before for before, after in pairwise(known))
    step = steps[len(steps) // 2] if steps else round(STEP / coding.time_base / TICKS)
    times = [known[0] - step * (bare - number) for number in range(bare)]
    return [*(replace(packet, pts=pts) for packet, pts in zip(first, times, strict=False)), *first[bare:]]


class DecodeTimes:
    """Says when each packet is decoded: strictly rising, and never after its picture is shown.

    That is the order in which pictures are shown, as many pictures earlier as they are reordered. Cameras do not
    tell the times themselves over RTP, and what FFmpeg guesses of them has holes.

    Args:
        first: when the first packets are shown, in the order in which they are decoded: how far pictures are reordered.
    """

    def __init__(self, first: Sequence[int]) -> None:
        depth = max((sum(other > when for other in first[:number]) for number, when in enumerate(first)), default=0)
        step = max(1, (max(first) - min(first)) // (len(first) - 1)) if len(first) > 1 else STEP
        self.lead = min(depth, _DEEPEST) * step
        """How long before its first picture is shown the clip begins to be decoded."""
        self._coming = [min(first, default=0) - step * (number + 1) for number in range(min(depth, _DEEPEST))]
        heapq.heapify(self._coming)
        self._last: int | None = None

    def next(self, shown: int) -> tuple[int, int]:
        """Return when the next packet is decoded, and when it is shown: when it wants to be, if it still can."""
        heapq.heappush(self._coming, shown)
        if self._last is None:
            self._last = heapq.heappop(self._coming)
        elif shown <= self._last and len(self._coming) <= _DEEPEST:
            self._last += 1  # pictures are reordered further than they were at first: wait for one more from now on
        else:
            self._last = max(heapq.heappop(self._coming), self._last + 1)
        return self._last, max(shown, self._last)
