"""What a person sees of the demo: a line a message, the risk in colour, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from surveil.demo.subscriber import Received

_COLOURS = {"none": "dim", "low": "green", "medium": "yellow", "high": "bold red", "critical": "bold white on red"}
_SHOWN = 18
_HONEST = (
    "These two small models were trained on this one yard and know nothing else. For real cameras surveil takes YOLOv8 "
    "and Qwen2.5-VL-7B."
)


class Screen:
    """A live table on stderr of what the broker passes on; `show` is called from any thread."""

    def __init__(self, received: Received, folder: Path) -> None:
        self._received = received
        self._folder = folder
        self._console = Console(stderr=True)
        self._live = Live(console=self._console, get_renderable=self._picture, refresh_per_second=4)

    def __enter__(self) -> Screen:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def _picture(self) -> Group:
        alerts = self._received.alerts[-_SHOWN:]
        waiting = [] if alerts else [Text("The daemon loads its models; somebody walks past in a moment.", "dim")]
        return Group(Text(_HONEST, "italic"), table(alerts), *waiting, Text(f"Pictures: {self._folder}", "dim"))

    def farewell(self, config: Path) -> None:
        """Say how it went and what comes next."""
        self._console.print(Text(summary(self._received)))
        self._console.print(
            Text.assemble(
                ("Next: ", "bold"),
                "your own camera. Take ",
                (str(config), "cyan"),
                " as a beginning, name your camera's address and the real models (README, “Your own camera”), and run ",
                ("surveil run --config", "cyan"),
                ".",
            )
        )


def table(alerts: Sequence[tuple[float, dict[str, Any]]]) -> Table:
    """Return the messages as a table, the newest last."""
    shown = Table("time", "incident", "", "risk", "what is going on", "seconds", expand=True, box=None)
    for came, message in alerts:
        risk, assessment = message["risk"], message["assessment"]
        shown.add_row(
            f"{datetime.fromtimestamp(came):%H:%M:%S}",
            message["id"][-4:],
            message["phase"],
            Text(f"{risk['level']} {risk['score']}", _COLOURS[risk["level"]]),
            _told(message),
            _latency(message) if assessment["state"] != "pending" or message["phase"] == "new" else "",
        )
    return shown


def _told(message: dict[str, Any]) -> Text:
    assessment = message["assessment"]
    if assessment["state"] == "done":
        return Text(f"{assessment['summary']} {assessment['recommended_action']}")
    if assessment["state"] == "pending":
        return Text.assemble(message["reason"], (" …", "dim"))
    return Text.assemble(message["reason"], (f" ({assessment['state']}: {assessment['error']})", "dim"))


def _latency(message: dict[str, Any]) -> str:
    """Return how long the message's news took: the alert from the picture's capture, or the VLM's answer."""
    if message["phase"] == "new":
        taken = message["latency_ms"]["capture_to_publish"]
    elif message["phase"] == "update":
        taken = message["assessment"]["latency_ms"]
    else:
        return ""
    return "" if taken is None else f"{taken / 1000:.2f}"


def summary(received: Received) -> str:
    """Return in a line what was received."""
    newest = received.newest.values()
    answered = sum(message["assessment"]["state"] == "done" for message in newest)
    levels = ", ".join(dict.fromkeys(message["risk"]["level"] for message in newest)) or "none"
    dropped = ""
    if received.stats is not None:
        lost = sum(camera["dropped"] for camera in received.stats["cameras"].values())
        dropped = f", {lost} frames dropped"
    return f"{len(newest)} incidents, {answered} of them assessed; risks: {levels}{dropped}."
