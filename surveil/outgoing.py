"""An alert message on its way: what the outbox and the store hand to each other, so that neither knows the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from surveil.messages import Alert


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """One decided revision that has no number yet.

    Args:
        alert: the revision.
        message: makes its message, UTF-8 JSON, once its `seq` is known.
        snapshot, clip: where the incident's picture and video lie, below the storage path, as its message says.
        fresh: the snapshot is new with this revision, and goes to its own topic just before it.
        jpeg: the new snapshot, where it could not be stored.
    """

    alert: Alert
    message: Callable[[int], bytes]
    snapshot: str | None = None
    clip: str | None = None
    fresh: bool = False
    jpeg: bytes | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One numbered message for the broker.

    A new snapshot goes just before it: `picture` is where it lies below the storage path, `jpeg` what could not be
    stored.
    """

    seq: int
    incident: str
    rev: int
    camera: str
    payload: bytes
    picture: str | None = None
    jpeg: bytes | None = None

    @property
    def topic(self) -> str:
        """Where it goes, below the node's topic."""
        return f"{self.camera}/alert"

    @property
    def label(self) -> str:
        """What it is, for the log."""
        return f"camera={self.camera} alert={self.incident} rev={self.rev} seq={self.seq}"


Entry = tuple[Draft, Outgoing]


class Ledger(Protocol):
    """Where messages are kept until the broker has them, and some time longer. Safe from every thread."""

    def last(self) -> int:
        """Return the highest `seq` that was ever given; raises StorageError."""

    def keep(self, entries: Sequence[Entry]) -> None:
        """Keep all of these, or none; raises StorageError."""

    def waiting(self, after: int, most: int) -> list[Outgoing]:
        """Return the first messages after a `seq` that the broker has not acknowledged; raises StorageError."""

    def settle(self, arrived: Sequence[int], dead: Sequence[tuple[int, str]]) -> None:
        """Note which have arrived, by `seq`, and which never will, with why; raises StorageError."""

    def counts(self) -> tuple[int, int]:
        """Return how many wait, and how many are dead letters; raises StorageError."""
