"""What the demo's daemon is told: a config for the yard, with the two small models and a broker of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from surveil.demo.weights import DETECTOR, DETECTOR_IMGSZ, VLM

CAMERA = "yard"
NODE = "demo"
GARDEN = [[0.0, 0.7], [0.19, 0.62], [1.0, 0.62], [1.0, 1.0], [0.0, 1.0]]
"""The lawn on this side of the fence, as fractions of the picture."""


def config(url: str, port: int, folder: Path) -> dict[str, Any]:
    """Return the config of a daemon that watches the yard at `url` and has its broker at a port of this machine."""
    return {
        "node": NODE,
        "name": "surveil's demo",
        "timezone": "UTC",
        "cameras": {
            CAMERA: {
                "source": url,
                "name": "Back yard",
                "context": "Back yard of a house. A footpath and a road lie behind the fence.",
                "zones": {"garden": {"polygon": GARDEN}},
                "rules": [
                    {"when": "person", "severity": "low"},
                    {"when": "intrusion", "zone": "garden", "severity": "medium"},
                    {"when": "object", "labels": ["parcel"], "severity": "none", "zone": "garden"},
                    {"when": "tamper", "severity": "medium"},
                ],
            }
        },
        "detector": {"model": str(DETECTOR), "imgsz": DETECTOR_IMGSZ},
        "assessor": {"backend": "qwen", "model": str(VLM), "per_minute": None, "reassess_after": None},
        "alerts": {"linger": 3},
        "mqtt": {"embedded": True, "port": port},
        "storage": {"path": str(folder / "pictures")},
    }


def write(file: Path, settings: dict[str, Any]) -> None:
    """Write a config as YAML. Raises OSError."""
    file.write_text(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), encoding="utf-8")
