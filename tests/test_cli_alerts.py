"""`surveil alerts` as a user has it: real processes beside an open database, exit codes, one line for a mistake."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from surveil.messages import Level
from tests.store.stock import Stock
from tests.test_cli import surveil_says


class Node:
    """A storage folder that a daemon has open, and the config that names it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stock = Stock(folder / "data")
        (folder / "c.yaml").write_text(
            "timezone: UTC\ncameras: {front: {source: 'rtsp://h/1'}}\nstorage: {path: data}\n"
        )

    def says(self, *arguments: str) -> tuple[int, list[str], list[str]]:
        done = surveil_says("alerts", *arguments, "--config", "c.yaml", folder=self.folder)
        return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()

    def says_on_a_terminal(self, answer: str, *arguments: str) -> tuple[int, str]:
        """Run it where a person sits, who types an answer."""
        ours, theirs = pty.openpty()
        os.write(ours, f"{answer}\n".encode())
        done = subprocess.run(
            [sys.executable, "-m", "surveil", "alerts", *arguments, "--config", "c.yaml"],
            stdin=theirs, capture_output=True, text=True, check=False, cwd=self.folder, timeout=110,
        )  # fmt: skip
        for end in (ours, theirs):
            os.close(end)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    yield node
    node.stock.database.close()


def test_list_finds_by_what_is_asked(node: Node) -> None:
    old = node.stock.add(9, "yard", Level.low, "dead")
    new = node.stock.add(2, "front", Level.high)
    node.stock.ledger.judge(new, "true", "anna")
    code, lines, said = node.says("list")
    assert (code, said) == (0, [])
    assert lines[0].split() == ["began", "(UTC)", "id", "camera", "risk", "state", "what"]
    assert [line.split()[2] for line in lines[1:]] == [new, old]
    for filters, found in (
        (["--camera", "yard", "--camera", "door"], [old]),
        (["--risk", "medium", "--feedback", "true"], [new]),
        (["--state", "dead"], [old]),
        (["--from", "2026-11-09", "--to", "2026-11-09"], [old]),  # the whole day
        (["--from", "2026-11-09T11:06:41"], [new]),
        (["--to", "2026-11-09T12:06:41+01:00"], [old]),
        (["--limit", "1"], [new]),
    ):
        code, lines, _ = node.says("list", "--json", *filters)
        assert (code, [json.loads(line)["id"] for line in lines]) == (0, found), filters
    code, lines, said = node.says("list", "--limit", "1")
    assert (len(lines), said) == (2, ["the newest 1 of 2; --limit shows more"])
    assert node.says("list", "--from", "1s") == (0, [], ["no alert is kept that fits"])


def test_show_tells_all_of_one(node: Node) -> None:
    ident = node.stock.add(9, "yard", state="dead")
    code, lines, _ = node.says("show", ident)
    assert code == 0
    assert "forbidden" in "\n".join(lines)
    assert f"data/yard/2026/11/09/{ident}.mp4 (0 kB)" in "\n".join(lines)
    code, lines, _ = node.says("show", ident, "--json")
    told = json.loads(lines[0])
    assert (len(lines), told["delivery"]["dead"], len(told["revisions"]), len(told["files"])) == (1, 1, 2, 3)


def test_export_writes_one_new_file(node: Node) -> None:
    ident = node.stock.add(9, "yard")
    node.stock.add(2)
    code, lines, said = node.says("export", "out.zip", "--camera", "yard")
    assert (code, lines, said) == (0, ["out.zip: 1 alert, 3 files, 0.0 MB"], [])
    with zipfile.ZipFile(node.folder / "out.zip") as packed:
        assert json.loads(packed.read("alerts.jsonl"))["id"] == ident
        assert len(packed.namelist()) == 4
    code, lines, said = node.says("export", "out.zip")
    assert (code, lines, said) == (73, [], ["out.zip is there already: name a new file"])
    code, _, said = node.says("export", "none.zip", "--camera", "door")
    assert (code, said) == (0, ["no alert is kept that fits, and nothing is written"])
    assert not (node.folder / "none.zip").exists()


