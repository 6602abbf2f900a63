"""Keyframe sets kept on disk, since drawing them takes longer than learning from them.

Usage: python -m training.shards FOLDER SPLIT COUNT
"""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Iterator
from pathlib import Path

import cv2

from training.sets import KeyframeSet, keyframe_set
from training.situations import Split

SHARD = 50


def write(folder: Path, split: Split, count: int) -> None:
    """Write the first `count` sets of a part, those that are not there yet."""
    cv2.setNumThreads(1)
    (folder / split).mkdir(parents=True, exist_ok=True)
    for first in range(0, count, SHARD):
        path = folder / split / f"{first:06}.pickle"
        if path.exists():
            continue
        sets = [keyframe_set(split, number) for number in range(first, first + SHARD)]
        # Whole or not at all, so that a run that is cut off can go on.
        cut = path.with_suffix(".part")
        cut.write_bytes(pickle.dumps(sets))
        cut.rename(path)


def read(folder: Path, split: Split) -> Iterator[KeyframeSet]:
    """Yield the sets that were written, in their order."""
    for path in sorted((folder / split).glob("*.pickle")):
        yield from load(path)


def load(path: Path) -> list[KeyframeSet]:
    """Return the sets of one file. Only for what was written here: it is a pickle."""
    sets: list[KeyframeSet] = pickle.loads(path.read_bytes())  # noqa: S301
    return sets


def main() -> None:
    """Write what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("split", choices=["train", "val", "held_out"])
    parser.add_argument("count", type=int)
    told = parser.parse_args()
    write(told.folder, told.split, told.count)


if __name__ == "__main__":
    main()
