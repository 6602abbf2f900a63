"""Where the two small models are that were trained on the yard (training/README.md)."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from surveil.interfaces import ModelError

_MODELS = Path(__file__).with_name("models")
DETECTOR = _MODELS / "yard.pt"
"""YOLOv8 at half the width of YOLOv8n; its labels are `moment.LABELS`."""
DETECTOR_IMGSZ = 384
"""The longer side of the pictures that it learnt from."""
VLM = _MODELS / "qwen"
"""Qwen2.5-VL at some million parameters, a folder as `save_pretrained` writes it."""
_TRAIN = "make demo-models trains the demo's models, in hours (training/README.md)"
_ANEW = "install surveil anew"


def check() -> None:
    """Raise ModelError, with what to do, where a model is missing or damaged; reads their tables of contents only."""
    for weights in (DETECTOR, VLM):
        if not weights.exists():
            raise ModelError(f"{weights} is missing: {_TRAIN}")
    if not zipfile.is_zipfile(DETECTOR):
        raise ModelError(f"{DETECTOR} is damaged: {_ANEW}")
    from safetensors import SafetensorError, safe_open

    for file in ("config.json", "tokenizer.json"):
        try:
            json.loads((VLM / file).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise ModelError(f"{VLM / file} is damaged: {_ANEW}") from None
    try:
        with safe_open(VLM / "model.safetensors", framework="np"):
            pass
    except (OSError, SafetensorError):
        raise ModelError(f"{VLM / 'model.safetensors'} is damaged: {_ANEW}") from None
