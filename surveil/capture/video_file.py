"""A recorded file as a camera: at its own pace, or as fast as it can be read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import av.error
from av.container import InputContainer

from surveil.capture.decoding import IN_SOFTWARE, Decoder, Decoding, full, opened, reason
from surveil.clock import Clock
from surveil.interfaces import CaptureError, EndOfFile
from surveil.messages import Frame

LATE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Plays a file like a camera: each frame leaves when its time has come, until `stop` is set."""

    clock: Clock
    stop: threading.Event

    def start(self) -> tuple[float, float]:
        """Return the moment at which the file begins."""
        return self.clock.monotonic(), self.clock.wall()

    def wait_until(self, at: float) -> bool:
        """Wait for the moment `at`; False when playing stopped meanwhile."""
        return not self.stop.wait(max(0.0, at - self.clock.monotonic()))

    def lateness(self, at: float) -> float:
        """Return by how much all that follows must be later: a machine too slow for the file, or one that slept,
        goes on from now, as a camera would."""
        late = self.clock.monotonic() - at
        return late if late > LATE_SECONDS else 0.0


@dataclass(frozen=True, slots=True)
class Unpaced:
    """Reads a file as fast as it can; time is the video's own and begins at `wall` UNIX seconds."""

    wall: float

    def start(self) -> tuple[float, float]:
        """Return the moment at which the file begins."""
        return 0.0, self.wall

    def wait_until(self, at: float) -> bool:  # noqa: ARG002 - the other pace needs it
        """Return at once."""
        return True

    def lateness(self, at: float) -> float:  # noqa: ARG002
        """Return 0: nothing is ever late."""
        return 0.0


class VideoFile:
    """Reads one file on the calling thread. `frames` ends with EndOfFile unless it loops."""

    def __init__(
        self,
        camera: str,
        path: str,
        input_size: tuple[int, int],
        pace: Pace | Unpaced,
        loop: bool = False,
        decoding: Decoding = IN_SOFTWARE,
    ) -> None:
        self._camera = camera
        self._path = path
        self._input_size = input_size
        self._pace = pace
        self._loop = loop
        self._decoding = decoding
        self._container: InputContainer | None = None
        self._due = (0.0, 0.0)

    def open(self) -> None:
        """Open the file; raises CaptureError when it is no video."""
        try:
            self._container = opened(
                self._path, "this is no video that can be read", options={"protocol_whitelist": "file"}
            )
        except CaptureError as error:
            raise CaptureError(f"{self._path}: {error}") from None

    def frames(self) -> Iterator[Frame]:
        """Yield every frame with the file's own times, which never stand still or go back."""
        at, wall = self._due = self._pace.start()
        index = 0
        while True:
            length = 0.0
            for own, step, decoder, picture in self._pictures():
                if not self._pace.wait_until(at + own):
                    return
                late = self._pace.lateness(at + own)
                at, wall = at + late, wall + late
                small = decoder.small(picture)
                yield Frame(self._camera, index, at + own, wall + own, small, full(picture))
                index += 1
                length = own + step
                self._due = at + length, wall + length
            if not self._loop or not index:
                raise EndOfFile("end of file")
            at, wall = at + length, wall + length
            self.close()
            self.open()

    def close(self) -> None:
        """Close the file."""
        container, self._container = self._container, None
        if container is not None:
            container.close()

    def _pictures(self) -> Iterator[tuple[float, float, Decoder, av.VideoFrame]]:
        if self._container is None:
            raise CaptureError("frames() before open()")
        try:
            # What is read next is kept as captured when the next picture is due; the pictures have times of their own.
            decoder = Decoder(self._container, self._input_size, lambda: self._due, decoding=self._decoding)
        except CaptureError as error:
            raise CaptureError(f"{self._path}: {error}") from None
        rate = decoder.stream.average_rate
        step = 1 / float(rate) if rate else 0.04
        first: float | None = None
        last = -step
        try:
            for picture, _ in decoder.frames():
                if first is None:
                    first = picture.time or 0.0
                own = picture.time - first if picture.time is not None else last + step
                last = own if own > last else last + step
                yield last, step, decoder, picture
        except (av.error.FFmpegError, OSError) as error:
            raise CaptureError(f"{self._path}: {reason(error)}") from None
