"""`surveil doctor`: what this machine can do for this config, and what to do about what is missing.

It looks at the machine, the detector's weights, the decoder, the graphics card and the assessor; broker, cameras and
disk follow.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from surveil import __version__, assessors, build
from surveil.assess import gpu, memory, weights
from surveil.clock import SystemClock
from surveil.config import Config, SecretError
from surveil.config.settings import Assessor as AssessorSettings
from surveil.interfaces import AssessorError, ModelError
from surveil.redaction import redact

if TYPE_CHECKING:
    from surveil.assess.openai import OpenAiVlm


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `advice` says what to do about it, where something is."""

    what: str
    told: str
    advice: str = ""
    missing: bool = False
    """Whether what the config asks for cannot be had without it."""


def findings(config: Config) -> Iterator[Finding]:
    """Yield what is found, one thing after the other; of the models only the detector is loaded."""
    yield Finding("surveil", f"{__version__}, Python {platform.python_version()} on {platform.machine()}")
    yield _detector(config)
    yield Finding("decoding", build.decoder())
    yield _graphics()
    yield from _assessor(config.assessor)


def table(found: list[Finding]) -> Table:
    """Return the findings for people."""
    shown = Table("state", "of", "found", "what to do", box=None, padding=(0, 2, 0, 0))
    for column in shown.columns[2:]:
        column.overflow = "fold"  # a path must be there whole
    for finding in found:
        mark = Text("missing", "bold red") if finding.missing else Text("note" if finding.advice else "ok", "green")
        shown.add_row(mark, Text(finding.what, no_wrap=True), redact(finding.told), redact(finding.advice))
    return shown


def _detector(config: Config) -> Finding:
    model = config.detector.model
    if not any(Path(name).exists() for name in (model, f"{model}.pt")):
        return Finding("detector", f"{model} is not here", "surveil models fetch gets it; or name where it lies", True)
    try:
        detector = build.detector(config)
    except ModelError as error:
        return Finding("detector", str(error), "take weights that know it, or another rule", True)
    return Finding("detector", f"{detector.name}, {len(detector.labels)} labels")


def _graphics() -> Finding:
    free = gpu.free_memory_gb()
    if free is None:
        return Finding("graphics card", "no NVIDIA GPU that CUDA would use")
    return Finding("graphics card", f"{free:.1f} GB of GPU memory are free")


def _assessor(settings: AssessorSettings) -> Iterator[Finding]:
    choice = assessors.choose(settings)
    advice = "name a server: backend: openai and urls:" if choice.backend == "none" != settings.backend else ""
    yield Finding("assessor", f"{choice.backend}, because {choice.why}", advice)
    if choice.fit is not None:
        yield _sum(choice.fit)
    if choice.backend == "openai":
        yield from _servers(settings)
    elif choice.backend == "qwen" or choice.fit is not None:
        yield _weights(settings, wanted=settings.backend == "qwen")


def _sum(fit: memory.Fit) -> Finding:
    """Return how the model's memory comes together, for each way of keeping its weights."""
    whole, small = (memory.needed(fit.weights_gb, way) for way in memory.PRECISIONS)
    told = (
        f"weights {fit.weights_gb:.1f} GB; with what answering takes, half precision {whole:.1f} and nf4 {small:.1f}; "
        f"{fit.free_gb:.1f} are free, {fit.ceiling_gb:.1f} of them for the VLM"
    )
    if fit.precision is None:
        return Finding("memory", told, "free some GPU memory, or ask a server: backend: openai")
    kept = "half precision" if fit.precision == "none" else "nf4"
    return Finding("memory", f"{told}: {kept}, {fit.batch} questions at a time")


def _weights(settings: AssessorSettings, wanted: bool) -> Finding:
    folder = weights.folder(settings.model)
    if folder is None:
        advice = "fetch them once (README)"
        return Finding("VLM weights", f"{settings.model} is not on this machine", advice, missing=wanted)
    size = weights.size_gb(folder)
    told = f"{settings.model}: {f'{size:.1f} GB' if size else 'no safetensors weights'}"
    advice = weights.RESEARCH_NOTE if weights.is_research_only(settings.model) else ""
    return Finding("VLM weights", told, advice, missing=wanted and size is None)


def _servers(settings: AssessorSettings) -> Iterator[Finding]:
    try:
        vlm = assessors.servers(settings, SystemClock())
        problems = asyncio.run(_asked(vlm))
    except (AssessorError, SecretError) as error:
        yield Finding("VLM servers", str(error), "mend assessor.api_key", missing=True)
        return
    for problem in problems:
        yield Finding("VLM server", problem, "look at the server, or at assessor.urls", missing=True)
    if len(problems) < len(settings.urls):
        yield Finding("VLM servers", f"{len(settings.urls) - len(problems)} of {len(settings.urls)} answer")


async def _asked(vlm: OpenAiVlm) -> list[str]:
    await vlm.connect()
    try:
        return await vlm.problems()
    finally:
        await vlm.close()
