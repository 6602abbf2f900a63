"""Pictures and videos on disk: written whole or not at all, under names that never come from outside."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path

from surveil.messages import Alert, AssessmentRequest

_ULID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class EvidenceFolder:
    """Keeps what shows an incident below one folder, as `<camera>/<year>/<month>/<day>/<id>.jpg`. Any thread.

    The id's own time names the day, so that the name of a file follows from camera and id alone.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def prepare(self) -> None:
        """Make the folder; raises OSError where it cannot be written."""
        self._root.mkdir(parents=True, exist_ok=True)
        probe = self._root / ".writable"
        probe.touch()
        probe.unlink()

    def name(self, camera: str, incident: str, ending: str) -> str:
        """Return where a file of an incident lies, below the folder."""
        return f"{camera}/{day(incident):%Y/%m/%d}/{incident}{ending}"

    def save_snapshot(self, alert: Alert, jpeg: bytes) -> str:
        """Store the picture of an alert; return its path below the folder. Raises OSError."""
        return self._save(self.name(alert.camera, alert.id, ".jpg"), jpeg)

    def save_keyframe(self, request: AssessmentRequest, number: int, jpeg: bytes) -> str:
        """Store a picture that the VLM is shown; return its path below the folder. Raises OSError."""
        return self._save(self.name(request.camera, request.incident, f".{number}.jpg"), jpeg)

    def read(self, name: str) -> bytes:
        """Return what lies at a path that one of the others returned. Raises OSError."""
        return (self._root / name).read_bytes()

    def _save(self, name: str, data: bytes) -> str:
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".part")
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)  # on a full disk, the half of a picture would only fill it more
            raise
        return name


def day(incident: str) -> datetime:
    """Return when an incident began, by its id, a ULID. Raises ValueError."""
    if not _ULID.fullmatch(incident):
        raise ValueError(f"{incident[:40]!r} is no incident's id")
    milliseconds = 0
    for letter in incident[:10]:
        milliseconds = milliseconds * 32 + _ALPHABET.index(letter)
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
