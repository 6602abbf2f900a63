"""The progress bar as a person sees it: on a real terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys


def test_it_counts_frames_on_a_terminal_and_is_silent_elsewhere() -> None:
    code = (
        "import time\n"
        "from pathlib import Path\n"
        "from surveil.progress import FrameProgress\n"
        "from surveil.testing import frame\n"
        "with FrameProgress(Path('visit.mp4')) as bar:\n"
        "    for n in range(30):\n"
        "        bar.advance(frame(float(n))); time.sleep(0.02)\n"
        "    print('{\"a result\": 1}')\n"
    )
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm"},
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
        results = running.stdout.read()
        assert running.wait(30) == 0, shown
    os.close(ours)
    assert b"visit.mp4" in shown
    assert b"30 frames" in shown
    assert results == b'{"a result": 1}\n'
    assert b"a result" not in shown
    quiet = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert (quiet.stdout, quiet.stderr) == (results, b"")
