"""Clips of incidents: each grows from the packets that its camera's ring gets, and is completed when all is over."""

from __future__ import annotations

import logging
import math
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from surveil.capture.clip import ClipWriter, NoClip, path_of
from surveil.capture.packets import CodedPacket, Coding, Gop, PacketRing
from surveil.clock import Clock
from surveil.logs import Fold

_log = logging.getLogger(__name__)
_fold = Fold(_log)

PRE_SECONDS = 5.0
"""With what an alert takes to be decided, less than a ring reaches back."""
POST_SECONDS = 3.0
PACE_SECONDS = 0.5
AWAY_SECONDS = 60.0
"""A camera that is away is an incident after 30 s. Its clip shows what it saw last, unless that is longer ago."""
MOST_CLIPS = 64
"""So many are recorded and completed at a time."""
MOST_INCIDENTS = 1000
RESERVE_BYTES = 128 * 1024 * 1024
"""So much of the disk is left to the alerts: clips are given up before."""

Done = Callable[[str | None, str], None]
"""Is given a clip's name and what is to be said of it, most often nothing; or None and why there is no clip."""


@dataclass(eq=False)
class _Clip:
    incident: str
    camera: str = ""
    name: str = ""
    writer: ClipWriter | None = None
    follower: RingFollower | None = None
    why_not: str = ""
    until: float = math.inf
    done: Done | None = None

    def is_over(self, now: float) -> bool:
        """Return whether it is to be completed: at the end of all things without being asked to."""
        asked = self.done is not None or now == math.inf
        return asked and (self.until <= now or bool(self.why_not))


