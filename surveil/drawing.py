"""Boxes and writing on pictures, for people to look at, and copies of pictures with them."""

from __future__ import annotations

import itertools
import os
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from surveil.interfaces import StorageError
from surveil.messages import Image, Track

Colour = tuple[int, int, int]
"""Blue, green, red."""
CALM: Colour = (200, 200, 200)
FOUND: Colour = (90, 90, 255)
_GROUND: Colour = (20, 20, 20)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SIZE = 0.55
_JPEG_QUALITY = 92
_LINE = 24
"""Pixels from one line of writing to the next, at scale 1."""
_MARKS = str.maketrans("\u2013\u2014\u2018\u2019\u201c\u201d", "--''\"\"")
"""Dashes and quotation marks, and what is written for them."""
_READABLE = 540
"""At scale 1 writing is read well on a picture whose shorter side has so many pixels."""


def scale_for(image: Image) -> float:
    """Return how large writing must be to be read when the picture is shown as a whole; at least 1."""
    height, width = image.shape[:2]
    return float(max(1.0, min(height, width) / _READABLE))


def pixels(image: Image, places: Sequence[tuple[float, float]]) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    """Return places in fractions of the picture as int32 (n, 2) pixels."""
    height, width = image.shape[:2]
    return np.round(np.array(places) * (width, height)).astype(np.int32)


def box(image: Image, track: Track, colour: Colour, scale: float = 1.0) -> None:
    """Draw a track's box, thin where it is predicted, with its number, label and confidence above."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = track.box
    begin, end = (round(x1 * width), round(y1 * height)), (round(x2 * width), round(y2 * height))
    cv2.rectangle(image, begin, end, colour, round((1 if track.predicted else 2) * scale))
    text(
        image,
        f"{track.id} {track.label} {track.confidence:.2f}",
        (begin[0], begin[1] - round(6 * scale)),
        colour,
        scale,
    )


def text(image: Image, written: str, at: tuple[int, ...], colour: Colour, scale: float = 1.0) -> None:
    """Write on a dark ground, since pictures are of every brightness; `at` is the left lower corner in pixels.

    What would leave the picture is moved into it.
    """
    written = _plain(written)
    (width, height), below = cv2.getTextSize(written, _FONT, _SIZE * scale, _thick(scale))
    left = max(0, min(at[0], image.shape[1] - width))
    bottom = max(height + 4, at[1])
    cv2.rectangle(image, (left, bottom - height - 3), (left + width, bottom + below), _GROUND, cv2.FILLED)
    cv2.putText(image, written, (left, bottom), _FONT, _SIZE * scale, colour, _thick(scale), cv2.LINE_AA)


def captioned(image: Image, caption: str, colour: Colour, scale: float = 1.0) -> Image:
    """Return the picture with a caption below it, in as many lines as it takes; nothing of the picture is hidden."""
    lines = list(_lines(_plain(caption), image.shape[1] - round(16 * scale), scale))
    step = round(_LINE * scale)
    below = len(lines) * step + step // 3
    whole = cv2.copyMakeBorder(image, 0, below, 0, 0, cv2.BORDER_CONSTANT, value=_GROUND)
    taller = np.asarray(whole, np.uint8)
    for number, line in enumerate(lines, 1):
        text(taller, line, (round(8 * scale), image.shape[0] + number * step), colour, scale)
    return taller


def _lines(caption: str, width: int, scale: float) -> Iterator[str]:
    """Yield the caption's words in lines that are at most `width` pixels wide; a longer word has its own."""
    line = ""
    for word in caption.split():
        longer = f"{line} {word}" if line else word
        if line and cv2.getTextSize(longer, _FONT, _SIZE * scale, _thick(scale))[0][0] > width:
            yield line
            longer = word
        line = longer
    yield line


def _thick(scale: float) -> int:
    return max(1, round(scale))


def _plain(written: str) -> str:
    """Return a text in the letters that every version of OpenCV has: without accents, and ? for what is left."""
    bare = (c for c in unicodedata.normalize("NFKD", written.translate(_MARKS)) if not unicodedata.combining(c))
    return "".join(bare).encode("ascii", "replace").decode("ascii")


class Annotator:
    """Writes a copy of each picture with what was seen drawn on it, never over a picture that was given.

    Raises StorageError where the folder cannot be made or written to.
    """

    def __init__(self, folder: Path, given: Iterable[Path]) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(folder, error) from None
        if not os.access(folder, os.W_OK):  # told before a model is loaded, not after
            raise StorageError(f"{folder} cannot be written: permission denied")
        self._folder = folder
        self._taken = {path.resolve() for path in given}

    def write(self, path: Path, image: Image, tracks: Iterable[Track], found: Collection[Track], caption: str) -> Path:
        """Write a picture as JPEG, under the name that it has in `path` or with a number behind it; return where.

        Tracks that are in `found` stand out; without a caption the copy is as large as the picture.
        """
        drawn = image.copy()
        scale = scale_for(drawn)
        for track in tracks:
            box(drawn, track, FOUND if track in found else CALM, scale)
        if caption:
            drawn = captioned(drawn, caption, CALM, scale)
        file = self._free(path.stem)
        written, jpeg = cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        if not written:
            raise StorageError(f"{file} cannot be written: the picture is too large for JPEG")
        try:
            file.write_bytes(jpeg.tobytes())
        except OSError as error:
            raise _unwritable(file, error) from None
        return file

    def _free(self, stem: str) -> Path:
        names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
        folder = self._folder.resolve()
        file = next(file for name in names if (file := folder / f"{name}.jpg") not in self._taken)
        self._taken.add(file)
        return self._folder / file.name


def _unwritable(path: Path, error: OSError) -> StorageError:
    return StorageError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}")
