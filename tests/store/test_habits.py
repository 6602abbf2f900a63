from __future__ import annotations

import logging
from pathlib import Path

import pytest

from surveil.store.habits import HabitsFile
from surveil.trigger.habits import Habits


def test_what_is_saved_is_loaded_and_each_camera_has_its_own(tmp_path: Path) -> None:
    store = HabitsFile(tmp_path / "data")
    assert store.load("front") is None
    store.save("front", Habits().to_dict())
    store.save("yard", {"format": 2})
    assert store.load("front") == Habits().to_dict()
    assert store.load("yard") == {"format": 2}
    store.save("yard", {"format": 3})
    assert store.load("yard") == {"format": 3}
    assert sorted(path.name for path in (tmp_path / "data/habits").iterdir()) == ["front.json", "yard.json"]


@pytest.mark.parametrize("damage", [b"", b'{"format": 1', b"[]", b"\xff\xfe", b"[" * 100_000, b"null"])
def test_a_damaged_file_is_kept_beside_and_said_once(
    damage: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = HabitsFile(tmp_path)
    store.save("front", {"format": 1})
    (tmp_path / "habits/front.json").write_bytes(damage)
    with caplog.at_level(logging.WARNING):
        assert store.load("front") is None
        assert store.load("front") is None
    assert len(caplog.records) == 1
    assert "front.json.damaged" in caplog.text
    assert (tmp_path / "habits/front.json.damaged").read_bytes() == damage
    store.save("front", {"format": 1})
    assert store.load("front") == {"format": 1}


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    store = HabitsFile(tmp_path)
    store.save("front", {"format": 1})
    with pytest.raises(ValueError, match="JSON"):
        store.save("front", {"format": float("nan")})
    (tmp_path / "habits/front.part").mkdir()
    with pytest.raises(OSError, match="directory"):
        store.save("front", {"format": 2})
    assert store.load("front") == {"format": 1}


def test_a_file_that_cannot_be_opened_is_no_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "habits/front.json").mkdir(parents=True)
    assert HabitsFile(tmp_path).load("front") is None
    assert "front.json" in caplog.text
