"""Which class does what the config names: dotted names, imported only when chosen."""

from __future__ import annotations

import pkgutil
from typing import Any

VLMS = {"qwen": "surveil.assess.qwen:QwenVlm", "openai": "surveil.assess.openai:OpenAiVlm"}
DETECTOR = "surveil.detect.yolo:load"
SOURCES = {
    "rtsp": "surveil.capture.rtsp:RtspSource",
    "rtsps": "surveil.capture.rtsp:RtspSource",
}


def resolve(name: str) -> Any:
    """Return what `module:Name` names."""
    return pkgutil.resolve_name(name)
