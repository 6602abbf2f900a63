"""What the cameras have learnt, on disk: one file a camera, written whole or not at all."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)
_MAX_BYTES = 16 * 2**20
"""Forty labels seen in every cell at every hour are 3 MB: more is not ours."""


class HabitsFile:
    """Keeps what each camera has learnt as `habits/<camera>.json` below one folder. Any thread, one at a time."""

    def __init__(self, root: Path) -> None:
        self._root = root / "habits"

    def save(self, camera: str, data: Mapping[str, Any]) -> None:
        """Store what a camera has learnt. Raises OSError, and ValueError over what JSON cannot hold."""
        text = json.dumps(data, allow_nan=False, separators=(",", ":"))
        path = self._path(camera)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".part")
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    def load(self, camera: str) -> dict[str, Any] | None:
        """Return what was stored; None where there is nothing, or nothing that can be read, which is set aside."""
        path = self._path(camera)
        try:
            if path.stat().st_size > _MAX_BYTES:
                raise ValueError("it is too large")
            data = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(data, dict):
                raise ValueError("it is no mapping")  # noqa: TRY004 - damaged, like the rest
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            self.set_aside(camera, str(error))
            return None
        return data

    def set_aside(self, camera: str, why: str) -> None:
        """Keep a damaged file beside under another name, and say so: the camera learns anew."""
        path = self._path(camera)
        _log.warning("%s cannot be used and is kept as %s.damaged; the camera learns anew: %s", path, path.name, why)
        try:
            path.replace(path.with_name(f"{path.name}.damaged"))
        except OSError as error:
            _log.warning("%s cannot be renamed: %s", path, error)

    def _path(self, camera: str) -> Path:
        return self._root / f"{camera}.json"
