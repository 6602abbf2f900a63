"""The store killed in the middle of its work, again and again: what it said was kept is there."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from surveil.store.database import NAME

KILLS = 50
ROOT = Path(__file__).parents[2]
WRITER = """
import sys
from pathlib import Path
from surveil.clock import SystemClock
from surveil.deliver.outbox import Outbox
from surveil.store.database import Database
from surveil.store.ledger import AlertLedger
from tests.deliver.boxes import draft

database = Database(Path(sys.argv[1]))
database.open()
outbox = Outbox(AlertLedger(database), SystemClock())
outbox.open()
first = outbox._seq + 1
print("up", flush=True)
for number in range(first, first + 100_000):
    outbox.append([draft(f"a{number}"), draft(f"b{number}")])
    print(outbox._seq, flush=True)
    if (head := outbox.head()) is not None:
        outbox.sent(1, head)
        outbox.acknowledge(1)
        outbox.settle()
"""


def test_nothing_that_was_committed_is_lost_however_often_it_is_killed(tmp_path: Path) -> None:
    dice = random.Random(4)
    committed = 0
    for _ in range(KILLS):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == "up\n"
        time.sleep(dice.uniform(0, 0.1))
        writer.kill()
        told = [line for line in writer.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        writer.wait(10)
        writer.stdout.close()
        committed = max([committed, *(int(line) for line in told)])
        with sqlite3.connect(tmp_path / NAME) as database:
            assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            seqs = [row[0] for row in database.execute("SELECT seq FROM revision ORDER BY seq")]
        database.close()
        assert seqs == list(range(1, len(seqs) + 1))
        assert len(seqs) >= committed
    assert committed > KILLS
