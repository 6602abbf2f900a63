"""`surveil models`: what is fetched, and what is made of it for this machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from surveil.config import load
from surveil.detect.engines import Format, Precision
from surveil.interfaces import ModelError
from surveil.terminal import EX_FAULT, bare_config, say, write

models = typer.Typer(
    help="Fetches the models; shows the detector engines of this machine, and makes new ones.", no_args_is_help=True
)


@models.command("list")
def models_list() -> None:
    """Show the engines that were exported on this machine."""
    from rich.console import Console

    from surveil.detect.engines import EngineCache
    from surveil.models import table

    cache = EngineCache()
    engines = cache.all()
    if not engines:
        say(f"there are no engines in {cache.root}; surveil models export makes one")
        return
    Console().print(table(engines))


@models.command("fetch")
def models_fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL...]", help="yolov8n.pt or its like, or owner/name on the hub; the config's if not said."
        ),
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help="Whose models.")] = None,
) -> None:
    """Download the models once, checked by hash and resumed where that was cut off; print where each lies."""
    settings = load(config) if config else bare_config()
    from rich.console import Console

    from surveil.fetch import errand, fetching

    listener = errand.Listener(say)
    told = []
    for outcome in fetching.outcomes(fetching.orders(settings, names or (), listener), listener):
        told.append(outcome)
        if outcome.where is not None:
            write(str(outcome.where))
    Console(stderr=True).print(fetching.table(told))
    if any(outcome.where is None for outcome in told):
        raise typer.Exit(EX_FAULT)


@models.command("export")
def models_export(
    model: Annotated[
        Path | None, typer.Argument(metavar="[MODEL.pt]", help="The weights; the config's if not said.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help="Whose detector.")] = None,
    calibrate: Annotated[
        list[Path] | None,
        typer.Option(metavar="VIDEO", help="A recording of your cameras (several allowed): INT8, in their shape."),
    ] = None,
    size: Annotated[str | None, typer.Option(metavar="WxH", help="Input, as 640x384; the recordings' shape.")] = None,
    format: Annotated[Format | None, typer.Option(help="What runs it; the fastest here if not said.")] = None,  # noqa: A002
    precision: Annotated[Precision | None, typer.Option(help="INT8 needs --calibrate.")] = None,
) -> None:
    """Make the detector engine for this machine, and print where it lies; run, replay and bench then take it."""
    settings = load(config) if config else bare_config()
    detector = settings.detector
    wide = _size(size)
    from surveil.models import Wish, make

    weights = model or next((p for p in (Path(detector.model), Path(f"{detector.model}.pt")) if p.exists()), None)
    if weights is None or not weights.exists():
        raise ModelError(f"the weights {weights or detector.model} are not here; surveil models fetch gets them")
    wish = Wish(
        weights=weights,
        imgsz=max(wide) if wide else detector.imgsz,
        device=detector.device,
        cameras=len(settings.cameras) if config else None,
        recordings=calibrate or (),
        format=format,
        precision=precision,
        size=wide,
    )
    try:
        engine = make(wish)
    except ModelError as error:
        say(str(error))
        raise typer.Exit(EX_FAULT) from None
    write(str(engine.model))


def _size(text: str | None) -> tuple[int, int] | None:
    """Return height and width of `640x384`; raises what typer tells as wrong usage."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{2,4})x(\d{2,4})", text)
    sides = tuple(map(int, match.groups())) if match else (0, 0)
    if not all(32 <= side <= 4096 and side % 32 == 0 for side in sides):
        raise typer.BadParameter(f"{text} is no size such as 640x384, in multiples of 32", param_hint="--size")
    return sides[1], sides[0]
