"""Some megabytes that are kept only to be given up, so that a full disk can still be cleaned."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import stat
import threading
from pathlib import Path

_log = logging.getLogger(__name__)
NAME = ".ballast"
SIZE = 16 * 1024 * 1024
"""Four times what SQLite's journal takes: it cannot delete a row on a disk that is full."""
_PIECE = 1024 * 1024


class Ballast:
    """One file in the storage folder: there while there is room, gone when there is none. Any thread."""

    def __init__(self, folder: Path, size: int = SIZE) -> None:
        self._path = folder / NAME
        self._size = size
        self._lock = threading.Lock()

    def tend(self) -> None:
        """Give it up where the disk has less room than it takes, make it where there is three times as much.

        Raises OSError.
        """
        free = shutil.disk_usage(self._path.parent).free
        if free < self._size:
            self.give_up()
        elif free >= 3 * self._size:
            self._make()

    def give_up(self) -> bool:
        """Remove it, because the disk is full; return whether there was one to remove. Never raises."""
        with self._lock, contextlib.suppress(OSError):
            if stat.S_ISREG(self._path.lstat().st_mode):
                self._path.unlink()
                _log.warning("the disk is full: %s is given up, so that it can be cleaned", self._path)
                return True
        return False

    def _make(self) -> None:
        with self._lock:
            with contextlib.suppress(FileNotFoundError):
                there = self._path.lstat()
                if not stat.S_ISREG(there.st_mode) or there.st_size >= self._size:
                    return  # whatever else lies there is left alone
                self._path.unlink()  # a crash cut it short
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                self._fill(descriptor)
            except OSError:
                self._path.unlink(missing_ok=True)
                raise

    def _fill(self, descriptor: int) -> None:
        """Write what takes its room on every file system: no hole, and nothing that can be compressed."""
        with os.fdopen(descriptor, "wb") as file:
            for begin in range(0, self._size, _PIECE):
                file.write(os.urandom(min(_PIECE, self._size - begin)))
            file.flush()
            os.fsync(file.fileno())
