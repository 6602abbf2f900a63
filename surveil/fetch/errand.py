"""What is wanted, what came of it, and who is told meanwhile."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

Tell = Callable[[int], None]
"""Is given how many bytes more are done; fewer than none when it begins again."""


@dataclass(frozen=True, slots=True)
class Order:
    """A model that is wanted: its name or path, and the SHA-256 that the config pins it to."""

    model: str
    pin: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an order. `where` is None where it is not here, `size` in bytes where that is known."""

    model: str
    state: str
    where: Path | None = None
    size: int | None = None


class Listener:
    """Who started it: hears lines, and sees bars where a person looks."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Tell]:
        """Show on stderr how many of `total` bytes are done, as long as this lasts."""
        shown = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            redirect_stdout=False,
            redirect_stderr=True,  # a line that is told meanwhile goes above the bar
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        with shown:
            task = shown.add_task(what, total=total)
            yield lambda count: shown.advance(task, count)


def readable(size: float) -> str:
    """Return a size for people."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
