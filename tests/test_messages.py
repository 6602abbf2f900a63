from __future__ import annotations

import numpy as np
import pytest

from surveil.messages import Detections, Level


@pytest.mark.parametrize(
    ("score", "level"),
    [(0, "none"), (19, "none"), (20, "low"), (39.9, "low"), (40, "medium"), (60, "high"), (79, "high"),
     (80, "critical"), (100, "critical"), (-5, "none"), (999, "critical")],
)  # fmt: skip
def test_levels_begin_where_the_contract_says(score: float, level: str) -> None:
    assert Level.of(score).name == level


def test_detections_refuse_arrays_that_do_not_belong_together() -> None:
    with pytest.raises(ValueError, match=r"xyxy has shape \(2, 4\), expected \(1, 4\)"):
        Detections(np.zeros((2, 4), np.float32), np.zeros(1, np.float32), np.zeros(1, np.int64))


def test_detections_where_keeps_rows_together() -> None:
    found = Detections(np.arange(8, dtype=np.float32).reshape(2, 4), np.array([0.1, 0.9], np.float32), np.array([3, 5]))
    kept = found.where(found.confidence > 0.5)
    assert len(kept) == 1
    assert kept.class_id.tolist() == [5]
    assert kept.xyxy.tolist() == [[4, 5, 6, 7]]
    assert len(Detections.empty()) == 0
