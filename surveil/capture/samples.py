"""Pictures from all over a recording, without reading all of it."""

from __future__ import annotations

from collections.abc import Iterator

import av.error
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from surveil.capture.decoding import opened, reason
from surveil.interfaces import CaptureError
from surveil.messages import Image

_FAR_SECONDS = 2.0
"""Nearer than this, decoding on is cheaper than going back to the key picture before."""


def samples(path: str, count: int) -> Iterator[Image]:
    """Yield at most `count` pictures, evenly spread in time, at the recording's own size. Raises CaptureError."""
    try:
        container = opened(path, "this is no video that can be read", options={"protocol_whitelist": "file"})
        with container:
            if not container.streams.video:
                raise CaptureError("there is no video in it")
            yield from _spread(container, container.streams.video[0], count)
    except CaptureError as error:
        raise CaptureError(f"{path}: {error}") from None
    except av.error.EOFError:
        return  # it is all there was
    except (av.error.FFmpegError, OSError) as error:
        raise CaptureError(f"{path}: {reason(error)}") from None


def _spread(container: InputContainer, stream: VideoStream, count: int) -> Iterator[Image]:
    length = container.duration / av.time_base if container.duration else 0.0
    first: float | None = None
    shown = -1.0
    for number in range(count):
        wanted = length * number / count
        if wanted - shown > _FAR_SECONDS:
            container.seek(int((wanted + (first or 0.0)) * av.time_base))
        for picture in container.decode(stream):
            at = picture.time or 0.0
            if first is None:
                first = at
            if at - first >= wanted and at > shown:
                shown = at
                yield np.asarray(picture.to_ndarray(format="bgr24"), np.uint8)
                break
