"""Where a VLM's weights are on this machine, and how large they are."""

from __future__ import annotations

import json
import os
from pathlib import Path

RESEARCH_ONLY = "Qwen2.5-VL-3B"
RESEARCH_NOTE = "these weights are under Qwen's research licence, not for business; those of 7B are Apache-2.0"


def folder(model: str) -> Path | None:
    """Return the folder of a model that is a folder, or a hub name in the local cache; None where it is neither."""
    if os.path.isdir(model):  # noqa: PTH112 - Path raises over a name that is too long
        return Path(model)
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        config = try_to_load_from_cache(model, "config.json")
    except HFValidationError:
        return None
    return Path(config).parent if isinstance(config, str) else None


def size_gb(where: Path) -> float | None:
    """Return what a folder's safetensors weights have in gigabytes; None where there are none."""
    index = where / "model.safetensors.index.json"
    try:
        if index.exists():
            return float(json.loads(index.read_text(encoding="utf-8"))["metadata"]["total_size"]) / 1e9
        sizes = [file.stat().st_size for file in where.glob("*.safetensors")]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return sum(sizes) / 1e9 if sizes else None


def is_research_only(model: str) -> bool:
    """Return whether a model's weights may not be used for business."""
    return RESEARCH_ONLY.lower() in model.lower()
