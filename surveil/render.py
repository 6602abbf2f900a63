"""`surveil replay --render`: the video with boxes, zones, lines and findings drawn, to tune by looking."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import av.error
import cv2
import numpy as np
from av.container import OutputContainer

from surveil import drawing
from surveil.config import Camera
from surveil.interfaces import StorageError
from surveil.messages import Finding, Image, Observation, Track
from surveil.trigger.rules import Armed, Ground

_ZONE = (200, 160, 60)
_LINE = (60, 200, 230)
_IGNORED = (90, 90, 90)
_WIDTH = 960
_MILLISECOND = Fraction(1, 1000)


class Renderer:
    """Writes one video file, a picture a frame. Raises StorageError where it cannot be written."""

    def __init__(self, path: Path, camera: Camera) -> None:
        self._path = path
        self._camera = camera
        self._container: OutputContainer | None = None
        self._stream: av.VideoStream | None = None
        self._began = 0.0
        self._last = -1

    def __enter__(self) -> Renderer:
        try:
            self._path.touch()  # libav opens it with the first picture only, which may be minutes away
            self._container = av.open(str(self._path), "w", format="mp4")
        except (av.error.FFmpegError, OSError) as error:
            raise StorageError(f"{self._path} cannot be written: {(error.strerror or str(error)).lower()}") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._container is None:
            return
        if self._stream is not None:
            self._container.mux(self._stream.encode())
        self._container.close()

    def see(self, _ground: Ground, observation: Observation, found: Sequence[tuple[Armed, Finding]]) -> None:
        """Draw and write one frame as the rules saw it, with what they found in it."""
        findings = [finding for _, finding in found]
        image = np.array(cv2.resize(observation.frame.full(), self._size(observation)), np.uint8)
        self._draw_places(image)
        tracks = frozenset[int]().union(*(finding.tracks for finding in findings))
        for track in observation.tracks:
            drawing.box(image, track, drawing.FOUND if track.id in tracks else drawing.CALM)
        for finding in findings:
            for thing in finding.things:
                track = Track(thing.track, thing.label, thing.confidence, thing.box)
                drawing.box(image, track, drawing.FOUND)
        at = observation.frame.at
        drawing.text(image, f"{at:.1f} s", (8, 24), drawing.CALM)
        for number, finding in enumerate(findings):
            drawing.text(image, f"{finding.rule}: {finding.reason}", (8, 50 + 24 * number), drawing.FOUND)
        self._write(image, at)

    def _size(self, observation: Observation) -> tuple[int, int]:
        height, width = observation.frame.image.shape[:2]
        return _WIDTH, round(_WIDTH * height / width / 2) * 2

    def _draw_places(self, image: Image) -> None:
        for name, zone in self._camera.zones.items():
            corners = drawing.pixels(image, zone.polygon)
            cv2.polylines(image, [corners], True, _ZONE, 2, cv2.LINE_AA)
            drawing.text(image, name, tuple(map(int, corners[0])), _ZONE)
        for polygon in self._camera.ignore:
            cv2.polylines(image, [drawing.pixels(image, polygon)], True, _IGNORED, 1, cv2.LINE_AA)
        for name, line in self._camera.lines.items():
            begin, end = drawing.pixels(image, (line.from_, line.to))
            cv2.arrowedLine(image, tuple(map(int, begin)), tuple(map(int, end)), _LINE, 2, cv2.LINE_AA, 0, 0.03)
            drawing.text(image, name, tuple(map(int, begin)), _LINE)

    def _write(self, image: Image, at: float) -> None:
        if self._container is None:
            raise StorageError(f"{self._path} is not open")
        if self._stream is None:
            self._began = at
            stream = self._container.add_stream("libx264", rate=30, options={"preset": "veryfast", "crf": "23"})
            stream.width, stream.height, stream.pix_fmt = image.shape[1], image.shape[0], "yuv420p"
            stream.codec_context.time_base = _MILLISECOND
            self._stream = stream
        number = max(round((at - self._began) * 1000), self._last + 1)
        self._last = number
        picture = av.VideoFrame.from_ndarray(image, format="bgr24")
        picture.pts, picture.time_base = number, _MILLISECOND
        self._container.mux(self._stream.encode(picture))
