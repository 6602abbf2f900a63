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
        self._in_flight: dict[int, tuple[Outgoing, bytes | None]] = {}
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

    def sent(self, packet: int, picture: bytes | None) -> None:
        """Say under which packet id the head went out, and with which picture. Only the sending thread may."""
        with self._lock:
            outgoing = self._waiting.popleft()
            self._in_flight[packet] = (outgoing, picture)
            if self._pictures.get(outgoing.camera) is picture:  # else a newer one came meanwhile
                self._pictures.pop(outgoing.camera, None)

    def acknowledge(self, packet: int) -> Outgoing | None:
        """Forget a message that has arrived; None for a packet that was none of ours."""
        with self._lock:
            outgoing, _ = self._in_flight.pop(packet, (None, None))
            return outgoing

    def refuse(self, packet: int) -> Outgoing | None:
        """Forget a message that the broker will never take, and count it."""
        with self._lock:
            outgoing, _ = self._in_flight.pop(packet, (None, None))
            self.refused += outgoing is not None
            return outgoing

    def refuse_head(self) -> None:
        """Forget the next message unsent, and count it."""
        with self._lock:
            self._waiting.popleft()
            self.refused += 1

    def put_back(self) -> None:
        """Line up again, in the old order, what was in flight when the connection broke."""
        with self._lock:
            for outgoing, picture in self._in_flight.values():
                if picture is not None:
                    self._pictures.setdefault(outgoing.camera, picture)
            self._waiting.extendleft(outgoing for outgoing, _ in reversed(self._in_flight.values()))
            self._in_flight.clear()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._in_flight)
