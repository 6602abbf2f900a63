"""What the graphics card has to give, asked of NVIDIA's own library."""

from __future__ import annotations

import os


def free_memory_gb() -> float | None:
    """Return the free memory of the first GPU that CUDA would use, in gigabytes (10^9 bytes); None without one."""
    import pynvml

    # NVML counts all GPUs of the machine, CUDA only those that this variable shows it.
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",", maxsplit=1)[0].strip()
    if not first or first.startswith("-"):
        return None

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        handle = (
            pynvml.nvmlDeviceGetHandleByIndex(int(first))
            if first.isdecimal()
            else pynvml.nvmlDeviceGetHandleByUUID(first)
        )
        return float(pynvml.nvmlDeviceGetMemoryInfo(handle).free) / 1e9
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()
