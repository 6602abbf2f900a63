"""One clip file: written as the camera's packets come, without encoding anything, and completed into an MP4.

While it grows it lies at `<name>.part`, which a crash leaves readable. To complete it, its packets are copied into an
MP4 with its index in front, which a browser begins to play at once; only that one gets the name.
"""

from __future__ import annotations

import contextlib
import logging
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import av.error

from surveil.capture.decoding import reason
from surveil.capture.mp4 import GrowingMp4, complete, growing
from surveil.capture.nal import CODECS, as_extradata, parameter_sets
from surveil.capture.packets import CodedPacket, Coding
from surveil.capture.timeline import TICKS, DecodeTimes, Timeline, completed
from surveil.interfaces import CaptureError

_log = logging.getLogger(__name__)

MAX_BYTES = 256 * 1024 * 1024
"""Ten minutes of 3.5 Mbit/s."""
MAX_SECONDS = 720.0
"""The longest incident of the usual settings, what is before and after it, and the quiet that ends it."""
H265 = "it is H.265, which not every browser plays"
_LOOK = 32
"""So many packets of a connection are looked at before the first is written: twice what can be reordered."""
_PART = ".part"
_FAULTS = (OSError, av.error.FFmpegError, CaptureError)


class NoClip(Exception):
    """There is no clip, and this is why, for people."""


def path_of(root: Path, name: str) -> Path:
    """Return where the clip of this name lies; raises ValueError for one that leaves the root, or is no `.mp4`."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or path.suffix != ".mp4" or "\0" in name:
        raise ValueError(f"{name[:200]!r} is no name for a clip")
    return root / path


class ClipWriter:
    """Owns one clip while it is written; used by one thread at a time.

    Args:
        path: the finished file. The folder is made when the first packet comes.
        max_bytes, max_seconds: where it ends early; `ended` then says why.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES, max_seconds: float = MAX_SECONDS) -> None:
        self.ended = ""
        self._path = path
        self._part = path.with_name(path.name + _PART)
        self._max_bytes = max_bytes
        self._max_seconds = max_seconds
        self._file: GrowingMp4 | None = None
        self._coding: Coding | None = None
        self._sets: tuple[bytes, ...] = ()
        self._look: list[CodedPacket] | None = None
        self._line = Timeline()
        self._times: DecodeTimes | None = None
        self._captured = array("d")
        self._bytes = 0

    def add(self, coding: Coding, packet: CodedPacket) -> bool:
        """Write the next packet, in the order of decoding; False when it takes no more.

        Raises NoClip when there will be none; what was written is then gone.
        """
        with self._faults():
            if not self._takes(coding, packet):
                self._settle()
            elif self._look is None:
                self._write(coding, [packet])
            else:
                self._look.append(packet)
                if len(self._look) >= _LOOK:
                    self._settle()
        return not self.ended

    def finish(self, until: float | None = None) -> str:
        """Complete the file, without what was captured after monotonic `until`; return what is to be said of it.

        Raises NoClip.
        """
        with self._faults():
            self._settle()
            self._close()
            captured = self._captured
            count = len(captured) if until is None else bisect_right(captured, until)
            if not count:
                raise NoClip("the camera sent no picture then")
            complete(self._part, self._path, count)
        hevc = self._coding is not None and self._coding.codec == "hevc"
        return "; ".join([*([f"it ends early: {self.ended}"] if self.ended else []), *([H265] if hevc else [])])

    def discard(self) -> None:
        """Remove what was written."""
        self.ended = self.ended or "it was given up"
        with contextlib.suppress(*_FAULTS):  # the disk may be full, and refuse the last bytes
            self._close()
        with contextlib.suppress(OSError):
            self._part.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (*_FAULTS, NoClip) as error:
            self.discard()
            raise NoClip(_told(error)) from None

    def _takes(self, coding: Coding, packet: CodedPacket) -> bool:
        """Return whether this packet belongs to the clip; where one ends it, `ended` says why."""
        if packet.is_key and not self.ended:
            self._begin_or_compare(coding, packet)
        if not self.ended and self._bytes + len(packet.data) > self._max_bytes:
            self.ended = f"it has {self._max_bytes / 1_000_000:.0f} MB"
        if self.ended or self._file is None:
            return False
        if coding is not self._coding:  # a new connection: its first packets tell what its times are worth
            self._settle()
            self._coding, self._look = coding, []
        self._bytes += len(packet.data)
        return True

    def _begin_or_compare(self, coding: Coding, key: CodedPacket) -> None:
        if coding.codec not in CODECS:
            raise NoClip(f"the camera sends {coding.codec}, and clips are made of H.264 and H.265")
        known = coding is self._coding
        sets = parameter_sets(coding.codec, as_extradata(self._sets) if known else coding.extradata, key)
        if not sets:
            raise NoClip("the camera does not say how its pictures are coded")
        if self._file is None:
            self._part.parent.mkdir(parents=True, exist_ok=True)
            self._sets, self._file = sets, growing(self._part, coding, sets, key)
        elif frozenset(sets) != frozenset(self._sets):
            self.ended = "the camera changed its coding"

    def _settle(self) -> None:
        """Write the first packets of a connection."""
        first, self._look = self._look, None
        if first and self._coding is not None:
            self._write(self._coding, completed(self._coding, first))

    def _write(self, coding: Coding, packets: list[CodedPacket]) -> None:
        placed = [(packet, when) for packet in packets if (when := self._line.shown(coding, packet)) is not None]
        if self._times is None:
            self._times = DecodeTimes([when for _, when in placed])
        for packet, wanted in placed:
            if wanted > self._max_seconds * TICKS:
                self.ended = self.ended or f"it is {self._max_seconds:.0f} s long"
            if self._file is None or wanted > self._max_seconds * TICKS:
                return
            decoded, shown = self._times.next(wanted)
            self._file.write(packet, decoded + self._times.lead, shown + self._times.lead)
            self._captured.append(packet.at)

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()


def clean(root: Path) -> list[str]:
    """Complete the clips that a crash cut, or remove what cannot be; return their names. Before any is recorded."""
    for path in root.rglob("*.mp4.tmp"):
        path.unlink(missing_ok=True)
    names = []
    for part in sorted(root.rglob(f"*.mp4{_PART}")):
        path = part.with_name(part.name.removesuffix(_PART))
        try:
            if not path.exists():  # else the crash came after all was done
                complete(part, path)
            part.unlink(missing_ok=True)
        except _FAULTS as error:
            _log.warning("what a crash left of the clip %s is removed: %s", path.name, _told(error))
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
        else:
            names.append(path.relative_to(root).as_posix())
    return names


def _told(error: BaseException) -> str:
    return str(error) if isinstance(error, NoClip | CaptureError) else reason(error)
