"""`surveil models fetch`: which models are wanted, one after the other, and what came of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
from rich.table import Table
from rich.text import Text

from surveil.assess import gpu
from surveil.config import Config
from surveil.fetch import hub, release, remote
from surveil.fetch.download import Digest
from surveil.fetch.errand import Listener, Order, Outcome, readable
from surveil.fetch.remote import FetchError

_HUB_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*/[A-Za-z0-9_][A-Za-z0-9_.-]*")
_FILES = (".pt", ".onnx", ".engine", "_openvino_model")


def orders(config: Config, models: Sequence[str], listener: Listener) -> list[Order]:
    """Return what is wanted: these models, or without any those of the config."""
    detector, assessor = config.detector, config.assessor
    pinned = Order(detector.model, detector.sha256.lower() if detector.sha256 else None)
    if models:
        file = release.weights(detector.model) or Path(detector.model)
        return [
            Order(model, pinned.pin if (release.weights(model) or Path(model)) == file else None)
            for model in dict.fromkeys(models)
        ]
    if assessor.backend in {"none", "openai"}:
        listener.say(f"assessor: nothing to fetch for backend: {assessor.backend}")
        return [pinned]
    if assessor.backend == "auto" and gpu.free_memory_gb() is None:
        listener.say(f"note: no NVIDIA GPU is here; without one assessor.backend: auto leaves {assessor.model} unused")
    return [pinned, Order(assessor.model)]


def outcomes(
    wanted: Sequence[Order], listener: Listener, api: str | None = None, silence: float = remote.SILENCE_SECONDS
) -> Iterator[Outcome]:
    """Yield what came of each; what goes wrong with one is told, and the next has its turn.

    `api` is the base URL of GitHub's API, `silence` the seconds after which a server that sends nothing is given up.
    """
    for order in wanted:
        try:
            with remote.client(silence) as client:
                outcome = _outcome(order, api or release.api(), client, listener)
        except FetchError as error:
            listener.say(f"{order.model}: {error}")
            outcome = Outcome(order.model, "failed")
        except KeyboardInterrupt:
            listener.say(f"{order.model}: stopped; what came stays, and the same command goes on from there")
            raise
        yield outcome


def _outcome(order: Order, api: str, client: httpx.Client, listener: Listener) -> Outcome:
    path = Path(order.model)
    weights = release.weights(order.model)
    if weights is not None and not os.path.isdir(path):  # noqa: PTH112 - Path raises over a folder that is closed
        return release.fetch(order, weights, api, client, listener)
    if os.path.exists(path):  # noqa: PTH110
        listener.say(f"{path}: nothing to fetch, it is a path of yours")
        return release.checked(order, path, Digest("sha256", order.pin or ""), listener)
    if _HUB_NAME.fullmatch(order.model) and not order.model.endswith(_FILES):
        return hub.fetch(order.model, client, listener)
    raise FetchError("is not here, nor a name that could be fetched, as yolov8n.pt or owner/name are")


def table(outcomes: Sequence[Outcome]) -> Table:
    """Return what is here, for people."""
    shown = Table("model", "size", "state", "where", box=None, padding=(0, 2, 0, 0))
    shown.columns[1].justify = "right"
    shown.columns[3].overflow = "fold"  # a path must be there whole
    for outcome in outcomes:
        shown.add_row(
            Text(outcome.model),
            readable(outcome.size) if outcome.size else "",
            Text(outcome.state, "bold red" if outcome.where is None else "green"),
            Text(str(outcome.where or "")),
        )
    return shown
