from __future__ import annotations

from pathlib import Path

import pytest

from surveil.store.ballast import Ballast
from tests.store.conftest import DISK_BYTES

SIZE = 8 * 2**20


def test_it_comes_and_goes_with_the_room(small_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    ballast = Ballast(small_disk, SIZE)
    file, others = small_disk / ".ballast", small_disk / "others"
    others.write_bytes(bytes(DISK_BYTES - 2 * SIZE))
    ballast.tend()
    assert not file.exists()  # not three times its size
    others.write_bytes(bytes(DISK_BYTES - 3 * SIZE))
    ballast.tend()
    assert file.stat().st_size == SIZE
    assert file.stat().st_mode & 0o777 == 0o600
    others.write_bytes(bytes(DISK_BYTES - 2 * SIZE))
    ballast.tend()
    assert file.exists()
    with others.open("ab") as grown:
        grown.write(bytes(2**20))
    ballast.tend()
    assert not file.exists()
    assert caplog.text.count("is given up") == 1
    assert not ballast.give_up()


def test_one_that_a_crash_cut_short_is_made_anew_and_a_whole_one_is_left(tmp_path: Path) -> None:
    ballast, file = Ballast(tmp_path, 10_000), tmp_path / ".ballast"
    file.write_bytes(b"half")
    ballast.tend()
    whole = file.read_bytes()
    assert len(whole) == 10_000
    ballast.tend()
    assert file.read_bytes() == whole
    assert ballast.give_up()


def test_what_else_lies_there_is_left_alone(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / ".ballast").symlink_to(precious)
    ballast = Ballast(folder, 100)
    ballast.tend()
    assert not ballast.give_up()
    assert precious.read_text() == "precious"
    assert (folder / ".ballast").is_symlink()
