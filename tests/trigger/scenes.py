"""Films of a real room in which what happens is known: footage, with things put in and out, as real H.264."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np

from surveil.messages import Box, Image, Observation, Track
from surveil.testing import frame
from surveil.trigger.background import BackgroundModel

WIDTH, HEIGHT = 640, 360
FPS = 4
PERSON: Box = (0.49, 0.02, 0.69, 0.95)
"""Where the footage has somebody standing at 18 s, and an empty room in its first frame."""
BAG: Box = (0.25, 0.72, 0.32, 0.88)

Scene = Callable[[Image, float], Image]
"""Changes a picture of the empty room into that of a moment, in seconds."""
Tracks = Callable[[float], tuple[Track, ...]]


def nobody(_at: float) -> tuple[Track, ...]:
    return ()


def still(footage: Path, at: float) -> Image:
    """Return the footage's picture at a moment."""
    with av.open(str(footage)) as container:
        for picture in container.decode(video=0):
            assert picture.time is not None
            if picture.time >= at:
                return np.asarray(picture.reformat(WIDTH, HEIGHT, "bgr24").to_ndarray(), np.uint8)
    raise AssertionError("the footage is shorter")


def pixels(box: Box) -> tuple[slice, slice]:
    """Return the rows and columns of a box."""
    x1, y1, x2, y2 = box
    return slice(int(y1 * HEIGHT), int(y2 * HEIGHT)), slice(int(x1 * WIDTH), int(x2 * WIDTH))


def with_bag(image: Image, box: Box = BAG) -> Image:
    """Return the picture with a dark, shaded bag with a strap in it."""
    image = image.copy()
    part = image[pixels(box)]
    height, width = part.shape[:2]
    shade = np.linspace(0.7, 1.3, width)[None, :, None]
    part[height // 5 :] = np.clip(np.array([90, 45, 30]) * shade, 0, 255)
    part[height // 5 : height // 5 + 4] = (40, 160, 190)
    cv2.ellipse(part, (width // 2, height // 5), (width // 4, height // 6), 0, 180, 360, (30, 30, 30), 3)
    return image


def with_person(image: Image, occupied: Image, shift: float = 0.0) -> Image:
    """Return the picture with the footage's person, `shift` of the picture further right."""
    image = image.copy()
    x1, y1, x2, y2 = PERSON
    image[pixels((x1 + shift, y1, x2 + shift, y2))] = occupied[pixels(PERSON)][:, : pixels(PERSON)[1].stop]
    return image


def film(path: Path, room: Image, scene: Scene, seconds: float) -> Path:
    """Write what a camera with some noise sees, as real H.264."""
    random = np.random.default_rng(1)
    noise = [random.normal(0, 3, room.shape) for _ in range(8)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "crf": "28", "g": "40"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(int(seconds * FPS)):
            picture = scene(room, number / FPS) + noise[random.integers(8)]
            image = np.clip(picture, 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    return path


def watch(model: BackgroundModel, video: Path, tracks: Tracks = nobody) -> Iterator[Observation]:
    """Show a video to the model, and yield each frame once it has seen it."""
    with av.open(str(video)) as container:
        for picture in container.decode(video=0):
            at = picture.time
            assert at is not None
            width, height = WIDTH, round(WIDTH * picture.height / picture.width)
            image = np.asarray(picture.reformat(width, height, "bgr24").to_ndarray(), np.uint8)
            model.observe(image, at, tracks(at))
            yield Observation(frame(at, image=image), tracks(at))
