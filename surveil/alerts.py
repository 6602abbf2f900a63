"""`surveil alerts`: incidents as tables for people, and handed on with their evidence as one file."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from surveil.interfaces import StorageError
from surveil.messages import Level
from surveil.store.archive import Archive, Incident, Revision, Wanted
from surveil.store.erasure import Plan
from surveil.store.tree import EvidenceTree, File, Shelf

LINES = "alerts.jsonl"
_COLOURS = {Level.low: "cyan", Level.medium: "yellow", Level.high: "red", Level.critical: "bold red"}
_FIRST_ZIP_DAY = (1980, 1, 1, 0, 0, 0)
"""A zip file knows no earlier one."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was handed on; `lost` files went away meanwhile."""

    incidents: int
    files: int
    bytes: int
    lost: int


def table(incidents: Iterable[Incident], zone: ZoneInfo) -> Table:
    """Return incidents for people, one a row; times are of the zone."""
    shown = Table(box=None, padding=(0, 2, 0, 0))
    for heading in (f"began ({zone.key})", "id"):
        shown.add_column(heading, no_wrap=True)
    for heading in ("camera", "risk", "state", "what"):
        shown.add_column(heading, overflow="fold")
    for incident in incidents:
        shown.add_row(
            _time(incident.started, zone),
            incident.id,
            incident.camera,
            _level(incident.level),
            ", ".join(_states(incident)),
            _clean(_what(incident)),
        )
    return shown


def page(incident: Incident, revisions: list[Revision], tree: EvidenceTree, zone: ZoneInfo) -> RenderableType:
    """Return all that is known of one incident, for people. Raises StorageError."""
    facts = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for what, told in _facts(incident, zone):
        facts.add_row(Text(what, "bold"), told if isinstance(told, Text) else _clean(told))
    for told in evidence(incident, tree) or ["none"]:
        facts.add_row(Text("evidence", "bold"), Text(told, overflow="fold"))
    sent = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("rev", "seq", "message", "risk", "delivery"):
        sent.add_column(heading, overflow="fold")
    for revision in revisions:
        message = revision.message or {}
        risk = message.get("risk")
        sent.add_row(
            str(revision.rev),
            str(revision.seq),
            _clean(_tale(message)),
            _clean(risk.get("level") if isinstance(risk, dict) else "?"),
            _clean(_delivery(revision, zone)),
        )
    return Group(facts, Text(), sent)


def full(incident: Incident, revisions: list[Revision], tree: EvidenceTree) -> dict[str, Any]:
    """Return all that is known of one incident, for JSON. Raises StorageError."""
    return {
        **incident.as_dict(),
        "revisions": [revision.as_dict() for revision in revisions],
        "files": [f"{'/'.join(shelf.parts)}/{file.name}" for shelf, file in _files(incident, tree)],
    }


def evidence(incident: Incident, tree: EvidenceTree) -> list[str]:
    """Return where each file of an incident lies, and which are gone. Raises StorageError."""
    there = {f"{'/'.join(shelf.parts)}/{file.name}": file.bytes for shelf, file in _files(incident, tree)}
    gone = [name for name in (incident.snapshot, incident.clip) if name is not None and name not in there]
    return [
        *(f"{tree.root}/{name} ({size / 1000:.0f} kB)" for name, size in there.items()),
        *(f"{tree.root}/{name} is gone" for name in gone),
    ]


def summary(plan: Plan) -> str:
    """Return what is to be erased, in a few words."""
    strangers = f" and the evidence of {len(plan.strangers)} more that no database knows" if plan.strangers else ""
    what = f"{counted(len(plan.incidents), 'alert')}{strangers}"
    return f"{what}: {counted(plan.files, 'file')}, {plan.bytes / 1e6:.1f} MB"


def remains(plan: Plan) -> list[str]:
    """Return what stays of what was meant, and why."""
    told = [
        (plan.open, "open: erase it again when it has ended"),
        (plan.waiting, "waiting for the broker: --force erases it too, and nobody is told of it"),
        (plan.held, "held: --force erases it too"),
    ]
    links = [f"{link} is a link, and what lies behind it stays" for link in plan.links]
    return [*(f"{counted(count, 'alert')} {what}" for count, what in told if count), *links]


