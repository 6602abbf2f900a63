"""The whole daemon for minutes on end: real RTSP cameras, a real broker, a subscriber that counts what it gets.

    python -m benchmarks.live --model MODEL --video FILE [--cameras 1] [--fps 30] [--minutes 10]

Each camera is a GStreamer RTSP server on this machine that sends the video as 1920x1080 H.264 at so many frames a
second, over and over. Counts frames in, detected and dropped, and takes the time from the capture of an alert's first
frame to the arrival of its `new` at the subscriber. Writes live-CAMERASxFPS.json.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import subprocess
import tempfile
import time
from datetime import datetime
from pathlib import Path
from statistics import quantiles
from typing import Any

import av
from rich.console import Console
from rich.progress import track as progress
from rich.table import Table

from tests.real import components


def clip(video: Path, fps: int, seconds: float, into: Path) -> Path:
    """Make the video 1080p at `fps`, a key frame every two seconds, as long as the run and a little more."""
    once, whole = into / "once.mp4", into / "whole.mp4"
    how = ["-an", "-vf", f"scale=1920:1080,fps={fps}", "-c:v", "libx264", "-preset", "veryfast"]
    how += ["-b:v", "4M", "-bf", "0", "-g", str(2 * fps)]
    ffmpeg("-i", str(video), *how, str(once))
    with av.open(str(once)) as container:
        length = (container.duration or 1) / av.time_base
    ffmpeg("-stream_loop", str(math.ceil((seconds + 60) / length)), "-i", str(once), "-c", "copy", str(whole))
    return whole


def ffmpeg(*arguments: str) -> None:
    """Run ffmpeg, quietly."""
    command = ["ffmpeg", "-nostdin", "-y", "-v", "error", *arguments]
    subprocess.run(command, check=True)  # noqa: S603


def config(model: Path, urls: list[str], broker: int, folder: Path) -> Path:
    """Write a config with these cameras."""
    cameras = {f"cam-{number}": {"source": url} for number, url in enumerate(urls, 1)}
    told = {
        "node": "live",
        "cameras": cameras,
        "detector": {"model": str(model)},
        "assessor": {"backend": "none"},
        "alerts": {"linger": 2},
        "mqtt": {"host": "127.0.0.1", "port": broker},
        "storage": {"path": str(folder / "data")},
    }
    path = folder / "live.yaml"
    path.write_text(json.dumps(told))
    return path


def run(model: Path, video: Path, cameras: int, minutes: float) -> dict[str, Any]:
    """Run the daemon on the video; return what was counted."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = components.free_port()
        stack.enter_context(components.mosquitto(folder, broker))
        servers = [components.rtsp_server(video, components.free_port()) for _ in range(cameras)]
        urls = [stack.enter_context(server) for server in servers]
        subscriber = components.Subscriber(broker)
        stack.callback(subscriber.close)
        daemon = components.Daemon(config(model, urls, broker, folder))
        stack.callback(daemon.kill)
        daemon.wait_for("ready: node live", 120)
        for _ in progress(range(round(minutes * 60)), description="running", console=Console(stderr=True)):
            time.sleep(1)
        last = json.loads(subscriber.payloads("/stats")[-1])
        rates = [json.loads(payload)["cameras"] for payload in subscriber.payloads("/stats")][2:]
        states = {
            json.loads(payload)["state"] for payload in subscriber.payloads("/status") if payload.startswith(b"{")
        }
        code = daemon.stop()
        return {
            "minutes": minutes,
            "exit_code": code,
            "states": sorted(states),
            "cameras": {
                name: {
                    "fps_in": round(sum(one[name]["fps_in"] for one in rates) / len(rates), 2),
                    "fps_detected": round(sum(one[name]["fps_detected"] for one in rates) / len(rates), 2),
                    "dropped": last["cameras"][name]["dropped"],
                }
                for name in last["cameras"]
            },
            "capture_to_detect_s": last["latency_s"]["capture_to_detect"],
            "capture_to_new_ms": late(subscriber),
        }


def late(subscriber: components.Subscriber) -> dict[str, float]:
    """Return quantiles of the time from an alert's first frame to the arrival of its `new`, in milliseconds."""
    samples = []
    for at, topic, payload, _ in list(subscriber.messages):
        if topic.endswith("/alert"):
            alert = json.loads(payload)
            if alert["phase"] == "new":
                samples.append(1000 * (at - datetime.fromisoformat(alert["started"]).timestamp()))
    cuts = quantiles(samples, n=100, method="inclusive") if len(samples) > 1 else samples * 99
    named = {f"p{p}": round(cuts[p - 1], 1) for p in (50, 95, 99)} if samples else {}
    return {"alerts": len(samples), **named}


def main() -> None:
    """Run, show and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--cameras", type=int, default=1)
    parser.add_argument("--fps", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        video = clip(said.video, said.fps, said.minutes * 60, Path(folder))
        result = run(said.model.resolve(), video, said.cameras, said.minutes)
    result = {"model": said.model.name, "stream": f"1920x1080 H.264, {said.fps} fps", **result}
    shown = Table(title=f"{said.cameras} x {said.fps} fps for {said.minutes:g} minutes")
    for heading in ("camera", "fps in", "fps detected", "dropped"):
        shown.add_column(heading)
    for name, camera in result["cameras"].items():
        shown.add_row(name, *(str(value) for value in camera.values()))
    console = Console()
    console.print(shown)
    console.print(f"capture to `new`: {result['capture_to_new_ms']}, states: {', '.join(result['states'])}")
    said.out.mkdir(parents=True, exist_ok=True)
    (said.out / f"live-{said.cameras}x{said.fps}.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
