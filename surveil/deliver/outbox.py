"""Messages on their way to the broker, in order, until it has acknowledged them. In memory, and bounded."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

CAPACITY = 10_000


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message for the broker; `picture` is a JPEG that goes to its own topic just before it."""

    label: str
    topic: str
    payload: bytes
    camera: str
    picture: bytes | None = None


class Outbox:
    """First in, first out; a row leaves only through `acknowledge` or `refuse`. Safe from every thread.

    A full outbox (a broker that has been away for very long) loses its oldest row, which is counted. Of the
    pictures only the newest of each camera is kept, since each replaces the last at its retained topic.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.lost = 0
        self.refused = 0
        self._capacity = capacity
        self._lock = threading.Lock()
        self._waiting: deque[Outgoing] = deque()
        self._in_flight: dict[int, Outgoing] = {}
        self._pictures: dict[str, bytes] = {}

    def append(self, outgoing: Outgoing) -> None:
        """Take in one message."""
        with self._lock:
            if len(self._waiting) >= self._capacity:
                del self._waiting[1]  # the head may be on its way right now
                self.lost += 1
            if outgoing.picture is not None:
                self._pictures[outgoing.camera] = outgoing.picture
                outgoing = Outgoing(outgoing.label, outgoing.topic, outgoing.payload, outgoing.camera)
            self._waiting.append(outgoing)

    def head(self) -> tuple[Outgoing, bytes | None] | None:
        """Return the next message to send, and the picture to send before it; None when nothing waits."""
        with self._lock:
            if not self._waiting:
                return None
            return self._waiting[0], self._pictures.get(self._waiting[0].camera)

    def sent(self, packet: int) -> None:
        """Say under which packet id the head, and its picture, went out. Only the sending thread may."""
        with self._lock:
            outgoing = self._in_flight[packet] = self._waiting.popleft()
            self._pictures.pop(outgoing.camera, None)

    def acknowledge(self, packet: int) -> Outgoing | None:
        """Forget a message that has arrived; None for a packet that was none of ours."""
        with self._lock:
            return self._in_flight.pop(packet, None)

    def refuse(self, packet: int) -> Outgoing | None:
        """Forget a message that the broker will never take, and count it."""
        with self._lock:
            outgoing = self._in_flight.pop(packet, None)
            self.refused += outgoing is not None
            return outgoing

    def put_back(self) -> None:
        """Line up again, in the old order, what was in flight when the connection broke."""
        with self._lock:
            self._waiting.extendleft(reversed(self._in_flight.values()))
            self._in_flight.clear()

    @property
    def in_flight(self) -> int:
        """How many messages are sent and not acknowledged."""
        return len(self._in_flight)

    def __len__(self) -> int:
        return len(self._waiting) + len(self._in_flight)
