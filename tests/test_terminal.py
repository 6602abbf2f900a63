"""Results and words, each on their own stream."""

from __future__ import annotations

import subprocess
import sys

import pytest

from surveil.redaction import register
from surveil.terminal import bare_config, say, write


def test_results_and_words_go_their_own_ways(capsys: pytest.CaptureFixture[str]) -> None:
    register("hunter2")
    write("a result")
    say("the password hunter2 is wrong")
    assert capsys.readouterr() == ("a result\n", "the password *** is wrong\n")


def test_a_full_disk_is_told_once() -> None:
    code = (
        "from surveil.terminal import OutputError, say, write\n"
        "try: write('x')\n"
        "except OutputError as error: say(str(error))\n"
    )
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True, check=True)
    assert done.stderr == "the results cannot be written: no space left on device\n"


def test_the_bare_config_is_the_defaults() -> None:
    assert bare_config().detector.model == "yolov8n.pt"
