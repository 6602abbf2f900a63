"""One file over HTTP: it goes on where it was cut off, and appears under its name only when its hash is right."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

import httpx

from surveil.fetch import remote
from surveil.fetch.errand import Tell, readable
from surveil.fetch.remote import FetchError

TRIES = 3
"""How often in a row nothing comes, once something has, before that is the end."""
PAUSE_SECONDS = 1.0
_CHUNK = 1 << 20
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class Digest:
    """What a file's bytes hash to: SHA-256, or the SHA-1 that git names its blobs by.

    `hex` is in lower case, and empty where nobody tells it.
    """

    kind: Literal["sha256", "git"]
    hex: str

    def begun(self, size: int) -> Any:
        """Return the hash of nothing yet, of a file with `size` bytes."""
        if self.kind == "sha256":
            return hashlib.sha256()
        return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)

    def fits(self, file: Path, tell: Tell) -> bool:
        """Return whether a file's bytes are right. Raises OSError."""
        with file.open("rb") as opened:
            hashed = self.begun(os.fstat(opened.fileno()).st_size)
            while chunk := opened.read(_CHUNK):
                hashed.update(chunk)
                tell(len(chunk))
        return bool(hashed.hexdigest() == self.hex)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file on a server: where, how large, and what it must be. Headers may hold a secret."""

    name: str
    url: str
    size: int
    digest: Digest
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class _Cut(Exception):
    """The connection broke off, or the server cannot just now."""


class Download:
    """Fetches one file. What came before it was cut off stays in `part`, and is checked with the rest."""

    def __init__(self, client: httpx.Client, wanted: Wanted, part: Path, tell: Tell, pause: float = PAUSE_SECONDS):
        self._client = client
        self._wanted = wanted
        self._part = part
        self._tell = tell
        self._pause = pause
        self._have = 0
        self._hash = wanted.digest.begun(wanted.size)

    def fetch(self, target: Path) -> str:
        """Leave the whole file in `target` and return what its bytes hash to; raises FetchError."""
        try:
            self._part.parent.mkdir(parents=True, exist_ok=True)
            with _alone(self._part) as file:
                try:
                    self._complete(file)
                finally:
                    if self._have == 0 < self._wanted.size:
                        self._part.unlink(missing_ok=True)
                os.fsync(file.fileno())
                self._part.replace(target)
            _sync(target.parent)
            return str(self._hash.hexdigest())
        except OSError as error:
            raise _unwritable(self._part, error) from None

    def _complete(self, file: IO[bytes]) -> None:
        """Fill the part until its hash is right."""
        self._take_up(file)
        kept = self._have
        self._fill(file)
        if kept and not self._right():
            # What lay here was no beginning of this file: an older one's, or damaged.
            self._begin(file)
            self._fill(file)
        if not self._right():
            self._part.unlink()
            raise FetchError(
                f"what {remote.host(self._wanted.url)} sends for {self._wanted.name} has a wrong hash, and is deleted; "
                "try again, and if it stays so, distrust the way there"
            )

    def _right(self) -> bool:
        return self._wanted.digest.hex in {"", self._hash.hexdigest()}

    def _take_up(self, file: IO[bytes]) -> None:
        """Go on behind what is there, unless it is no beginning of this file, or nothing could tell that it is none."""
        while chunk := file.read(_CHUNK):
            self._count(chunk)
        if self._have > self._wanted.size or not self._wanted.digest.hex:
            self._begin(file)

    def _begin(self, file: IO[bytes]) -> None:
        """Go back to nothing."""
        file.seek(0)
        file.truncate()
        self._tell(-self._have)
        self._have = 0
        self._hash = self._wanted.digest.begun(self._wanted.size)

    def _count(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        self._have += len(chunk)
        self._tell(len(chunk))

    def _fill(self, file: IO[bytes]) -> None:
        """Ask for what is missing, again as long as that brings something."""
        tries = 0
        while self._have < self._wanted.size:
            before = self._have
            try:
                self._stream(file)
            except _Cut as cut:
                tries = TRIES if self._have > before else tries - 1
                if tries <= 0:
                    raise FetchError(f"{cut}; what came stays" if self._have else str(cut)) from None
                time.sleep(self._pause)

    def _stream(self, file: IO[bytes]) -> None:
        """Take what one request brings. Raises _Cut where that is not all, and FetchError."""
        url = self._wanted.url
        headers = {**self._wanted.headers, **({"Range": f"bytes={self._have}-"} if self._have else {})}
        try:
            with self._client.stream("GET", url, headers=headers) as response:
                self._place(file, response)
                for chunk in response.iter_raw():
                    if self._have + len(chunk) > self._wanted.size:
                        raise FetchError(f"{remote.host(url)} sends more of {self._wanted.name} than there is")
                    file.write(chunk)
                    self._count(chunk)
        except httpx.TransportError as error:
            raise _Cut(str(remote.fault(error, url))) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise remote.fault(error, url) from None
        if self._have < self._wanted.size:
            raise _Cut(f"{remote.host(url)} stops in the middle")

    def _place(self, file: IO[bytes], response: httpx.Response) -> None:
        """Be where the server begins: behind what is here, or at the start again."""
        if response.status_code >= 500:
            raise _Cut(str(remote.refusal(response)))
        if response.status_code == 206:
            given = _RANGE.fullmatch(response.headers.get("content-range", ""))
            if given is not None and int(given[1]) == self._have and given[2] in {"*", str(self._wanted.size)}:
                return
        elif response.status_code != 416 and not response.is_success:
            raise remote.refusal(response)
        self._begin(file)
        if response.status_code != 200:
            raise _Cut(
                f"{remote.host(self._wanted.url)} gives another part of {self._wanted.name} than it is asked for"
            )


@contextmanager
def _alone(part: Path) -> Iterator[IO[bytes]]:
    """Open a part that nobody else fills. Raises FetchError, OSError."""
    # Not "ab": that would write behind what another one wrote.
    with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+b", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = part.stat().st_ino == os.fstat(file.fileno()).st_ino  # or it was renamed in this very moment
        except (BlockingIOError, FileNotFoundError):
            mine = False
        if not mine:
            raise FetchError(f"{part} is being filled by another surveil models fetch; wait for it")
        yield file


def ensure_room(folder: Path, missing: int) -> None:
    """Raise FetchError unless the disk below `folder`, which need not be there yet, has room for `missing` bytes."""
    try:
        there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
        free = shutil.disk_usage(there).free
    except OSError as error:
        raise _unwritable(folder, error) from None
    if missing > free:
        raise FetchError(
            f"{folder} has too little room: {readable(missing)} are needed and {readable(free)} are free; "
            "make room, or name another disk"
        )


def _unwritable(part: Path, error: OSError) -> FetchError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return FetchError(f"{part.parent} is full; what came stays there: make room, and try again")
    return FetchError(f"{part} cannot be written: {(error.strerror or str(error)).lower()}")


def _sync(folder: Path) -> None:
    """Make a new name in a folder outlast a power cut."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
