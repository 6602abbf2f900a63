"""What the graphics card has to give, asked of NVIDIA's own library."""

from __future__ import annotations


def free_memory_gb(index: int = 0) -> float | None:
    """Return the free memory of an NVIDIA GPU in gigabytes (10^9 bytes); None where there is no such GPU."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        memory = pynvml.nvmlDeviceGetMemoryInfo(pynvml.nvmlDeviceGetHandleByIndex(index))
        return float(memory.free) / 1e9
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()
