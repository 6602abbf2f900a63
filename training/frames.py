"""Labelled frames on disk, as ultralytics wants them: JPEG at the detector's size, and a line of text for each box."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from surveil.demo.moment import LABELS, Truth
from surveil.messages import Image
from training.situations import YARDS, Split, dice_for, moment, scene

SIZE = (384, 216)
"""Width and height of a frame of 960 by 540 as a detector of 384 pixels sees it."""
COUNTS: dict[Split, int] = {"train": 9600, "val": 300, "held_out": 1000}


def write(folder: Path, split: Split, count: int) -> None:
    """Write the frames of one part that are not there yet: frame n is always the same."""
    (folder / "images" / split).mkdir(parents=True, exist_ok=True)
    (folder / "labels" / split).mkdir(parents=True, exist_ok=True)
    share = -(-count // YARDS[split])
    for number in range(count):
        path = folder / "images" / split / f"{number:06}.jpg"
        if path.exists():
            continue
        # One yard's frames stand together, since a yard takes longer to make than its pictures.
        picture, truth = scene(split, number // share).picture(moment(dice_for(split, number)))
        quality = int(np.random.default_rng(number).integers(60, 96))
        small = cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA)
        (folder / "labels" / split / f"{number:06}.txt").write_text(lines(truth))
        _save(path, np.asarray(small, np.uint8), quality)


def lines(truth: Truth) -> str:
    """Return the boxes as ultralytics reads them: class, middle, width and height, in fractions."""
    told = []
    for seen in truth.seen:
        x1, y1, x2, y2 = seen.box
        middle = f"{(x1 + x2) / 2:.5f} {(y1 + y2) / 2:.5f} {x2 - x1:.5f} {y2 - y1:.5f}"
        told.append(f"{LABELS.index(seen.thing.label)} {middle}\n")
    return "".join(told)


def _save(path: Path, picture: Image, quality: int) -> None:
    # Whole or not at all, so that a run that is cut off can go on.
    cut = path.with_suffix(".part.jpg")
    cv2.imwrite(str(cut), picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    cut.rename(path)
