from __future__ import annotations

import shutil

from surveil.assess.gpu import free_memory_gb


def test_free_memory_is_a_number_where_there_is_a_gpu_and_none_where_not() -> None:
    free = free_memory_gb()
    if shutil.which("nvidia-smi"):
        assert free is not None
        assert 0 < free < 1024
    else:
        assert free is None
    assert free_memory_gb(index=99) is None
