"""A YAML file as plain data, with the line of every value kept, and without YAML's traps.

Only what looks plainly like a number, `true`, `false` or `null` is one; `no`, `22:30` and `0123` stay text. Duplicate
keys, tags, several documents and anything that unfolds without bound are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from surveil.interfaces import SurveilError

Key = str | int
MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_VALUES = 50_000

_INT = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,20})?([eE][-+]?[0-9]{1,2})?")
_PLAIN = {  # libyaml's words, and ours
    "found character that cannot start any token": "a tab cannot indent; text that begins with @ needs quotes",
    "mapping values are not allowed in this context": "a colon too many, or an indentation that fits no line above",
    "did not find expected key": "an indentation that does not fit the lines above",
    "could not find expected ':'": "a key without its colon",
}
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: the line (from 1), the path of keys, and what it is."""

    line: int
    path: str
    text: str


class ConfigError(SurveilError):
    """A config file that cannot be used, with every problem that was found in it."""

    def __init__(self, file: Path, problems: list[Problem]) -> None:
        super().__init__("\n".join(f"{file}:{p.line}: {p.path}: {p.text}" for p in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data and the line (from 1) of every key and item by its path."""

    data: Any
    lines: dict[tuple[Key, ...], int]

    def line(self, path: tuple[Key, ...]) -> int:
        """Return the line of `path`, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


class _Refused(Exception):
    """What is wrong with the text, and where."""

    def __init__(self, mark: Any, text: str) -> None:
        super().__init__(text)
        self.problem = Problem(mark.line + 1 if mark else 1, "yaml", text)


def parse(file: Path, text: str) -> Document:
    """Return the document in `text`; raises ConfigError that names `file`."""
    try:
        if len(text.encode()) > MAX_BYTES:
            raise _Refused(None, f"is larger than {MAX_BYTES >> 20} MiB")
        return _Builder(yaml.parse(text, Loader=_LOADER)).build()
    except _Refused as refused:
        raise ConfigError(file, [refused.problem]) from None
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark or error.context_mark
        words = _PLAIN.get(error.problem or "", error.problem or "is not YAML")
        problem = Problem(mark.line + 1 if mark else 1, "yaml", words)
        raise ConfigError(file, [problem]) from None
    except yaml.YAMLError as error:
        raise ConfigError(file, [Problem(1, "yaml", str(error).splitlines()[0])]) from None


def _scalar(event: yaml.ScalarEvent) -> Any:
    text = event.value
    if not event.implicit[0]:  # quoted or a block: text as it stands
        return text
    if text in {"", "~", "null"}:
        return None
    if text in {"true", "false"}:
        return text == "true"
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


class _Builder:
    """Builds plain data from parser events; sizes are counted as if every alias were written out."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._lines: dict[tuple[Key, ...], int] = {}
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._values = 0

    def build(self) -> Document:
        data: Any = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Refused(event.start_mark, "a second document in one file")
                data = self._value(next(self._events), ())
        return Document(data, self._lines)

    def _value(self, event: Any, path: tuple[Key, ...]) -> Any:
        self._lines.setdefault(path, event.start_mark.line + 1)
        if len(path) > MAX_DEPTH:
            raise _Refused(event.start_mark, f"is nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise _Refused(
                    event.start_mark,
                    "an alias of an anchor that is not known here; text that begins with * needs quotes",
                )
            value, size = self._anchors[event.anchor]
            self._grow(size, event)
            return value
        if event.tag not in {None, "!"}:
            raise _Refused(event.start_mark, "a tag is not allowed; text that begins with ! needs quotes")
        before = self._values
        self._grow(1, event)
        value = self._collect(event, path)
        if event.anchor:
            self._anchors[event.anchor] = (value, self._values - before)
        return value

    def _collect(self, event: Any, path: tuple[Key, ...]) -> Any:
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(item := next(self._events), yaml.SequenceEndEvent):
                items.append(self._value(item, (*path, len(items))))
            return items
        return _scalar(event)

    def _mapping(self, path: tuple[Key, ...]) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise _Refused(event.start_mark, "a key must be plain text")
            key = event.value
            if key in mapping:
                raise _Refused(event.start_mark, f"the key {key} stands here twice")
            mark: Any = event.start_mark
            self._lines[(*path, key)] = mark.line + 1
            mapping[key] = self._value(next(self._events), (*path, key))
        return mapping

    def _grow(self, by: int, event: Any) -> None:
        self._values += by
        if self._values > MAX_VALUES:
            raise _Refused(event.start_mark, f"holds more than {MAX_VALUES} values")
