"""Pictures on disk: written whole or not at all, under names that never come from outside."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from surveil.messages import Alert


class EvidenceFolder:
    """Keeps snapshots below one folder, as `<camera>/<year>/<month>/<day>/<id>.jpg`. Any thread."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def prepare(self) -> None:
        """Make the folder; raises OSError where it cannot be written."""
        self._root.mkdir(parents=True, exist_ok=True)
        probe = self._root / ".writable"
        probe.touch()
        probe.unlink()

    def save_snapshot(self, alert: Alert, jpeg: bytes) -> str:
        """Store the picture of an alert; return its path below the folder. Raises OSError."""
        day = datetime.fromtimestamp(alert.started, UTC)
        name = f"{alert.camera}/{day:%Y/%m/%d}/{alert.id}.jpg"
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".part")
        try:
            with temporary.open("wb") as file:
                file.write(jpeg)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)  # on a full disk, the half of a picture would only fill it more
            raise
        return name
