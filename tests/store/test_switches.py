from __future__ import annotations

from pathlib import Path

from surveil.store.database import Database
from surveil.store.switches import Switched, SwitchTable


def test_the_last_word_on_each_switch_and_on_the_mode_is_kept(tmp_path: Path) -> None:
    database = Database(tmp_path)
    database.open()
    table = SwitchTable(database)
    assert (table.all(), table.mode()) == ([], None)
    for on, until in ((False, 5.0), (True, None), (False, 9.5)):
        table.save(Switched("front", "alerts", on, until))
    table.save(Switched("back", "detect", False, None))
    table.save_mode("away")
    table.save_mode("night")
    assert sorted(table.all(), key=lambda one: one.camera) == [
        Switched("back", "detect", False, None),
        Switched("front", "alerts", False, 9.5),
    ]
    assert table.mode() == "night"
    database.close()
