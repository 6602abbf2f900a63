"""The command line. Logs go to stderr, results to stdout; exit codes are those of sysexits.h."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from surveil import __version__, logs
from surveil.assess import weights
from surveil.cli_alerts import alerts
from surveil.cli_models import models
from surveil.config import Config, ConfigError, SecretError, load
from surveil.interfaces import AssessorError, CaptureError, ModelError, StorageError, SurveilError
from surveil.redaction import redact
from surveil.terminal import EX_FAULT, OutputError, bare_config, say, write

if TYPE_CHECKING:  # it brings libraries along that `surveil check` can do without
    from surveil.score import Score

EX_INTERRUPTED = 130
# typer carries its own copy of click since 0.29 and does not name this class itself.
UsageError: type[typer.BadParameter] = typer.BadParameter.__bases__[0]

app = typer.Typer(
    name="surveil",
    help="Watches cameras: YOLOv8 sees every frame, Qwen2.5-VL says what and why, alerts go out over MQTT.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ConfigOption = Annotated[Path, typer.Option("--config", "-c", metavar="FILE", help="The config file.")]


class SchemaName(StrEnum):
    """What `schema` can print."""

    config = "config"
    alert = "alert"


@app.callback(invoke_without_command=True)
def surveil(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Log more.")] = False,
) -> None:
    """Watches cameras: YOLOv8 sees every frame, Qwen2.5-VL says what and why, alerts go out over MQTT."""
    logs.set_up(logging.DEBUG if debug else logging.INFO)
    if version:
        write(f"surveil {__version__}")
        raise typer.Exit


@app.command()
def run(config: ConfigOption = Path("config.yaml")) -> None:
    """Run the daemon until SIGTERM or Ctrl-C."""
    settings = load(config)
    from surveil.service import Service

    code = Service(settings).run()
    if code:
        raise typer.Exit(code)


@app.command()
def check(config: ConfigOption = Path("config.yaml")) -> None:
    """Tell every problem in the config file, each with its line; loads no model, opens no connection."""
    try:
        settings = load(config)
    except ConfigError as error:
        write(redact(str(error)))
        raise typer.Exit(os.EX_CONFIG) from None
    cameras = len(settings.cameras)
    model = settings.detector.model
    if not any(map(os.path.exists, (model, f"{model}.pt"))):
        say(f"note: the detector model {model} is not here yet; surveil models fetch gets it")
    if settings.assessor.backend != "none" and weights.is_research_only(settings.assessor.model):
        say(f"note: assessor.model {settings.assessor.model}: {weights.RESEARCH_NOTE}")
    write(f"{config}: valid, {cameras} camera{'s' if cameras != 1 else ''}, node {settings.node}")


@app.command()
def replay(  # noqa: PLR0913, PLR0917 - what typer makes options of
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="A recorded file.")],
    config: ConfigOption = Path("config.yaml"),
    camera: Annotated[str | None, typer.Option(help="Whose rules count; the config's first, if not said.")] = None,
    start: Annotated[
        str, typer.Option(metavar="TIME", help="When the video begins, ISO 8601, UTC unless it says.")
    ] = "2000-01-01T12:00:00Z",
    assess: Annotated[bool, typer.Option(help="Ask the VLM too; without, the output never varies.")] = True,
    explain: Annotated[bool, typer.Option("--explain", help="Say at the end why rules fired, or did not.")] = False,
    render: Annotated[
        Path | None, typer.Option(metavar="FILE.mp4", help="Write the video with all that is seen.")
    ] = None,
) -> None:
    """Print the alerts that a recorded file gives, one JSON message a line, as fast as it can be read."""
    settings = load(config)
    name = _camera_of(settings, camera)
    try:
        wall = _time(start)
    except ValueError:
        raise typer.BadParameter(f"{start} is no time such as 2000-01-01T12:00:00Z", param_hint="--start") from None
    from surveil.explain import Explainer
    from surveil.progress import FrameProgress
    from surveil.replay import Replay
    from surveil.trigger.policy import Watcher

    chosen = settings.cameras[name]
    with contextlib.ExitStack() as stack:
        progress = stack.enter_context(FrameProgress(video))
        explainer = Explainer(chosen.rules, settings.local_zone(name))
        watchers: list[Watcher] = [explainer.see] if explain else []
        if render is not None:
            from surveil.render import Renderer

            watchers.append(stack.enter_context(Renderer(render, chosen)).see)
        for message in Replay(settings, str(video), name, wall, assess, watchers).messages(progress.advance):
            write(message.line())
    if explain:
        for line in explainer.lines():
            say(line)


@app.command()
def bench(
    config: Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help="Whose detector.")] = None,
    video: Annotated[Path | None, typer.Option(metavar="FILE", help="A recording; a test card, if not said.")] = None,
    seconds: Annotated[float, typer.Option(min=3, max=3600, help="How long to measure.")] = 20.0,
) -> None:
    """Measure decoding, detecting and the whole pipeline on this machine; one JSON object on stdout."""
    settings = load(config) if config else bare_config()
    from surveil.bench import bench as measure
    from surveil.bench import table

    with tempfile.TemporaryDirectory(prefix="surveil-bench-") as folder:
        if video is None:
            from surveil.capture import test_card

            video = Path(folder, "test-card.mp4")
            test_card.write(video)
        result = measure(settings, video, seconds)
    table(result)
    write(json.dumps(result.as_dict()))


@app.command()
def analyze(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Pictures.")],
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", metavar="FILE", help="Whose models; its first camera's rule counts."),
    ] = None,
    profile: Annotated[str, typer.Option(metavar="NAME", help="What is looked for.")] = "security",
    annotate: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write a copy of each picture with what was seen drawn on it.")
    ] = None,
) -> None:
    """Print what is in each picture and how bad it is, one JSON object a line."""
    if profile != "security":
        raise typer.BadParameter(
            f"the profile {profile} is not in this version yet; there is security", param_hint="--profile"
        )
    settings = load(config) if config else bare_config()
    from surveil.analyze import analyses
    from surveil.drawing import Annotator
    from surveil.progress import Bar

    annotator = Annotator(annotate, images) if annotate else None
    unreadable = 0
    with Bar("analyzing", len(images)) as bar:
        for outcome in analyses(settings, images):
            with bar.aside():
                if isinstance(outcome, CaptureError):
                    say(str(outcome))
                    unreadable += 1
                    continue
                write(json.dumps(outcome.as_dict()))
            if annotator is not None:
                outcome.annotate(annotator)
    if unreadable:
        raise typer.Exit(os.EX_NOINPUT)


@app.command("eval")
def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Sub-folders none, low, medium and high.")],
    configs: Annotated[
        list[Path] | None, typer.Option("--config", "-c", metavar="FILE", help="A model to judge (several allowed).")
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Write the report there too.")] = None,
    plots: Annotated[Path | None, typer.Option(metavar="DIR", help="Draw a figure for each model there.")] = None,
) -> None:
    """Judge VLMs by stills and clips whose risk is known, by sub-folder or labels.yaml; one JSON object on stdout."""
    loaded = {str(file): load(file) for file in configs or ()} or {"default": bare_config()}
    from surveil import evaluation, samples
    from surveil.progress import Bar

    labelled = samples.samples(folder)
    backends = [evaluation.Backend(name, settings) for name, settings in loaded.items()]
    evaluation.judgeable(backends)
    if report is not None:
        evaluation.reserve(report)
    drawn = _plots(plots)
    scores: list[Score] = []
    try:
        with Bar("judging", len(backends) * len(labelled)) as bar:
            for backend in backends:
                scores.append(evaluation.judged(backend, labelled, bar.advance))
                drawn(scores[-1])
    finally:  # what was judged before another model failed is told all the same
        if scores:
            whole = evaluation.report(folder, labelled, scores)
            if report is not None:
                evaluation.write(report, whole)
            write(json.dumps(whole))
            evaluation.show(scores)
    unreadable = list(dict.fromkeys(line for score in scores for line in score.unreadable))
    for line in unreadable:
        say(line)
    if unreadable:
        raise typer.Exit(os.EX_NOINPUT)
    if not any(score.answered for score in scores):
        say("no sample got an answer: the figures say nothing of the model")
        raise typer.Exit(EX_FAULT)


@app.command()
def demo(
    seconds: Annotated[
        float | None, typer.Option(min=5, max=86_400, help="How long; until Ctrl-C, if not said.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each alert message that comes back from the broker, one a line.")
    ] = False,
) -> None:
    """Show the whole job on a yard of our own: camera, YOLOv8, triggers, Qwen2.5-VL, MQTT."""
    from surveil.demo.demonstration import FOLDER, Demonstration

    # A `kill` ends it as Ctrl-C does, with everything that it started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if not Demonstration(seconds, FOLDER, write if as_json else None).run():
        raise typer.Exit(EX_FAULT)


@app.command()
def doctor(
    config: Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help="What must be there.")] = None,
) -> None:
    """Show what this machine can do, and what to do about what is missing."""
    settings = load(config) if config else bare_config()
    from rich.console import Console

    from surveil.doctor import findings, table

    found = list(findings(settings))
    Console().print(table(found))
    if any(finding.missing for finding in found):
        raise typer.Exit(EX_FAULT)


app.add_typer(models, name="models")
app.add_typer(alerts, name="alerts")


@app.command()
def schema(name: Annotated[SchemaName, typer.Argument(help="Which one.")]) -> None:
    """Print the JSON Schema of the config file or of the alert message."""
    if name is SchemaName.config:
        described = Config.model_json_schema(by_alias=True)
    else:
        from surveil.deliver.wire import alert_schema

        described = alert_schema()
    described["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    write(json.dumps(described, indent=2))


def main() -> NoReturn:
    """Run the command line and exit with its code; a user's mistake ends in one line, never in a traceback."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code = app(standalone_mode=False)
    except UsageError as error:
        say(error.format_message())
        code = os.EX_USAGE
    except (typer.Abort, KeyboardInterrupt):
        code = EX_INTERRUPTED
    except SurveilError as error:
        say(str(error))
        code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), EX_FAULT)
    sys.exit(code or 0)


# The first that fits. An assessor's fault reaches the command line only when its model cannot be loaded.
_CODES: dict[type[SurveilError], int] = {
    ConfigError: os.EX_CONFIG,
    SecretError: os.EX_CONFIG,
    ModelError: os.EX_CONFIG,
    AssessorError: os.EX_CONFIG,
    CaptureError: os.EX_NOINPUT,
    StorageError: os.EX_CANTCREAT,
    OutputError: os.EX_CANTCREAT,
}


def _plots(folder: Path | None) -> Callable[[Score], None]:
    """Return what draws a score, if there is a folder for it. Raises StorageError."""
    if folder is None:
        return lambda _score: None
    from surveil.evaluation_plots import Plots

    return Plots(folder).draw


def _camera_of(settings: Config, camera: str | None) -> str:
    if camera is None:
        return next(iter(settings.cameras))
    if camera not in settings.cameras:
        raise typer.BadParameter(f"there is no camera {camera}; there are {', '.join(settings.cameras)}")
    return camera


def _time(text: str) -> float:
    moment = datetime.fromisoformat(text)
    if not 1970 <= moment.year < 9000:  # ids count milliseconds from 1970
        raise ValueError(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
