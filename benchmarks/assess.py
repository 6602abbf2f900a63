"""The assessment room under load: batches, servers, and ten times more questions than there are answers.

    python -m benchmarks.assess batching [--waiting 8]
    python -m benchmarks.assess servers
    python -m benchmarks.assess overload --model MODEL --video FILE [--seconds 300]

`batching`: real Qwen2.5-VL classes at toy size in the worker process: the time of eight questions that wait together,
as a share of the time of eight that come one by one. `servers`: answers of four stub servers, times those of one.
`overload`: a camera in front of the detector, at its own pace, while ten times more is asked than a stub server can
answer; the detector's frame rate with and without, the queue, the memory, what was shed. Ratios of one run; writes
results/assess-NAME.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
from rich.console import Console
from rich.progress import track as progress
from rich.table import Table

from surveil import build
from surveil.assess import prompt
from surveil.assess.assessment import AssessmentStage
from surveil.assess.assessor import Manner, VlmAssessor
from surveil.assess.openai import DEPTH_A_SERVER, Access, OpenAiVlm
from surveil.assess.queue import CAPACITY, UrgencyQueue
from surveil.assess.qwen import PATIENCE_ON_CPU_SECONDS, QwenVlm, Residence
from surveil.assess.vlm import Question
from surveil.capture.video_file import Pace, VideoFile
from surveil.channels import FrameQueue
from surveil.clock import SystemClock
from surveil.config import Config
from surveil.detect.detection import DetectionStage, Tracking
from surveil.interfaces import AssessorError
from surveil.messages import Answer, Assessment, AssessmentRequest, Facts, Image, Keyframe, Level, Subject
from surveil.metrics import Metrics

RESULTS = Path(__file__).parent / "results"
ANSWER_SECONDS = 1.0
OVERLOAD = 10


def noise(dice: np.random.Generator, height: int = 252, width: int = 448) -> Image:
    """Return a picture of nothing."""
    return dice.integers(0, 255, (height, width, 3), np.uint8).astype(np.uint8)


def batching(waiting: int, rounds: int = 5) -> dict[str, Any]:
    """Return the time of questions that wait together and of the same one by one."""
    dice = np.random.default_rng(0)
    pictures = tuple(noise(dice) for _ in range(3))

    async def measure(folder: str) -> tuple[list[float], list[float]]:
        vlm = QwenVlm(Residence(folder, batch=waiting), SystemClock(), PATIENCE_ON_CPU_SECONDS)
        await vlm.start()
        together, alone = [], []
        try:
            for _ in progress(range(rounds + 1), description="batching", console=Console(stderr=True)):
                until = time.monotonic() + 600
                system = prompt.system(None)
                asked = [Question(system, pictures, f"Camera {n}.", "answer", until) for n in range(waiting)]
                together.append(await _timed(vlm, [asked]))
                alone.append(await _timed(vlm, [[question] for question in asked]))
        finally:
            await vlm.close()
        return together[1:], alone[1:]  # the first round warms up

    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "tests.real.toy_qwen", folder], check=True, capture_output=True)  # noqa: S603
        together, alone = asyncio.run(measure(folder))
    shares = [one / other for one, other in zip(together, alone, strict=True)]
    return {
        "waiting": waiting, "rounds": rounds, "together_s": round(median(together), 2),
        "one_by_one_s": round(median(alone), 2), "share": round(median(shares), 3),
        "shares": [round(share, 3) for share in shares],
    }  # fmt: skip


async def _timed(vlm: QwenVlm, goes: Sequence[Sequence[Question]]) -> float:
    began = time.monotonic()
    for go in goes:
        said = await vlm.say(go)
        if not all(isinstance(text, str) for text in said):
            raise SystemExit(f"the model gave no answer: {said}")
    return time.monotonic() - began


@contextmanager
def stub_servers(count: int, seconds: float, slots: int) -> Iterator[list[str]]:
    """Run stub servers in processes of their own, each with so many answers under way at a time."""
    context = multiprocessing.get_context("spawn")
    pipes, servers = [], []
    for _ in range(count):
        here, there = context.Pipe()
        server = context.Process(target=_serve, args=(there, seconds, slots), daemon=True)
        server.start()
        pipes.append(here)
        servers.append(server)
    try:
        yield [str(pipe.recv()) for pipe in pipes]
    finally:
        for pipe, server in zip(pipes, servers, strict=True):
            pipe.send(None)
            server.join(10)


def _serve(pipe: Any, seconds: float, slots: int) -> None:
    from tests.real import vlm_server
    from tests.real.vlm_server import Asked, Reply, VlmServer

    free = threading.Semaphore(slots)

    def behave(asked: Asked) -> Reply | None:
        with free:
            time.sleep(seconds)
        return vlm_server.good()(asked)

    with VlmServer(behave) as server:
        pipe.send(server.url)
        pipe.recv()


def servers(seconds: float = 6.0) -> dict[str, Any]:
    """Return the answers a second of one server and of four."""
    rates = {}
    for count in (1, 4):
        with stub_servers(count, 0.1, DEPTH_A_SERVER) as urls:
            rates[count] = asyncio.run(_answers(urls, seconds))
    return {
        "one_a_second": round(rates[1], 1), "four_a_second": round(rates[4], 1), "times": round(rates[4] / rates[1], 2),
        "no_more_than_a_second": DEPTH_A_SERVER / 0.1,
    }  # fmt: skip


async def _answers(urls: list[str], seconds: float) -> float:
    vlm = OpenAiVlm(Access(tuple(urls), "toy"), SystemClock())
    assessor = VlmAssessor(vlm, Manner(views="never"), SystemClock())
    await assessor.start()
    dice = np.random.default_rng(0)
    image = noise(dice, 140, 196)
    done = 0
    began = time.monotonic()

    async def keep_asking() -> None:
        nonlocal done
        while time.monotonic() - began < seconds:
            outcomes: list[Answer | AssessorError] = []
            await assessor.assess([_request("ID", Level.low, image)], partial(_keep, outcomes))
            done += not isinstance(outcomes[0], AssessorError)

    await asyncio.gather(*(keep_asking() for _ in range(vlm.depth)))
    took = time.monotonic() - began
    await assessor.close()
    return done / took


def _keep(outcomes: list[Answer | AssessorError], _request: AssessmentRequest, outcome: Answer | AssessorError) -> None:
    outcomes.append(outcome)


def _request(incident: str, floor: Level, image: Image, deadline: float = 20.0) -> AssessmentRequest:
    now = time.monotonic()
    person = Subject(1, "person", 0.9, (0.4, 0.3, 0.6, 0.9), 1.0)
    keyframes = tuple(Keyframe(now + n, lambda: image, (person,)) for n in range(3))
    facts = Facts("Front", "", "Sunday 22:04", ("person in view",))
    return AssessmentRequest(incident, "front", floor, now, now + deadline, keyframes, facts)


class Watched(UrgencyQueue):
    """A queue that counts its faults: something shed while something less urgent waits, and a depth over its bound."""

    def __init__(self) -> None:
        super().__init__()
        self.deepest = 0
        self.unjust = 0

    def offer(self, request: AssessmentRequest) -> list[AssessmentRequest]:
        """Take in a request, and look at what that did."""
        out = super().offer(request)
        self.deepest = max(self.deepest, len(self))
        with self._lock:
            least = min((waiting.floor for waiting in self._waiting), default=Level.critical)
        self.unjust += sum(gone.floor > least for gone in out)
        return out


class Detecting:
    """One camera at its own pace before the real detector, on threads as in the daemon."""

    def __init__(self, model: Path, video: Path) -> None:
        config = Config.model_validate_json(
            json.dumps({"cameras": {"front": {"source": str(video)}}, "detector": {"model": str(model)}})
        )
        self.metrics = Metrics()
        clock = SystemClock()
        detector = build.detector(config)
        self._stop = threading.Event()
        self._queue = FrameQueue(["front"], on_drop=lambda camera: self.metrics.count("frames_dropped", camera))
        tracking = Tracking(detector, ["front"], 0.25)
        self._stage = DetectionStage(tracking, self._queue, lambda _seen, _timeout: True, self.metrics, clock)
        self._source = VideoFile("front", str(video), detector.input_size, Pace(clock, self._stop), True)
        self._reader = threading.Thread(target=self._read, daemon=True)

    def _read(self) -> None:
        self._source.open()
        for frame in self._source.frames():
            self.metrics.count("frames", "front")
            self._queue.put(frame)
            if self._stop.is_set():
                return

    def __enter__(self) -> Detecting:
        self._stage.start()
        self._reader.start()
        time.sleep(3.0)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._reader.join(5)
        self._stage.stop(5)

    def seen(self) -> tuple[int, float]:
        """Return how many frames were detected so far, and when."""
        return self.metrics.counted("frames_detected", "front"), time.monotonic()


def overload(model: Path, video: Path, seconds: float) -> dict[str, Any]:
    """Return what ten times too many questions do to the queue, the memory and the detector."""
    with Detecting(model, video) as detecting, stub_servers(1, ANSWER_SECONDS, DEPTH_A_SERVER) as urls:
        calm = _rate(detecting, max(10.0, seconds / 5))
        loaded, told = _overloaded(detecting, urls, seconds)
    return {
        "seconds": seconds, "asked_a_second": OVERLOAD * DEPTH_A_SERVER / ANSWER_SECONDS,
        "fps_calm": round(calm, 2), "fps_overloaded": round(loaded, 2), "fps_ratio": round(loaded / calm, 3), **told,
    }  # fmt: skip


def _rate(detecting: Detecting, seconds: float) -> float:
    count, at = detecting.seen()
    time.sleep(seconds)
    later, now = detecting.seen()
    return (later - count) / (now - at)


def _overloaded(detecting: Detecting, urls: list[str], seconds: float) -> tuple[float, dict[str, Any]]:
    clock, metrics, queue = SystemClock(), Metrics(), Watched()
    ended: Counter[str] = Counter()
    assessor = VlmAssessor(OpenAiVlm(Access(tuple(urls), "toy"), clock), Manner(views="never"), clock)

    def end(assessment: Assessment) -> None:
        ended[assessment.state] += 1

    stage = AssessmentStage(assessor, queue, end, metrics, clock)
    stage.start()
    stage.wait_ready(30)
    image = noise(np.random.default_rng(0))
    memory: list[tuple[float, float]] = []
    off = 0
    count, at = detecting.seen()
    ticks = int(seconds * OVERLOAD * DEPTH_A_SERVER / ANSWER_SECONDS)
    for number in progress(_ticks(ticks), description="overload", console=Console(stderr=True), total=ticks):
        floor = random.choice(list(Level))  # noqa: S311 - it guards nothing
        for assessment in stage.submit(_request(str(number), floor, image)):
            end(assessment)
        if number % 40 == 0:
            memory.append((time.monotonic() - at, psutil.Process().memory_info().rss / 1e6))
            off += not _adds_up(stage, metrics)
    later, now = detecting.seen()
    stage.stop(10)
    asked = metrics.counted("assessments_asked")
    told = {
        "asked": asked, **{state: ended[state] for state in ("done", "failed", "expired", "shed")},
        "unaccounted": asked - ended.total(), "moments_that_did_not_add_up": off, "queue_bound": CAPACITY,
        "queue_deepest": queue.deepest, "shed_before_less_urgent": queue.unjust,
        "dropped_frames": detecting.metrics.counted("frames_dropped", "front"),
        "memory_mb_first_quarter": round(median(mb for _, mb in memory[: max(1, len(memory) // 4)]), 1),
        "memory_mb_last_quarter": round(median(mb for _, mb in memory[-max(1, len(memory) // 4) :]), 1),
    }  # fmt: skip
    return (later - count) / (now - at), told


def _ticks(count: int) -> Iterator[int]:
    """Yield numbers at ten times the rate that the server can answer."""
    rate = OVERLOAD * DEPTH_A_SERVER / ANSWER_SECONDS
    began = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        yield number


def _adds_up(stage: AssessmentStage, metrics: Metrics) -> bool:
    """Return whether asked = ended + pending on the stage's own loop, where nothing moves meanwhile."""

    async def look() -> bool:
        ends = sum(metrics.counted("assessments", state) for state in ("done", "failed", "expired", "shed"))
        return metrics.counted("assessments_asked") == ends + stage.pending

    loop = stage._loop
    return loop is None or asyncio.run_coroutine_threadsafe(look(), loop).result(10)


def main() -> None:
    """Measure, show and store."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("batching").add_argument("--waiting", type=int, default=8)
    verbs.add_parser("servers")
    heavy = verbs.add_parser("overload")
    heavy.add_argument("--model", type=Path, required=True)
    heavy.add_argument("--video", type=Path, required=True)
    heavy.add_argument("--seconds", type=float, default=300.0)
    said = parser.parse_args()
    if said.verb == "batching":
        result = batching(said.waiting)
    elif said.verb == "servers":
        result = servers()
    else:
        result = overload(said.model, said.video, said.seconds)
    table = Table(title=f"assessment: {said.verb}", show_header=False)
    for name, value in result.items():
        table.add_row(name.replace("_", " "), str(value))
    Console().print(table)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"assess-{said.verb}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
