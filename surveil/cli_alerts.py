"""`surveil alerts`: what the store holds, shown, handed on, sent again, held and erased."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from zoneinfo import ZoneInfo

import typer

from surveil.config import load
from surveil.config.settings import host_zone
from surveil.interfaces import StorageError
from surveil.messages import Level
from surveil.store.archive import Archive, Feedback, NoSuchAlert, State, Wanted
from surveil.store.database import Database
from surveil.store.tree import EvidenceTree
from surveil.terminal import EX_FAULT, say, write

if TYPE_CHECKING:
    from rich.console import RenderableType

ROWS = 50
"""So many does a table show if nothing else is said."""
_AGO = re.compile(r"(\d{1,6})([smhdw])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)

alerts = typer.Typer(
    help="Shows the alerts that are kept; hands them on, sends them again, holds and erases them.", no_args_is_help=True
)


Risk = Literal["low", "medium", "high", "critical"]
ConfigOption = Annotated[Path, typer.Option("--config", "-c", metavar="FILE", help="Whose storage.path.")]
CameraOption = Annotated[list[str] | None, typer.Option("--camera", metavar="NAME", help="Of it (several allowed).")]
FromOption = Annotated[
    str | None, typer.Option("--from", metavar="TIME", help="There at or after it: ISO 8601, or 2h or 3d ago.")
]
ToOption = Annotated[str | None, typer.Option("--to", metavar="TIME", help="There at or before it.")]
RiskOption = Annotated[Risk | None, typer.Option(help="That reached this level.")]
FeedbackOption = Annotated[Feedback | None, typer.Option(help="That people called so; none: nobody said anything.")]
StateOption = Annotated[State | None, typer.Option(help="With a message that stands so at the broker.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Alerts.")]
SomeIds = Annotated[list[str] | None, typer.Argument(metavar="[ID...]", help="Alerts.")]


@dataclass(frozen=True, slots=True)
class _Store:
    database: Database
    archive: Archive
    tree: EvidenceTree
    zone: ZoneInfo


@alerts.command("list")
def alerts_list(  # noqa: PLR0913, PLR0917 - what typer makes options of
    camera: CameraOption = None,
    since: FromOption = None,
    until: ToOption = None,
    risk: RiskOption = None,
    feedback: FeedbackOption = None,
    state: StateOption = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help=f"The newest N; {ROWS} if not said, all with --json.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = Path("config.yaml"),
) -> None:
    """Show the alerts, the newest first."""
    with _opened(config) as store, _reading():
        wanted = _wanted(store.zone, camera, since, until, risk, feedback, state)
        if as_json:
            for incident in islice(store.archive.incidents(wanted), limit):
                write(json.dumps(incident.as_dict()))
            return
        from surveil.alerts import table

        total = store.archive.count(wanted)
        if total:
            _show(table(islice(store.archive.incidents(wanted), limit or ROWS), store.zone))
        if not total:
            say("no alert is kept that fits")
        elif total > (limit or ROWS):
            say(f"the newest {limit or ROWS} of {total}; --limit shows more")


@alerts.command("show")
def alerts_show(
    ident: Annotated[str, typer.Argument(metavar="ID", help="The alert.")],
    as_json: JsonOption = False,
    config: ConfigOption = Path("config.yaml"),
) -> None:
    """Show one alert: its messages and what became of them, feedback, pictures and video."""
    from surveil.alerts import full, page

    with _opened(config) as store, _reading():
        incident, revisions = store.archive.incident(ident), store.archive.revisions(ident)
        if as_json:
            write(json.dumps(full(incident, revisions, store.tree)))
        else:
            _show(page(incident, revisions, store.tree, store.zone))


@alerts.command("export")
def alerts_export(  # noqa: PLR0913, PLR0917 - what typer makes options of
    file: Annotated[Path, typer.Argument(metavar="FILE.zip", help="A new file.")],
    camera: CameraOption = None,
    since: FromOption = None,
    until: ToOption = None,
    risk: RiskOption = None,
    feedback: FeedbackOption = None,
    state: StateOption = None,
    config: ConfigOption = Path("config.yaml"),
) -> None:
    """Write alerts as lines of JSON, with their pictures and videos, into one zip file."""
    if file.suffix.lower() != ".zip":
        raise typer.BadParameter(f"{file} does not end in .zip, which is what is written", param_hint="FILE.zip")
    from surveil.alerts import counted, export

    with _opened(config) as store:
        wanted = _wanted(store.zone, camera, since, until, risk, feedback, state)
        if not store.archive.count(wanted):
            say("no alert is kept that fits, and nothing is written")
            return
        done = export(store.archive, store.tree, wanted, file)
    if done.lost:
        say(f"{counted(done.lost, 'file')} could not be read, or went away meanwhile, and cannot be in it")
    write(f"{file}: {counted(done.incidents, 'alert')}, {counted(done.files, 'file')}, {done.bytes / 1e6:.1f} MB")


@alerts.command("resend")
def alerts_resend(
    ids: SomeIds = None,
    dead: Annotated[bool, typer.Option("--dead", help="Every dead letter.")] = False,
    config: ConfigOption = Path("config.yaml"),
) -> None:
    """Let dead letters go out again: a daemon that runs sends them at once, or else the next one does."""
    if dead == bool(ids):
        raise typer.BadParameter("name alerts, or say --dead for all dead letters", param_hint="ID")
    from surveil.alerts import counted

    with _opened(config) as store:
        for ident in ids or ():
            store.archive.incident(ident)  # all are known before anything is done
        count = sum(store.archive.resend(ident) for ident in ids or (None,))
    write(f"to go out again: {counted(count, 'message')}" if count else "there is no dead letter to send again")


@alerts.command("hold")
def alerts_hold(
    ids: Ids,
    release: Annotated[bool, typer.Option("--release", help="Hold them no longer.")] = False,
    config: ConfigOption = Path("config.yaml"),
) -> None:
    """Keep alerts and their evidence past every limit of age and size."""
    from surveil.alerts import evidence

    with _opened(config) as store:
        found = [store.archive.incident(ident) for ident in ids]  # all are known before anything is done
        for incident in found:
            store.archive.hold(incident.id, not release)
            if not release and not any("is gone" not in told for told in evidence(incident, store.tree)):
                say(f"{incident.id}: it has no evidence, or no longer")
            write(f"{incident.id}: {'held no longer' if release else 'held'}")


@alerts.command("delete")
def alerts_delete(  # noqa: PLR0913, PLR0917 - what typer makes options of
    ids: SomeIds = None,
    camera: CameraOption = None,
    since: FromOption = None,
    until: ToOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also what is held, and what the broker has not got yet.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: ConfigOption = Path("config.yaml"),
) -> None:
    """Erase alerts and their evidence for good."""
    if not (ids or camera or since or until):
        raise typer.BadParameter("say what is to be erased: alerts by ID, --camera, --from, --to", param_hint="ID")
    from surveil.alerts import remains, summary
    from surveil.clock import SystemClock
    from surveil.store.erasure import Eraser

    with _opened(config) as store:
        for ident in ids or ():
            store.archive.incident(ident)
        eraser = Eraser(store.database, store.tree, SystemClock())
        plan = eraser.plan(_wanted(store.zone, camera, since, until, ids=ids), force)
        for line in remains(plan):
            say(line)
        if not plan.is_empty and not yes and not _agreed(summary(plan)):
            say("nothing is erased")
            raise typer.Exit(EX_FAULT)
        eraser.erase(plan)
        write(f"erased {summary(plan)}")
    if not plan.is_whole:
        raise typer.Exit(EX_FAULT)


def _agreed(what: str) -> bool:
    """Return whether a person wants it."""
    if not sys.stdin.isatty():
        raise typer.BadParameter("nobody can be asked here: say --yes", param_hint="--yes")
    return typer.confirm(f"erase {what}, for good?", err=True)


@contextlib.contextmanager
def _opened(config: Path) -> Iterator[_Store]:
    """Open what a config names; what is not there, or unknown, ends it with a line and the code of a bad input."""
    settings = load(config)
    folder = Path(settings.storage.path)
    database = Database(folder)
    with _reading():
        database.attach()
    try:
        zone = ZoneInfo(settings.timezone or host_zone())
        yield _Store(database, Archive(database), EvidenceTree(folder), zone)
    except NoSuchAlert as error:
        say(str(error))
        raise typer.Exit(os.EX_NOINPUT) from None
    finally:
        database.close()


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        say(str(error))
        raise typer.Exit(os.EX_NOINPUT) from None


def _wanted(  # noqa: PLR0913, PLR0917 - the filters there are
    zone: ZoneInfo,
    camera: list[str] | None,
    since: str | None,
    until: str | None,
    risk: Risk | None = None,
    feedback: Feedback | None = None,
    state: State | None = None,
    ids: list[str] | None = None,
) -> Wanted:
    first = None if since is None else _moment(since, zone, "--from")
    last = None if until is None else _moment(until, zone, "--to")
    if first is not None and last is not None and first > last:
        raise typer.BadParameter(f"{since} is after {until}", param_hint="--from")
    return Wanted(
        cameras=tuple(camera or ()),
        since=first,
        until=last,
        level=None if risk is None else Level[risk],
        feedback=feedback,
        state=state,
        incidents=tuple(ids or ()),
    )


def _moment(text: str, zone: ZoneInfo, option: str) -> float:
    """Return UNIX seconds of `2h` ago or an ISO 8601 time, in the node's zone if it names none; a day is whole."""
    ago = _AGO.fullmatch(text)
    if ago:
        return time.time() - int(ago[1]) * _SECONDS[ago[2]]
    try:
        moment = datetime.fromisoformat(text)
        if _DAY.fullmatch(text) and option == "--to":
            moment += timedelta(days=1)
        if not 1970 <= moment.year < 9000:
            raise ValueError(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text} is no time such as 2026-11-22T21:04, 2026-11-22 or 3d", param_hint=option
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()


def _show(what: RenderableType) -> None:
    """Print something for people; where a program reads it, no line is broken."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 400)
    with console.capture() as captured:
        console.print(what)
    write("\n".join(line.rstrip() for line in captured.get().splitlines()))
