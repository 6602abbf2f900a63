"""An outbox on a real database, and drafts to put into it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from surveil.clock import Clock, SystemClock
from surveil.deliver.outbox import Outbox
from surveil.outgoing import Draft
from surveil.store.database import Database
from surveil.store.ledger import AlertLedger
from tests.deliver.test_wire import ALERT


@contextlib.contextmanager
def boxed(folder: Path, clock: Clock | None = None) -> Iterator[Outbox]:
    database = Database(folder)
    database.open()
    outbox = Outbox(AlertLedger(database), clock or SystemClock())
    outbox.open()
    try:
        yield outbox
    finally:
        database.close()


def draft(
    name: int | str,
    camera: str = "front",
    payload: bytes | None = None,
    jpeg: bytes | None = None,
    rev: int = 1,
) -> Draft:
    """Return a message of an incident of its own, whose payload is its name if nothing else is said."""
    alert = replace(ALERT, id=f"{name:0>26}", camera=camera, rev=rev, phase="new" if rev == 1 else "update")
    return Draft(
        alert, lambda _seq: str(name).encode() if payload is None else payload, fresh=jpeg is not None, jpeg=jpeg
    )
