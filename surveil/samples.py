"""Stills and clips whose risk people have labelled: by the sub-folder they lie in, or in `labels.yaml`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from surveil.config import ConfigError
from surveil.config.document import parse
from surveil.config.rules import Strict
from surveil.interfaces import CaptureError
from surveil.messages import Level

_log = logging.getLogger(__name__)
STILLS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
CLIPS = frozenset({".mp4", ".mkv", ".avi", ".mov"})
LEVELS = (Level.none, Level.low, Level.medium, Level.high)
"""What a VLM can say, and so what can be expected of it: `critical` comes from rules only."""
LABELS = "labels.yaml"


@dataclass(frozen=True, slots=True)
class Sample:
    """A still or a clip and the risk that people see in it; `name` is its path below the folder."""

    name: str
    path: Path
    expected: Level


class _Label(Strict):
    level: Literal["none", "low", "medium", "high"]


_LABELS = TypeAdapter(dict[str, _Label])


def samples(folder: Path) -> list[Sample]:
    """Return what is labelled in a folder, by name. Raises CaptureError, a line for each thing that is wrong.

    The sub-folder names the level, unless `labels.yaml` says another one.
    """
    if not folder.is_dir():
        raise CaptureError(f"{folder}: there is no such folder")
    known = _media(folder)
    levels = {level.name: level for level in LEVELS}
    labels = {name: levels[top] for name in known if (top := PurePosixPath(name).parts[0]) in levels}
    labels |= _labels(folder / LABELS, known)
    if not labels:
        raise CaptureError(f"{folder}: no still or clip is in a sub-folder {', '.join(levels)}, or named in {LABELS}")
    if len(labels) < len(known):
        _log.warning("%s: left out for want of a label: %d of %d", folder, len(known) - len(labels), len(known))
    return [Sample(name, known[name], labels[name]) for name in sorted(labels)]


def _media(folder: Path) -> dict[str, Path]:
    """Return the stills and clips in a folder by their path below it; hidden ones are nobody's samples."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        if not hidden and path.suffix.lower() in STILLS | CLIPS and path.is_file():
            found[name.as_posix()] = path
    return found


def _labels(file: Path, known: Mapping[str, Path]) -> dict[str, Level]:
    if not file.exists():
        return {}
    try:
        document = parse(file, file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise CaptureError(f"{file} cannot be read: {why}") from None
    except ConfigError as error:
        raise CaptureError(str(error)) from None
    try:
        labels = _LABELS.validate_python({} if document.data is None else document.data)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)
        lines = [f"{file}:{document.line(details['loc'])}: {_words(details)}" for details in wrong]
        raise CaptureError("\n".join(lines)) from None
    named = {str(PurePosixPath(name)): name for name in labels}
    missing = [original for name, original in named.items() if name not in known]
    if missing:
        lines = [f"{file}:{document.line((name,))}: {name}: there is no such still or clip" for name in missing]
        raise CaptureError("\n".join(lines))
    return {name: Level[labels[original].level] for name, original in named.items()}


def _words(details: ErrorDetails) -> str:
    place = ": ".join(map(str, details["loc"]))
    said = {
        "extra_forbidden": "is no key here; a label has only a level",
        "missing": "is required",
        "model_type": "should be {level: none, low, medium or high}",
        "dict_type": "should be paths, each with {level: none, low, medium or high}",
    }
    words = said.get(details["type"], details["msg"].replace("Input should", "should"))
    return f"{place}: {words}" if place else f"the file {words}"