def test_resend_reaches_the_daemon_that_has_the_database_open(node: Node) -> None:
    first, second, third = (node.stock.add(days, state="dead") for days in (3, 2, 1))
    assert not node.stock.database.changed_elsewhere()
    assert node.says("resend", first) == (0, ["to go out again: 1 message"], [])
    assert node.stock.database.changed_elsewhere()
    assert [row.incident for row in node.stock.ledger.waiting(0, 9)] == [first]
    code, _, said = node.says("resend", second, "unknown")
    assert (code, said) == (66, ["there is no alert 'unknown' in data/surveil.db"])
    assert node.stock.ledger.counts() == (1, 2)
    assert node.says("resend", "--dead")[1] == ["to go out again: 2 messages"]
    assert node.says("resend", third)[1] == ["there is no dead letter to send again"]


def test_hold_keeps_past_the_limits_until_it_is_released(node: Node) -> None:
    ident, bare = node.stock.add(100), node.stock.add(99, size=None)
    code, lines, said = node.says("hold", ident, bare)
    assert (code, lines, said) == (
        0,
        [f"{ident}: held", f"{bare}: held"],
        [f"{bare}: it has no evidence, or no longer"],
    )
    node.stock.retention(keep_days=1).sweep()
    assert node.stock.rows() == [ident, bare]
    assert node.says("hold", ident, "--release")[1] == [f"{ident}: held no longer"]
    node.stock.retention(keep_days=1).sweep()
    assert node.stock.rows() == [bare]


def test_delete_asks_a_person_and_needs_a_word_from_a_program(node: Node) -> None:
    yard, front = node.stock.add(9, "yard"), node.stock.add(2, "front")
    code, lines, said = node.says("delete", "--camera", "yard")
    assert (code, lines, said) == (64, [], ["Invalid value for --yes: nobody can be asked here: say --yes"])
    code, told = node.says_on_a_terminal("n", "delete", "--camera", "yard")
    assert code == 1
    assert "erase 1 alert: 3 files, 0.0 MB, for good?" in told
    assert "nothing is erased" in told
    assert node.stock.rows() == [yard, front]
    code, told = node.says_on_a_terminal("y", "delete", "--camera", "yard")
    assert (code, node.stock.rows(), node.stock.shown()) == (0, [front], [front])
    assert node.says("delete", front, "--yes") == (0, ["erased 1 alert: 3 files, 0.0 MB"], [])
    assert node.stock.rows() == node.stock.shown() == []


def test_delete_says_what_stays(node: Node) -> None:
    still_open, waiting = node.stock.add(3, ended=False), node.stock.add(2, state="waiting")
    code, lines, said = node.says("delete", "--from", "2026-01-01", "--yes")
    assert (code, lines) == (1, ["erased 0 alerts: 0 files, 0.0 MB"])
    assert said == [
        "1 alert open: erase it again when it has ended",
        "1 alert waiting for the broker: --force erases it too, and nobody is told of it",
    ]
    assert node.says("delete", waiting, "--yes", "--force")[0] == 0
    assert node.stock.rows() == [still_open]


@pytest.mark.parametrize(
    "arguments",
    [
        ["delete"], ["delete", "--force", "--yes"], ["resend"], ["resend", "--dead", "x"], ["show"], ["hold"],
        ["list", "--from", "yesterday"], ["list", "--from", "1d", "--to", "2d"], ["list", "--risk", "huge"],
        ["list", "--to", "9999-12-31"], ["export", "out.tar"],
    ],
)  # fmt: skip
def test_wrong_usage_exits_64(node: Node, arguments: list[str]) -> None:
    code, lines, said = node.says(*arguments)
    assert (code, lines, len(said)) == (64, [], 1), said


def test_what_is_not_there_is_told_in_a_line(node: Node) -> None:
    for command in (["show", "nothing"], ["hold", "nothing"], ["resend", "nothing"], ["delete", "nothing", "--yes"]):
        assert node.says(*command) == (66, [], ["there is no alert 'nothing' in data/surveil.db"])
    (node.folder / "data").rename(node.folder / "away")
    code, lines, said = node.says("list")
    assert (code, lines) == (66, [])
    assert said == ["data/surveil.db is not there: no alert was ever kept in this folder"]
    assert not (node.folder / "data").exists()
    done = surveil_says("alerts", "list", "--config", "absent.yaml", folder=node.folder)
    assert done.returncode == 78
