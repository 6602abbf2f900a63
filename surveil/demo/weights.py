"""Where the two small models are that were trained on the yard (training/README.md)."""

from __future__ import annotations

from pathlib import Path

_MODELS = Path(__file__).with_name("models")
DETECTOR = _MODELS / "yard.pt"
"""YOLOv8 at half the width of YOLOv8n; its labels are `moment.LABELS`."""
DETECTOR_IMGSZ = 384
"""The longer side of the pictures that it learnt from."""
VLM = _MODELS / "qwen"
"""Qwen2.5-VL at some million parameters, a folder as `save_pretrained` writes it."""
