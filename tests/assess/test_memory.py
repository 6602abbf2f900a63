from __future__ import annotations

import json
from pathlib import Path

import pytest

from surveil.assess import weights
from surveil.assess.memory import LARGEST_BATCH, WEIGHTS_7B_GB, fit


@pytest.mark.parametrize(
    ("free", "precision"),
    [
        (80, "none"),
        (24, "none"),
        (20, "none"),
        (19.9, "nf4"),
        (12, "nf4"),
        (9, "nf4"),
        (8.9, None),
        (1, None),
        (0, None),
    ],
)
def test_seven_billion_parameters_fit_as_the_contract_says(free: float, precision: str | None) -> None:
    assert fit(free, WEIGHTS_7B_GB, "auto").precision == precision


def test_what_the_config_wants_is_not_changed_where_it_fits_or_not() -> None:
    assert fit(80, WEIGHTS_7B_GB, "nf4").precision == "nf4"
    assert fit(12, WEIGHTS_7B_GB, "none").precision is None


def test_a_ceiling_leaves_the_rest_to_others() -> None:
    assert fit(80, WEIGHTS_7B_GB, "auto", ceiling_gb=10).precision == "nf4"
    assert fit(80, WEIGHTS_7B_GB, "auto", ceiling_gb=10).ceiling_gb == 10
    assert fit(8, WEIGHTS_7B_GB, "auto", ceiling_gb=10).precision is None
    assert fit(24, WEIGHTS_7B_GB, "auto").ceiling_gb < 24  # the detector's share


def test_the_batch_is_what_fits_beside_the_weights() -> None:
    assert fit(9, WEIGHTS_7B_GB, "auto").batch == 1
    assert 1 < fit(22, WEIGHTS_7B_GB, "auto").batch < LARGEST_BATCH
    assert fit(80, WEIGHTS_7B_GB, "auto").batch == LARGEST_BATCH


def test_the_sum_is_told_in_one_line() -> None:
    assert fit(24, WEIGHTS_7B_GB, "auto").line() == (
        "24.0 GB of GPU memory are free, 23.0 of them for the VLM; in half precision it needs 19.0"
    )
    assert fit(4, WEIGHTS_7B_GB, "auto").line().endswith("and it needs 8.0 even in nf4")
    whole = fit(15, WEIGHTS_7B_GB, "none")
    assert whole.line().endswith("and it needs 19.0 in half precision (quantize: auto: 8.0 in nf4)")
    assert whole.batch == 1


def test_weights_are_found_and_measured(tmp_path: Path) -> None:
    assert weights.folder(str(tmp_path)) == tmp_path
    assert weights.folder("no/such-model") is None
    assert weights.folder("x" * 5000) is None
    assert weights.size_gb(tmp_path) is None
    (tmp_path / "model.safetensors").write_bytes(b"0" * 2_000_000)
    assert weights.size_gb(tmp_path) == pytest.approx(0.002)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 16_600_000_000}}))
    assert weights.size_gb(tmp_path) == pytest.approx(16.6)
    index.write_text("[]")
    assert weights.size_gb(tmp_path) is None


def test_weights_for_research_only_are_known_by_name() -> None:
    assert weights.is_research_only("Qwen/Qwen2.5-VL-3B-Instruct")
    assert not weights.is_research_only("Qwen/Qwen2.5-VL-7B-Instruct")
