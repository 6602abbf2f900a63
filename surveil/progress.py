"""A progress bar on stderr, where a person looks; nothing where nobody does."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from surveil.messages import Frame


class _Frames(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Return the number of frames so far, and how many a second once that is known."""
        speed = f", {task.speed:.0f} a second" if task.speed else ""
        return Text(f"{task.completed:.0f} frames{speed}")


class FrameProgress:
    """Shows how far a video has been read and how fast; its length is only known at the end."""

    def __init__(self, video: Path) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            _Frames(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            # The results on stdout are whoever's who reads them: none of the bar's business.
            redirect_stdout=False,
            redirect_stderr=False,
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task(video.name, total=None)

    def advance(self, _frame: Frame) -> None:
        """Count one frame; the bar appears with the first, so that a fault before it stands alone."""
        self._bar.start()
        self._bar.advance(self._task)

    def __enter__(self) -> FrameProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


class Bar:
    """Shows on stderr how many of several are done, where a person looks; it appears with the first that is."""

    def __init__(self, what: str, total: int) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            redirect_stdout=False,
            redirect_stderr=False,
            transient=True,
            disable=total < 2 or not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task(what, total=total)

    def advance(self) -> None:
        """Count one."""
        self._bar.start()
        self._bar.advance(self._task)

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Take the bar away while something is printed, maybe on the same terminal; then count one."""
        self._bar.stop()
        yield
        self.advance()

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