class ClipRecorder:
    """Records the clips of open incidents. One thread writes them as they grow, a second completes them.

    The second is there because a slow disk may sync a large clip for longer than the rings reach back.

    Args:
        root: the folder below which clips lie.
        rings: where each camera's packets are.
        without: for cameras that have no ring, why, for people.
    """

    def __init__(
        self, root: Path, rings: Mapping[str, PacketRing], clock: Clock, without: Mapping[str, str] | None = None
    ) -> None:
        self._root = root
        self._rings = rings
        self._clock = clock
        self._without = without or {}
        self._lock = threading.Lock()
        self._open: dict[str, _Clip] = {}
        self._discarded: list[_Clip] = []
        self._busy = 0
        self._stop = threading.Event()
        self._given_up = threading.Event()
        self._completing: SimpleQueue[_Clip | None] = SimpleQueue()
        self._threads = (
            threading.Thread(target=self.run, name="record", daemon=True),
            threading.Thread(target=self._complete_all, name="record-complete", daemon=True),
        )

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float) -> bool:
        """Complete all clips with what there is, at most `timeout` seconds; False when time ran out.

        What is not completed by then stays on disk for `clip.clean`, and nobody is told of it.
        """
        until = self._clock.monotonic() + timeout
        self._stop.set()
        for thread in self._threads:
            thread.join(max(0.0, until - self._clock.monotonic()))
        self._given_up.set()
        return not any(thread.is_alive() for thread in self._threads)

    def begin(self, incident: str, camera: str, at: float, name: str) -> None:
        """Record the clip of an incident that began at monotonic `at`, from PRE_SECONDS before; never blocks.

        `name` is where it will lie below the root; raises ValueError for one that leaves it.
        """
        path = path_of(self._root, name)
        clip = _Clip(incident, camera, name)
        ring = self._rings.get(camera)
        with self._lock:
            if incident in self._open or len(self._open) >= MOST_INCIDENTS:
                return
            if ring is None:
                clip.why_not = self._without.get(camera, "its packets are not kept")
            elif self._busy >= MOST_CLIPS:
                clip.why_not = "too many clips are being recorded"
                _fold.warn(f"camera={camera} an incident has no clip: {clip.why_not}")
            else:
                # Taken now: the ring may have let go of it by the time that the thread comes here.
                clip.follower = RingFollower(ring, at)
                clip.writer = ClipWriter(path)
                self._busy += 1
            self._open[incident] = clip

    def finish(self, incident: str, last: float, done: Done) -> None:
        """Record until POST_SECONDS after monotonic `last`, complete the clip, and call `done` on a thread of ours.

        Never blocks. With a camera that is away it takes no longer.
        """
        with self._lock:
            clip = self._open.get(incident)
            if clip is not None:
                clip.until, clip.done = last + POST_SECONDS, done
        if clip is None:
            self._completing.put(_Clip(incident, why_not="none was begun", done=done))

    def discard(self, incident: str) -> None:
        """Record no more of an incident, and keep nothing; never blocks."""
        with self._lock:
            clip = self._open.pop(incident, None)
            if clip is not None:
                self._discarded.append(clip)

    # The first thread's own.

    def run(self) -> None:
        """Record until stopped."""
        while not self._stop.wait(PACE_SECONDS):
            self._record_all(self._clock.monotonic())
        self._record_all(math.inf)
        self._completing.put(None)

    def _record_all(self, now: float) -> None:
        """Write what has come, and hand on what is over by monotonic `now`."""
        with self._lock:
            clips = list(self._open.values())
            discarded, self._discarded = self._discarded, []
        for clip in discarded:
            self._drop(clip)
        full = bool(clips) and self._disk_is_full()
        for clip in clips:
            self._record(clip, full)
        with self._lock:
            over = [clip for clip in clips if clip.is_over(now) and self._open.get(clip.incident) is clip]
            for clip in over:
                del self._open[clip.incident]
        for clip in over:
            self._completing.put(clip)

    def _record(self, clip: _Clip, full: bool) -> None:
        if clip.follower is None or clip.writer is None:
            return
        try:
            if full:
                raise NoClip("the disk is nearly full")
            for coding, packet in clip.follower.news():
                if not clip.writer.add(coding, packet):
                    _fold.warn(f"camera={clip.camera} a clip ends before its incident: {clip.writer.ended}")
                    clip.follower = None
                    return
        except NoClip as why:
            self._fail(clip, str(why))
        except Exception:  # noqa: BLE001 - the clips of all other incidents hang on this thread
            _log.exception("camera=%s a fault in recording a clip", clip.camera)
            self._fail(clip, "a fault of surveil's own; see the log")

    def _fail(self, clip: _Clip, why: str) -> None:
        _fold.warn(f"camera={clip.camera} an incident has no clip: {why}")
        clip.follower, clip.why_not = None, why
        self._drop(clip)

    def _drop(self, clip: _Clip) -> None:
        writer, clip.writer = clip.writer, None
        if writer is not None:
            writer.discard()
            self._free()

    def _free(self) -> None:
        with self._lock:
            self._busy -= 1

    def _disk_is_full(self) -> bool:
        try:
            return shutil.disk_usage(self._root).free < RESERVE_BYTES
        except OSError:
            return False  # whatever it is, writing there will tell

    # The second thread's own.

    def _complete_all(self) -> None:
        while (clip := self._completing.get()) is not None and not self._given_up.is_set():
            name, word = self._completed(clip)
            try:
                if clip.done is not None:
                    clip.done(name, word)
            except Exception:  # noqa: BLE001 - the clips of all other incidents hang on this thread
                _log.exception("camera=%s a fault in telling of a clip", clip.camera)

    def _completed(self, clip: _Clip) -> tuple[str | None, str]:
        if clip.writer is None:
            return None, clip.why_not
        try:
            return clip.name, clip.writer.finish(clip.until)
        except NoClip as why:
            _fold.warn(f"camera={clip.camera} an incident has no clip: {why}")
            return None, str(why)
        except Exception:  # noqa: BLE001
            _log.exception("camera=%s a fault in completing a clip", clip.camera)
            return None, "a fault of surveil's own; see the log"
        finally:
            self._free()


class RingFollower:
    """Gives each packet of a ring once, in order, from PRE_SECONDS before a moment on. One thread at a time."""

    def __init__(self, ring: PacketRing, at: float) -> None:
        gops = ring.gops()
        self._ring = ring
        self._newest = gops[-1] if gops else None
        self._waiting = list(_before(gops, at))
        self._taken = 0

    def news(self) -> Iterator[tuple[Coding, CodedPacket]]:
        """Yield what has come since the last time."""
        gops = self._ring.gops()
        if gops:
            self._waiting += gops[gops.index(self._newest) + 1 :] if self._newest in gops else gops
            self._newest = gops[-1]
        while self._waiting:
            gop = self._waiting[0]
            packets = gop.packets
            for packet in packets[self._taken :]:
                yield gop.coding, packet
            self._taken = len(packets)
            if len(self._waiting) == 1:
                return  # it may still grow
            del self._waiting[0]
            self._taken = 0


def _before(gops: tuple[Gop, ...], at: float) -> tuple[Gop, ...]:
    """Return what a clip of `at` begins with: what holds the moment PRE_SECONDS before, and all after it."""
    if not gops or gops[-1].last.at < at - AWAY_SECONDS:
        return ()
    wanted = min(at, gops[-1].last.at) - PRE_SECONDS
    first = max((number for number, gop in enumerate(gops) if gop.began <= wanted), default=0)
    # What is long before it is left of a connection that broke.
    return gops[first:] if gops[first].last.at > wanted - PRE_SECONDS else gops[first + 1 :]
