"""Which assessor the config asks for and this machine can carry, and why: told at start and by `doctor`."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from surveil import registry
from surveil.clock import Clock
from surveil.config import Config
from surveil.config.settings import Assessor as AssessorSettings
from surveil.interfaces import Assessor

if TYPE_CHECKING:  # they bring libraries along that `surveil check` can do without
    from surveil.assess.memory import Fit, Precision
    from surveil.assess.openai import OpenAiVlm
    from surveil.assess.vlm import Vlm

_log = logging.getLogger(__name__)
_CPU_BATCH = 8


@dataclass(frozen=True, slots=True)
class Choice:
    """What answers, why, and how it fits the graphics card, where there is one."""

    backend: Literal["qwen", "openai", "none"]
    why: str
    fit: Fit | None = None


def choose(settings: AssessorSettings) -> Choice:
    """Return what the config asks for, or for `auto` what this machine can carry."""
    if settings.backend == "openai":
        return Choice("openai", f"the config names {len(settings.urls)} server{'s' if len(settings.urls) > 1 else ''}")
    if settings.backend == "none":
        return Choice("none", "the config says so")
    fit = _fit(settings)
    if settings.backend == "qwen":
        return Choice("qwen", fit.line() if fit else "the config says so; there is no NVIDIA GPU, so it is slow", fit)
    return _automatic(settings, fit)


def _automatic(settings: AssessorSettings, fit: Fit | None) -> Choice:
    if fit is None:
        return Choice("none", "there is no NVIDIA GPU")
    if fit.precision is None:
        return Choice("none", fit.line(), fit)
    from surveil.assess import weights

    if weights.folder(settings.model) is None:
        return Choice("none", f"the weights of {settings.model} are not on this machine", fit)
    return Choice("qwen", fit.line(), fit)


def assessor(config: Config, clock: Clock) -> Assessor | None:
    """Return the assessor that the config asks for and this machine can carry; None where there is none."""
    settings = config.assessor
    choice = choose(settings)
    _log.info("assessor: %s, because %s", choice.backend, choice.why)
    if choice.backend != "openai" and settings.urls:
        _log.warning("assessor.urls are not asked: that takes backend: openai")
    if choice.backend == "none":
        return None
    from surveil.assess import weights
    from surveil.assess.assessor import Manner, VlmAssessor

    if choice.backend == "qwen" and weights.is_research_only(settings.model):
        _log.warning("%s: %s", settings.model, weights.RESEARCH_NOTE)
    wording = Path(settings.prompt).read_text(encoding="utf-8") if settings.prompt else None
    manner = Manner(settings.language, wording, settings.views)
    vlm: Vlm = servers(settings, clock) if choice.backend == "openai" else _resident(settings, choice.fit, clock)
    return VlmAssessor(vlm, manner, clock)


def servers(settings: AssessorSettings, clock: Clock) -> OpenAiVlm:
    """Return the servers that the config names, not yet connected to. Raises SecretError."""
    from surveil.assess.openai import Access

    key = settings.api_key.reveal() if settings.api_key else None
    vlm: OpenAiVlm = registry.resolve(registry.VLMS["openai"])(
        Access(settings.urls, settings.model, key, settings.allow_remote), clock
    )
    return vlm


def _resident(settings: AssessorSettings, fit: Fit | None, clock: Clock) -> Vlm:
    from surveil.assess.qwen import PATIENCE_ON_CPU_SECONDS, PATIENCE_SECONDS, Residence

    precision: Precision = "nf4" if settings.quantize == "nf4" else "none"
    if fit is not None:
        # Where nothing fits, the smallest is tried all the same: the memory may be free by then.
        precision = fit.precision or fit.smallest
    residence = Residence(
        settings.model,
        precision,
        ceiling_gb=fit.ceiling_gb if fit else None,
        batch=fit.batch if fit else _CPU_BATCH,
    )
    patience = PATIENCE_SECONDS if fit else PATIENCE_ON_CPU_SECONDS
    vlm: Vlm = registry.resolve(registry.VLMS["qwen"])(residence, clock, patience)
    return vlm


def _fit(settings: AssessorSettings) -> Fit | None:
    """Return how the model fits the graphics card; None where there is none."""
    from surveil.assess import gpu, memory, weights

    free = gpu.free_memory_gb()
    if free is None:
        return None
    folder = weights.folder(settings.model)
    size = (weights.size_gb(folder) if folder else None) or memory.WEIGHTS_7B_GB
    ceiling = None if settings.memory_gb == "auto" else settings.memory_gb
    return memory.fit(free, size, settings.quantize, ceiling)
