from __future__ import annotations

from pathlib import Path

import pytest

from surveil.demo import demonstration
from surveil.demo.demonstration import Demonstration
from surveil.interfaces import ModelError, StorageError


def test_a_model_that_is_missing_is_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demonstration, "VLM", tmp_path / "qwen")
    with pytest.raises(ModelError, match="qwen is missing: make demo-models trains the demo's models"):
        Demonstration(5.0, tmp_path / "surveil-demo", None).run()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "qwen").mkdir()
    monkeypatch.setattr(demonstration, "VLM", tmp_path / "qwen")
    (tmp_path / "surveil-demo").write_text("a file is in the way")
    with pytest.raises(StorageError, match="surveil-demo cannot be written: file exists; start the demo where it can"):
        Demonstration(5.0, tmp_path / "surveil-demo", None).run()