def counted(count: int, thing: str) -> str:
    """Return `1 file`, or `2 files`."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def export(archive: Archive, tree: EvidenceTree, wanted: Wanted, file: Path) -> Exported:
    """Write the incidents that are meant as lines of JSON, and all their pictures and videos, into a new zip file.

    What lies in it is named by camera, day and id; links in the storage folder are not followed. The file is there when
    it is whole. Raises StorageError.
    """
    part = file.with_name(f"{file.name}.part")
    try:
        if file.exists() or file.is_symlink():
            raise StorageError(f"{file} is there already: name a new file")
        with part.open("xb") as target:
            try:
                with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as packed:  # pictures cannot be made smaller
                    done = _packed(packed, archive, tree, wanted)
                target.flush()
                os.fsync(target.fileno())
                part.rename(file)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise StorageError(f"{file} cannot be written: {(error.strerror or str(error)).lower()}") from None
    return done


def _packed(packed: zipfile.ZipFile, archive: Archive, tree: EvidenceTree, wanted: Wanted) -> Exported:
    count = files = size = lost = 0
    with tempfile.TemporaryFile() as lines:  # a zip file takes one at a time
        for incident in archive.incidents(wanted):
            count += 1
            told = full(incident, archive.revisions(incident.id), tree)
            told["files"] = []
            for shelf, file in _files(incident, tree):
                name = f"{'/'.join(shelf.parts)}/{file.name}"
                try:
                    source = tree.open(shelf, file.name)
                except OSError:
                    lost += 1  # retention, or a link
                    continue
                with source:
                    size += _pack(packed, name, incident.started, source)
                files += 1
                told["files"].append(name)
            lines.write(f"{json.dumps(told)}\n".encode())
        lines.seek(0)
        _pack(packed, LINES, 0.0, lines)
    return Exported(count, files, size, lost)


def _pack(packed: zipfile.ZipFile, name: str, wall: float, source: IO[bytes]) -> int:
    moment = datetime.fromtimestamp(wall, ZoneInfo("UTC")).timetuple()[:6]
    info = zipfile.ZipInfo(name, max(moment, _FIRST_ZIP_DAY))
    info.external_attr = 0o644 << 16
    with packed.open(info, "w", force_zip64=True) as target:
        shutil.copyfileobj(source, target, 1024 * 1024)
    return info.file_size


def _files(incident: Incident, tree: EvidenceTree) -> Iterator[tuple[Shelf, File]]:
    shelf = tree.shelf(incident.camera, incident.id)
    if shelf is None:
        return
    try:
        files = tree.listing(shelf).get(incident.id, [])
    except OSError as error:
        raise StorageError(f"{tree.root}/{'/'.join(shelf.parts)} cannot be read: {error.strerror}") from None
    for file in sorted(files, key=lambda one: one.name):
        if file.whole:
            yield shelf, file


def _facts(incident: Incident, zone: ZoneInfo) -> Iterator[tuple[str, str | Text]]:
    message = incident.message or {}
    assessment = message.get("assessment")
    yield "id", incident.id
    yield "camera", incident.camera
    yield "began", f"{_time(incident.started, zone)} ({zone.key})"
    yield "last seen", _time(incident.updated, zone)
    yield "risk", _level(incident.level)
    yield "state", ", ".join(_states(incident))
    yield "reason", str(message.get("reason"))
    if isinstance(assessment, dict):
        said = [str(assessment[key]) for key in ("state", "summary", "error") if assessment.get(key)]
        yield "assessment", ": ".join(said)
    if incident.verdict is not None:
        by = f" by {incident.verdict_by}" if incident.verdict_by else ""
        at = f", {_time(incident.verdict_at, zone)}" if incident.verdict_at is not None else ""
        yield "feedback", f"called {incident.verdict}{by}{at}"


def _states(incident: Incident) -> Iterator[str]:
    if not incident.ended:
        yield "open"
    if incident.held:
        yield "held"
    if incident.verdict is not None:
        yield f"called {incident.verdict}"
    if incident.waiting:
        yield f"{incident.waiting} waiting"
    if incident.dead:
        yield f"{incident.dead} dead"
    if not incident.waiting and not incident.dead:
        yield "arrived"


def _what(incident: Incident) -> str:
    """Return what the VLM says, or else why a rule fired."""
    message = incident.message
    if message is None:
        return "its message is damaged"
    assessment = message.get("assessment")
    said = assessment.get("summary") if isinstance(assessment, dict) else None
    return str(said or message.get("reason"))


def _tale(message: dict[str, Any]) -> str:
    if not message:
        return "damaged"
    changed = message.get("changed")
    return f"{message.get('phase')} ({', '.join(map(str, changed))})" if changed else str(message.get("phase"))


def _delivery(revision: Revision, zone: ZoneInfo) -> str:
    at = "" if revision.settled is None or revision.state == "waiting" else f" {_time(revision.settled, zone)}"
    why = f": {revision.why}" if revision.state == "dead" and revision.why else ""
    return f"{revision.state}{at}{why}"


def _level(level: Level) -> Text:
    return Text(level.name, _COLOURS.get(level, ""))


def _time(wall: float, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(wall, zone):%Y-%m-%d %H:%M:%S}"


def _clean(text: object) -> Text:
    """Return a text without what would move a terminal's cursor, or be taken for a colour."""
    return Text("".join(letter if letter.isprintable() else " " for letter in str(text)), overflow="fold")
