from __future__ import annotations

from pathlib import Path

import pytest

from surveil.store.evidence import EvidenceFolder
from tests.deliver.test_wire import ALERT


def test_a_snapshot_is_written_whole_under_its_day_and_id(tmp_path: Path) -> None:
    folder = EvidenceFolder(tmp_path / "data")
    folder.prepare()
    name = folder.save_snapshot(ALERT, b"first")
    assert name == f"front/2000/01/01/{ALERT.id}.jpg"
    assert folder.save_snapshot(ALERT, b"better") == name
    assert [path.name for path in (tmp_path / "data").rglob("*") if path.is_file()] == [f"{ALERT.id}.jpg"]
    assert (tmp_path / "data" / name).read_bytes() == b"better"


def test_a_path_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(OSError, match="exists"):
        EvidenceFolder(tmp_path / "data").prepare()
