"""Which visits are found: the shared footage, and copies of it that cameras and networks have spoilt.

    python benchmarks/triggers.py --model MODEL --footage FOLDER [--out benchmarks/results]

One person after another visits in `one-by-one-person.mp4`, and it is known when; in `car-detection.mp4` nobody. For
each copy: visits found of those there, incidents too many, and the time from the first appearance to `new`; with the
`person` and `tamper` rules as they come and a linger of two seconds. Writes triggers.json and triggers.png.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track as progress
from rich.table import Table

from surveil.config import Config
from surveil.replay import Replay

FPS = 10.0
VISITS = ((61, 196), (228, 447), (506, 698), (745, 866), (925, 1197), (1235, 1358))
"""First and last frame with a person in view, within three frames (the footage's own description)."""
SLACK = 0.7
X264 = ["-an", "-c:v", "libx264", "-preset", "veryfast"]
LINEAR = "if(gte(random(1),{share}),1,0)"

COPIES: dict[str, list[str]] = {
    "as it is": ["-c", "copy", "-an"],
    "noise": ["-vf", "noise=alls=30:allf=t+u", *X264],
    "half the bit rate": [*X264, "-b:v", "80k", "-maxrate", "100k", "-bufsize", "200k"],
    "5 frames a second": ["-vf", "fps=5", *X264],
    "15 frames a second": ["-vf", "fps=15", *X264],
    "brightness ramp": ["-vf", "eq=brightness='-0.35+0.7*t/139':eval=frame", *X264],
    "JPEG artefacts": ["-an", "-c:v", "mjpeg", "-q:v", "25"],
    "10 % of frames lost": ["-vf", f"select='{LINEAR.format(share=0.1)}'", "-fps_mode", "vfr", *X264],
    "30 % of frames lost": ["-vf", f"select='{LINEAR.format(share=0.3)}'", "-fps_mode", "vfr", *X264],
}


@dataclass(frozen=True, slots=True)
class Told:
    """One incident as it was told: its rules, and when it began and ended, in seconds of the video."""

    rules: tuple[str, ...]
    began: float
    ended: float


def incidents(video: Path, model: Path) -> list[Told]:
    """Return the incidents that `surveil replay` tells of."""
    config = Config.model_validate_json(
        json.dumps(
            {
                "cameras": {"cam": {"source": "rtsp://h/1"}},
                "detector": {"model": str(model)},
                "alerts": {"linger": 2},
            }
        )
    )
    told = []
    for message in Replay(config, str(video), "cam", 0.0, False).messages(lambda _: None):
        alert = json.loads(message.line())
        if alert["phase"] == "end":
            began, ended = (datetime.fromisoformat(alert[key]).timestamp() for key in ("started", "ended"))
            told.append(Told(tuple(alert["rules"]), began, ended))
    return told


def judged(told: Sequence[Told]) -> dict[str, Any]:
    """Return how many visits were found, how many incidents were too many, and how late the found ones began."""
    late, extra = [], 0
    met: set[int] = set()
    for incident in told:
        visits = [
            number
            for number, (first, last) in enumerate(VISITS)
            if incident.began <= last / FPS + SLACK and incident.ended >= first / FPS - SLACK
        ]
        new = [number for number in visits if number not in met]
        if not new or "person" not in incident.rules:
            extra += 1
            continue
        met |= set(visits)
        late.append(incident.began - VISITS[new[0]][0] / FPS)
    return {
        "found": len(met),
        "of": len(VISITS),
        "extra": extra,
        "late_s": {"median": round(statistics.median(late), 2), "most": round(max(late), 2)} if late else None,
        "incidents": [[round(one.began, 1), round(one.ended, 1), *one.rules] for one in told],
    }


def main() -> None:
    """Measure, show and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--footage", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    said = parser.parse_args()
    person, cars = said.footage / "one-by-one-person.mp4", said.footage / "car-detection.mp4"
    result: dict[str, Any] = {"model": said.model.name, "copies": {}}
    with tempfile.TemporaryDirectory() as folder:
        for name, how in progress(COPIES.items(), description="watching", console=Console(stderr=True)):
            copy = Path(folder, f"{name.replace(' ', '-').replace('%', 'percent')}.mkv")
            command = ["ffmpeg", "-nostdin", "-y", "-v", "error", "-i", str(person), *how, str(copy)]
            subprocess.run(command, check=True)  # noqa: S603
            result["copies"][name] = judged(incidents(copy, said.model))
    result["cars"] = [[round(one.began, 1), round(one.ended, 1), *one.rules] for one in incidents(cars, said.model)]
    show(result)
    said.out.mkdir(parents=True, exist_ok=True)
    (said.out / "triggers.json").write_text(json.dumps(result, indent=2) + "\n")
    plot(result, said.out / "triggers.png")


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    shown = Table(title=f"visits found, {result['model']}")
    for heading in ("footage", "found", "too many", "median s late", "most s late"):
        shown.add_column(heading, justify="left" if heading == "footage" else "right")
    for name, copy in result["copies"].items():
        late = copy["late_s"] or {"median": "-", "most": "-"}
        shown.add_row(
            name, f"{copy['found']} of {copy['of']}", str(copy["extra"]), str(late["median"]), str(late["most"])
        )
    console = Console()
    console.print(shown)
    console.print(f"cars only: {len(result['cars'])} incidents")


def plot(result: dict[str, Any], file: Path) -> None:
    """Draw when somebody was there, and when each copy's incidents were."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    names = list(result["copies"])
    figure, axes = plt.subplots(figsize=(9, 0.8 + 0.36 * len(names)))
    for first, last in VISITS:
        axes.axvspan(first / FPS, last / FPS, color="#dbe4f0", lw=0)
    for row, name in enumerate(names):
        for began, ended, *rules in result["copies"][name]["incidents"]:
            colour = "#2563eb" if "person" in rules else "#dc2626"
            axes.plot([began, max(ended, began + 0.3)], [row, row], color=colour, lw=5, solid_capstyle="butt")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel("seconds; grey: a person is in view, blue: an incident with a person, red: another")
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
