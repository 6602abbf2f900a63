"""What lies in the storage folder, day by day: looked at, read and removed without ever following a link."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from surveil.config.rules import NAME_PATTERN
from surveil.store.evidence import day

_CAMERA = re.compile(NAME_PATTERN, re.ASCII)
_PARTS = (_CAMERA, re.compile(r"\d{4}", re.ASCII), re.compile(r"\d{2}", re.ASCII), re.compile(r"\d{2}", re.ASCII))
# The second kind is what a crash left, or what is still being written.
_FILE = re.compile(
    r"([0-9A-HJKMNP-TV-Z]{26})\.(?:((?:\d{1,3}\.)?jpg|mp4)|(?:\d{1,3}\.)?part|mp4\.(?:part|tmp))", re.ASCII
)
_TICK_NS = 1_000_000_000
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# A folder that was removed meanwhile; one that is a link or a file is none of ours.
_NOTHING = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


@dataclass(frozen=True, slots=True, order=True)
class Shelf:
    """One camera's evidence of one day, UTC, as `2026/11/22`; the oldest sorts first."""

    date: str
    camera: str

    @property
    def parts(self) -> tuple[str, ...]:
        """The folders that lead there, below the storage folder."""
        return self.camera, *self.date.split("/")


@dataclass(frozen=True, slots=True)
class File:
    """One file of an incident; `whole` is what is complete, no rest of a crash."""

    name: str
    bytes: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Holding:
    """How much lies somewhere."""

    incidents: int = 0
    bytes: int = 0

    def __add__(self, other: Holding) -> Holding:
        return Holding(self.incidents + other.incidents, self.bytes + other.bytes)


Listing = dict[str, list[File]]
"""The files of each incident, by its id."""


class EvidenceTree:
    """Knows `<camera>/<year>/<month>/<day>/<id>.*` below the storage folder, and nothing else there. One thread.

    The folder itself may be reached over links; whatever is a link below it is left alone, and so is every file whose
    name is not one that `EvidenceFolder` and the clips give.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.links: set[str] = set()
        """What was a link when `shelves` last looked, as paths below the folder."""
        self._known: dict[Shelf, tuple[int, Holding]] = {}

    def shelves(self) -> list[Shelf]:
        """Return where evidence may lie, the oldest first. Raises OSError."""
        self.links = set()
        found = sorted(Shelf("/".join(parts[1:]), parts[0]) for parts in self._below(()))
        self._known = {shelf: self._known[shelf] for shelf in found if shelf in self._known}
        return found

    def _below(self, parts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if len(parts) == len(_PARTS):
            yield parts
            return
        with self._opened(parts) as folder, os.scandir(folder) as entries:
            names = []
            for entry in entries:
                if not _PARTS[len(parts)].fullmatch(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    names.append(entry.name)
                elif entry.is_symlink():
                    self.links.add("/".join((*parts, entry.name)))
        for name in names:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                # It was removed while we look; or it is somebody else's, and evidence is what the daemon could write.
                yield from self._below((*parts, name))

    def shelf(self, camera: str, incident: str) -> Shelf | None:
        """Return where the evidence of an incident lies; None for names that can have none."""
        with contextlib.suppress(ValueError):
            if _CAMERA.fullmatch(camera):
                return Shelf(f"{day(incident):%Y/%m/%d}", camera)
        return None

    def holding(self, shelf: Shelf) -> Holding:
        """Return how much lies there; it is looked through only where something came or went. Raises OSError."""
        try:
            with self._opened(shelf.parts) as folder:
                changed = os.fstat(folder).st_mtime_ns
                known = self._known.get(shelf)
                if known is not None and known[0] == changed:
                    return known[1]
                listing = _listed(folder, shelf)
                held = Holding(len(listing), sum(file.bytes for files in listing.values() for file in files))
                if abs(time.time_ns() - changed) > _TICK_NS:  # else it may change again without a later time
                    self._known[shelf] = changed, held
                return held
        except OSError as error:
            if error.errno in _NOTHING:
                return Holding()
            raise

    def listing(self, shelf: Shelf) -> Listing:
        """Return the files that lie there; none for a folder that is not there, or is a link. Raises OSError."""
        try:
            with self._opened(shelf.parts) as folder:
                return _listed(folder, shelf)
        except OSError as error:
            if error.errno in _NOTHING:
                return {}
            raise

    def remove(self, shelf: Shelf, files: Iterable[File]) -> None:
        """Remove files that `listing` told. Raises OSError."""
        with contextlib.suppress(FileNotFoundError), self._opened(shelf.parts) as folder:
            for file in files:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(file.name, dir_fd=folder)

    def tidy(self, shelf: Shelf, before: str) -> None:
        """Remove the day's folder, and its month's and year's, where they are empty and of before a date.

        Nothing is written there any more: a folder that vanished under a picture would cost it.
        """
        with contextlib.suppress(OSError):  # most often: it is not empty
            for length in (4, 3, 2):
                parts = shelf.parts[:length]
                date = "/".join(parts[1:])
                if date >= before[: len(date)]:
                    return
                with self._opened(parts[:-1]) as folder:
                    os.rmdir(parts[-1], dir_fd=folder)

    def open(self, shelf: Shelf, name: str) -> BinaryIO:
        """Open a file to be read. Raises OSError, also for what is no plain file."""
        with self._opened(shelf.parts) as folder:
            # Not blocking: whoever put a pipe there must not hang us.
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "it is no plain file")
        return os.fdopen(descriptor, "rb")

    @contextlib.contextmanager
    def _opened(self, parts: tuple[str, ...]) -> Iterator[int]:
        """Open a folder step by step, so that no link, also one put there this moment, leads anywhere else."""
        folder = os.open(self.root, _FOLDER)
        try:
            for part in parts:
                below = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
                os.close(folder)
                folder = below
            yield folder
        finally:
            os.close(folder)


def _listed(folder: int, shelf: Shelf) -> Listing:
    listing: Listing = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            match = _FILE.fullmatch(entry.name)
            if match is None or entry.is_dir(follow_symlinks=False) or not _belongs(match[1], shelf):
                continue
            with contextlib.suppress(FileNotFoundError):
                size = entry.stat(follow_symlinks=False).st_size
                listing.setdefault(match[1], []).append(File(entry.name, size, bool(match[2])))
    return listing


def _belongs(incident: str, shelf: Shelf) -> bool:
    """Return whether an incident's files are looked for here: what was copied by hand stays where it was put."""
    try:
        return f"{day(incident):%Y/%m/%d}" == shelf.date
    except ValueError:
        return False
