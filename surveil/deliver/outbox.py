"""Messages on their way to the broker, in order, until it has acknowledged them: a window on what the ledger keeps."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from surveil.clock import Clock
from surveil.interfaces import StorageError
from surveil.logs import Fold
from surveil.outgoing import Draft, Entry, Ledger, Outgoing

_log = logging.getLogger(__name__)
WINDOW = 1000
"""So many messages are held in memory; those after them wait on disk."""
UNSAVED = 1000
"""So many messages go out, and are remembered, while the disk takes nothing."""
PAUSES = (0.5, 2.0, 8.0)
"""After each refusal that may pass, in seconds; then the message is a dead letter."""


@dataclass(frozen=True, slots=True)
class _Sent:
    outgoing: Outgoing
    at: float


class Outbox:
    """First in, first out, but for incidents with a message that the broker refuses: those wait alone. Any thread.

    A message leaves by `acknowledge`, or as a dead letter after the refusals of PAUSES; of one incident only one is on
    its way at a time, so that none overtakes another. What the disk does not take goes out all the same, and is stored
    when the disk takes it.
    """

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self.lost = 0
        self._ledger = ledger
        self._clock = clock
        self._lock = threading.Lock()
        self._seq = 0
        self._count = 0
        self._dead = 0
        self._ready: dict[int, Outgoing] = {}
        self._in_flight: dict[int, _Sent] = {}
        self._unsaved: deque[Entry] = deque()
        self._arrived: list[int] = []
        self._dying: list[tuple[int, str]] = []
        self._strikes: dict[int, int] = {}
        self._paused: dict[str, float] = {}
        self._loaded = 0
        self._more = False
        self._acknowledged_at = float("-inf")
        self._fold = Fold(_log)

    def open(self) -> None:
        """Go on where the last run ended. Raises StorageError."""
        with self._lock:
            self._seq = self._ledger.last()
            self._count, self._dead = self._ledger.counts()
            self._more = self._count > 0

    def append(self, drafts: Sequence[Draft]) -> None:
        """Number and keep these, then let them go; called by one thread only."""
        entries = [entry for draft in drafts if (entry := self._numbered(draft)) is not None]
        with self._lock:
            self._count += len(entries)
            waits = len(self._unsaved)
            self._unsaved.extend(entries)
        self.save()
        with self._lock:
            # What could not be kept is sent from memory; what could may wait on disk.
            kept_on_disk = not self._unsaved and (self._more or len(self._ready) + len(entries) > WINDOW)
            if kept_on_disk:
                self._more = True
            else:
                self._take(outgoing for _, outgoing in entries)
            self._forget(waits)

    def _numbered(self, draft: Draft) -> Entry | None:
        with self._lock:
            seq = self._seq + 1
        try:
            payload = draft.message(seq)
        except Exception:  # noqa: BLE001 - one bad message must not hold back the others
            _log.exception("alert=%s could not be made into a message", draft.alert.id)
            return None
        with self._lock:
            self._seq = seq
        alert = draft.alert
        picture = draft.snapshot if draft.fresh and draft.jpeg is None else None
        return draft, Outgoing(seq, alert.id, alert.rev, alert.camera, payload, picture, draft.jpeg)

    def save(self) -> None:
        """Store what is not stored yet; called by the thread that appends, now and then."""
        with self._lock:
            entries = list(self._unsaved)
        if not entries:
            return
        try:
            self._ledger.keep(entries)
        except StorageError as error:
            self._fold.warn(f"{len(entries)} alert messages are in memory only, and go out from there: {error}")
            return
        with self._lock:
            for _ in entries:
                self._unsaved.popleft()

    def _forget(self, waits: int) -> None:
        """Keep what is in memory only within its bounds: the oldest go, counted."""
        while len(self._unsaved) > UNSAVED:
            _, outgoing = self._unsaved.popleft()
            if self._ready.pop(outgoing.seq, None) is not None:
                self.lost += 1
                self._count -= 1
        if waits and self.lost:
            self._fold.warn(f"{self.lost} alert messages were lost: disk and broker are both away")

    def head(self) -> Outgoing | None:
        """Return the next message to send; None when nothing may go now."""
        now = self._clock.monotonic()
        with self._lock:
            if self._more and len(self._ready) < WINDOW // 2:
                self._load()
            under_way = {sent.outgoing.incident for sent in self._in_flight.values()}
            for outgoing in self._ready.values():
                if outgoing.incident not in under_way and self._paused.get(outgoing.incident, now) <= now:
                    return outgoing
        return None

    def _load(self) -> None:
        try:
            rows = self._ledger.waiting(self._loaded, WINDOW)
        except StorageError as error:
            self._fold.warn(f"what waits for the broker cannot be read: {error}")
            return
        self._more = len(rows) == WINDOW
        self._loaded = rows[-1].seq if rows else self._loaded
        known = {sent.outgoing.seq for sent in self._in_flight.values()} | set(self._arrived)
        known |= {seq for seq, _ in self._dying}
        self._take(row for row in rows if row.seq not in known)

    def _take(self, rows: Iterable[Outgoing]) -> None:
        """Line up messages in the order of their numbers."""
        for row in rows:
            self._ready.setdefault(row.seq, row)
        if any(first > second for first, second in pairwise(self._ready)):
            self._ready = dict(sorted(self._ready.items()))

    def sent(self, packet: int, outgoing: Outgoing) -> None:
        """Say under which packet id a message went out."""
        with self._lock:
            self._ready.pop(outgoing.seq, None)
            self._in_flight[packet] = _Sent(outgoing, self._clock.monotonic())

    def acknowledge(self, packet: int) -> Outgoing | None:
        """Take note that a message has arrived; None for a packet that was none of ours."""
        with self._lock:
            self._acknowledged_at = self._clock.monotonic()
            sent = self._in_flight.pop(packet, None)
            if sent is None:
                return None
            self._arrived.append(sent.outgoing.seq)
            self._count -= 1
            self._strikes.pop(sent.outgoing.seq, None)
            self._paused.pop(sent.outgoing.incident, None)
            return sent.outgoing

    def refuse(self, packet: int, why: str, for_good: bool) -> Outgoing | None:
        """Take note that the broker did not take a message; one that it never will is a dead letter at once."""
        with self._lock:
            sent = self._in_flight.pop(packet, None)
            if sent is None:
                return None
            self._strike(sent.outgoing, why, for_good)
            return sent.outgoing

    def refuse_unsent(self, outgoing: Outgoing, why: str) -> None:
        """Make a message a dead letter that cannot even be sent."""
        with self._lock:
            self._ready.pop(outgoing.seq, None)
            self._strike(outgoing, why, for_good=True)

    def _strike(self, outgoing: Outgoing, why: str, for_good: bool) -> None:
        strikes = self._strikes.pop(outgoing.seq, 0) + 1
        if for_good or strikes > len(PAUSES):
            self._dying.append((outgoing.seq, why))
            self._paused.pop(outgoing.incident, None)
            self._count -= 1
            self._dead += 1
            _log.error("%s is a dead letter (surveil alerts resend): %s", outgoing.label, why)
            return
        self._strikes[outgoing.seq] = strikes
        self._paused[outgoing.incident] = self._clock.monotonic() + PAUSES[strikes - 1]
        self._take([outgoing])
        _log.warning("%s was not taken and is tried again: %s", outgoing.label, why)

    def overdue(self, patience: float, strike: bool) -> bool:
        """Return whether something was sent longer than `patience` seconds ago and not acknowledged.

        With `strike`, what the broker let lie while it acknowledged something later counts as refused.
        """
        before = self._clock.monotonic() - patience
        with self._lock:
            late = {packet: sent for packet, sent in self._in_flight.items() if sent.at < before}
            for packet, sent in late.items():
                if strike and self._acknowledged_at > sent.at:
                    del self._in_flight[packet]
                    self._strike(sent.outgoing, "it was never acknowledged", for_good=False)
            return bool(late)

    def put_back(self) -> None:
        """Line up again, in the old order, what was in flight when the connection broke."""
        with self._lock:
            self._take([sent.outgoing for sent in self._in_flight.values()])
            self._in_flight.clear()

    def settle(self) -> None:
        """Note on disk what has arrived and what never will; called by the thread that sends, now and then."""
        with self._lock:
            unsaved = {outgoing.seq for _, outgoing in self._unsaved}
            arrived = [seq for seq in self._arrived if seq not in unsaved]
            dying = [(seq, why) for seq, why in self._dying if seq not in unsaved]
        if not arrived and not dying:
            return
        try:
            self._ledger.settle(arrived, dying)
        except StorageError as error:
            self._fold.warn(f"what has arrived cannot be noted, and may arrive twice: {error}")
            return
        with self._lock:
            self._arrived = [seq for seq in self._arrived if seq not in set(arrived)]
            self._dying = [entry for entry in self._dying if entry not in dying]

    def look_again(self) -> None:
        """Go through what waits on disk anew: some of it is to go out again. Raises StorageError."""
        self.settle()
        waiting, dead = self._ledger.counts()
        with self._lock:
            self._loaded, self._more = 0, True
            # What was settled in memory meanwhile still waits on disk.
            settled = len(self._arrived) + len(self._dying)
            self._count, self._dead = waiting + len(self._unsaved) - settled, dead + len(self._dying)

    @property
    def dead(self) -> int:
        """How many messages are dead letters."""
        return self._dead

    def __len__(self) -> int:
        return self._count
