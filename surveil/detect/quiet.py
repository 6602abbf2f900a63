"""ultralytics, told before its first import what it must not do: it reads these variables only then."""

from __future__ import annotations

import os

from surveil.detect.engines import cache_folder

_VARIABLES = {
    "YOLO_AUTOINSTALL": "false",  # else missing packages are pip-installed at run time
    "YOLO_OFFLINE": "true",  # else its start looks for a network, and events are sent
    "YOLO_VERBOSE": "false",
    "ULTRALYTICS_SAFE_LOAD": "1",  # weights only: a .pt is a pickle and can run code
}


def quieten() -> None:
    """Set the variables; call it before importing anything of ultralytics."""
    os.environ.update(_VARIABLES)
    # It insists on a folder for its settings, of which surveil uses none.
    os.environ.setdefault("YOLO_CONFIG_DIR", str(cache_folder()))
