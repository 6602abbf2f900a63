from __future__ import annotations

import shutil

import pytest

from surveil.assess.gpu import free_memory_gb


def test_free_memory_is_a_number_where_there_is_a_gpu_and_none_where_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free = free_memory_gb()
    if shutil.which("nvidia-smi"):
        assert free is not None
        assert 0 < free < 1024
    else:
        assert free is None
    for hidden in ("", "-1", "99", "GPU-no-such-thing"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert free_memory_gb() is None
