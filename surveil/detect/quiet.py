"""ultralytics and torch, told before their first import what not to do: they read these variables only then."""

from __future__ import annotations

import os

from surveil.detect.engines import cache_folder

_VARIABLES = {
    "YOLO_AUTOINSTALL": "false",  # else missing packages are pip-installed at run time
    "YOLO_OFFLINE": "true",  # else its start looks for a network, and events are sent
    "YOLO_VERBOSE": "false",
    "ULTRALYTICS_SAFE_LOAD": "1",  # weights only: a .pt is a pickle and can run code
    # torch's threads wait for each other by spinning, and are slow as soon as one shares its core with a decoder:
    # beside one on two cores, YOLOv8n saw a quarter of what it sees with this.
    "OMP_WAIT_POLICY": "PASSIVE",
}


def quieten() -> None:
    """Set the variables; call it before importing anything of ultralytics."""
    os.environ.update(_VARIABLES)
    # It insists on a folder for its settings, of which surveil uses none.
    os.environ.setdefault("YOLO_CONFIG_DIR", str(cache_folder()))
