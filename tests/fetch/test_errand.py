"""What a person sees on a terminal, and nobody elsewhere."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from surveil.fetch.errand import readable

CODE = (
    "from surveil.fetch.errand import Listener\n"
    "from surveil.terminal import say\n"
    "listener = Listener(say)\n"
    "with listener.bar('yolov8n.pt', 6_000_000) as tell:\n"
    "    tell(2_000_000); say('a line')\n"
    "    tell(-2_000_000); tell(6_000_000)\n"
    "print('a result')\n"
)


def test_it_shows_bytes_on_a_terminal_and_only_lines_elsewhere() -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        [sys.executable, "-c", CODE], stdout=subprocess.PIPE, stderr=theirs, env=environment
    ) as running:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            shown += part
        assert running.stdout is not None
        assert running.stdout.read() == b"a result\n"
        assert running.wait(30) == 0, shown
    os.close(ours)
    assert b"yolov8n.pt" in shown
    assert b"6.0/6.0 MB" in shown
    assert b"a line" in shown
    quiet = subprocess.run([sys.executable, "-c", CODE], capture_output=True, check=True)
    assert (quiet.stdout, quiet.stderr) == (b"a result\n", b"a line\n")


@pytest.mark.parametrize(
    ("size", "told"),
    [(0, "0 bytes"), (999, "999 bytes"), (6_534_387, "6.5 MB"), (16_600_000_000, "16.6 GB"), (5e12, "5000.0 GB")],
)
def test_sizes_for_people(size: float, told: str) -> None:
    assert readable(size) == told
