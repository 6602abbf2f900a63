"""`surveil bench`: what this machine can do, room by room and in one row, with the daemon's own code.

`bound_fps` is what the machine could do if nothing but decoding and inference cost anything: its cores over the CPU
time that both need for a frame, or what the detector does alone where that is less (a GPU). `efficiency` is the whole
pipeline over that.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from surveil import build
from surveil.capture.video_file import Pace, Unpaced, VideoFile
from surveil.channels import FrameQueue
from surveil.clock import SystemClock
from surveil.config import Config
from surveil.detect.detection import DetectionStage, Tracking, detections
from surveil.interfaces import CaptureError, Detector
from surveil.messages import Frame, Observation
from surveil.metrics import Metrics
from surveil.trigger.identity import derived_entropy
from surveil.trigger.policy import Policy

WARM_UP_FRAMES = 10
WARM_UP_SECONDS = 0.5
CAMERAS = (1, 2, 4, 8)
BENCH = "bench"
"""What the measured camera is called."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cameras:
    """The whole pipeline with so many cameras at once: their frames a second together, the process's memory."""

    cameras: int
    fps: float
    frames: int
    dropped: int
    memory_mb: float


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured. Rates are frames a second; `*_cpu_ms` is CPU time a frame, over all threads.

    `capture_to_alert_ms` is p50, p95 and p99 of the time from a frame's capture until the policy has decided on it,
    which is when an alert leaves for the outbox; with one camera at the video's own pace, dropped frames left out.
    """

    video: str
    size: str
    detector: str
    cores: int
    seconds: float
    decode_fps: float
    decode_cpu_ms: float
    detect_fps: float
    detect_cpu_ms: float
    bound_fps: float
    pipeline_fps: float
    efficiency: float
    frames: int
    dropped: int
    cameras: tuple[Cameras, ...]
    memory_per_camera_mb: float
    capture_to_alert_ms: dict[str, float] | None

    def as_dict(self) -> dict[str, object]:
        """Return the result as plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Rate:
    """Steps a second, and milliseconds of CPU time a step."""

    fps: float
    cpu_ms: float


def bench(config: Config, video: Path, seconds: float) -> Result:
    """Measure for about `seconds`, in equal parts: decode, detect, 1, 2, 4 and 8 cameras, and the way to an alert.

    Raises CaptureError, ModelError.
    """
    detector = build.detector(config)
    size = _size(video, detector)
    part = max(seconds / (3 + len(CAMERAS)), 1.0)
    with _Steps(3 + len(CAMERAS)) as step:
        decode = step("decoding", lambda: measured(frames_of(BENCH, video, detector), part))
        pictures = [frame.image for frame in itertools.islice(frames_of(BENCH, video, detector), 64)]
        detect = step("detecting", lambda: measured(detections(detector, itertools.cycle(pictures)), part))
        together = tuple(
            step(f"{number} cameras", partial(_together, config, video, detector, number, part)) for number in CAMERAS
        )
        one, most = together[0], together[-1]
        latency = step("capture to alert", lambda: _latency(config, video, detector, part))
    cores = len(os.sched_getaffinity(0))
    bound = min(cores * 1000 / (decode.cpu_ms + detect.cpu_ms), detect.fps)
    return Result(
        video=video.name,
        size=size,
        detector=detector.name,
        cores=cores,
        seconds=round(seconds, 1),
        decode_fps=round(decode.fps, 1),
        decode_cpu_ms=round(decode.cpu_ms, 2),
        detect_fps=round(detect.fps, 1),
        detect_cpu_ms=round(detect.cpu_ms, 2),
        bound_fps=round(bound, 1),
        pipeline_fps=one.fps,
        efficiency=round(one.fps / bound, 3),
        frames=sum(run.frames for run in together),
        dropped=sum(run.dropped for run in together),
        cameras=together,
        memory_per_camera_mb=round((most.memory_mb - one.memory_mb) / (most.cameras - one.cameras), 1),
        capture_to_alert_ms=latency,
    )


class _Steps:
    """A bar that shows which step is measured."""

    def __init__(self, steps: int) -> None:
        columns = TextColumn("measuring: {task.description}"), BarColumn(), TimeElapsedColumn()
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("", total=steps)

    def __call__(self, what: str, measure: Callable[[], T]) -> T:
        self._bar.update(self._task, description=what)
        result = measure()
        self._bar.advance(self._task)
        return result

    def __enter__(self) -> _Steps:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def frames_of(camera: str, video: Path, detector: Detector, pace: Pace | None = None) -> Generator[Frame, None, None]:
    """Yield the frames of a video in the detector's size, again and again; as fast as they can be decoded, or paced."""
    source = VideoFile(camera, str(video), detector.input_size, pace or Unpaced(0.0), loop=True)
    source.open()
    try:
        yield from source.frames()
    finally:
        source.close()


def _size(video: Path, detector: Detector) -> str:
    frame = next(frames_of(BENCH, video, detector), None)
    if frame is None:
        raise CaptureError(f"{video}: there is no picture in it")
    height, width = frame.full().shape[:2]
    return f"{width}x{height}"


def measured(work: Generator[object, None, None], seconds: float) -> Rate:
    """Count the steps of `work` in `seconds`, after a warm-up."""
    for _ in itertools.islice(work, WARM_UP_FRAMES):
        pass
    done, began, cpu = 0, time.monotonic(), time.process_time()
    while time.monotonic() - began < seconds:
        next(work)
        done += 1
    took, spent = time.monotonic() - began, time.process_time() - cpu
    work.close()
    return Rate(done / took, 1000 * spent / done)


class Pipeline:
    """The daemon's rooms in a row: each source on a thread of its own, detection with tracking, the policy.

    Args:
        config: whose detector settings and rules count.
        sources: frames by camera; endless. Unless they are paced, they wait for room, so that nothing drops.
    """

    def __init__(self, config: Config, detector: Detector, sources: dict[str, Iterator[Frame]], paced: bool = False):
        self.metrics = Metrics()
        self._sources = sources
        self._clock = SystemClock()
        camera = next(iter(config.cameras.values()))
        cameras = dict.fromkeys(sources, camera)
        self._policy = Policy(config.model_copy(update={"cameras": cameras}), False, derived_entropy)
        self._queue = FrameQueue(sources, on_drop=lambda name: self.metrics.count("frames_dropped", name))
        tracking = Tracking(detector, sources, config.detector.confidence, config.detector.every)
        self._stage = DetectionStage(tracking, self._queue, self._take, self.metrics, self._clock)
        self._room = None if paced else threading.Semaphore(detector.batch * (detector.depth + 1) + 2)
        self._seen = 0
        self._over = threading.Event()

    def run(self, seconds: float) -> tuple[int, float]:
        """Run for so long after a warm-up; return the frames that were decided on, and how long that took."""
        grabbers = [threading.Thread(target=self._grab, args=(name,), name=f"grab-{name}") for name in self._sources]
        for grabber in grabbers:
            grabber.start()
        self._stage.start()
        time.sleep(WARM_UP_SECONDS)
        before, began = self._seen, time.monotonic()
        time.sleep(seconds)
        frames, took = self._seen - before, time.monotonic() - began
        self._over.set()
        for grabber in grabbers:
            grabber.join(10.0)
        self._stage.stop(10.0)
        return frames, took

    def _grab(self, name: str) -> None:
        for frame in self._sources[name]:
            while self._room is not None and not self._room.acquire(timeout=0.25):
                if self._over.is_set():
                    return
            if self._over.is_set():
                return
            self._queue.put(frame)

    def _take(self, observation: Observation, _timeout: float) -> bool:
        self._policy.observe(observation)
        self.metrics.sample("capture_to_decision_seconds", self._clock.monotonic() - observation.frame.at)
        self._seen += 1
        if self._room is not None:
            self._room.release()
        return True


def _together(config: Config, video: Path, detector: Detector, number: int, seconds: float) -> Cameras:
    names = [f"{BENCH}-{index}" for index in range(number)]
    pipeline = Pipeline(config, detector, {name: frames_of(name, video, detector) for name in names})
    frames, took = pipeline.run(seconds)
    dropped = sum(pipeline.metrics.counted("frames_dropped", name) for name in names)
    return Cameras(number, round(frames / took, 1), frames, dropped, round(_memory_mb(), 1))


def _memory_mb() -> float:
    """Return what this process holds in memory now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _latency(config: Config, video: Path, detector: Detector, seconds: float) -> dict[str, float] | None:
    """Return the quantiles of capture to decision in milliseconds, one camera at the video's own pace."""
    pace = Pace(SystemClock(), threading.Event())
    pipeline = Pipeline(config, detector, {BENCH: frames_of(BENCH, video, detector, pace)}, paced=True)
    pipeline.run(seconds)
    told = pipeline.metrics.quantiles("capture_to_decision_seconds")
    return None if told is None else {name: round(1000 * value, 1) for name, value in told.items()}


def table(result: Result) -> None:
    """Show the result on stderr, for people."""
    shown = Table(title=f"{result.video} ({result.size}) on {result.cores} cores with {result.detector}")
    for heading in ("what", "frames a second", "CPU ms a frame"):
        shown.add_column(heading, justify="left" if heading == "what" else "right")
    shown.add_row("decode", f"{result.decode_fps:.1f}", f"{result.decode_cpu_ms:.2f}")
    shown.add_row("detect", f"{result.detect_fps:.1f}", f"{result.detect_cpu_ms:.2f}")
    shown.add_row("bound: both, on all cores", f"{result.bound_fps:.1f}", "")
    for run in result.cameras:
        what = "whole pipeline" if run.cameras == 1 else f"whole pipeline, {run.cameras} cameras"
        shown.add_row(what, f"{run.fps:.1f}", "")
    shown.add_row("efficiency", f"{100 * result.efficiency:.0f} %", "")
    console = Console(stderr=True)
    console.print(shown)
    console.print(f"a further camera holds {result.memory_per_camera_mb:.0f} MB")
    if result.capture_to_alert_ms:
        told = ", ".join(f"{name} {value:.0f} ms" for name, value in result.capture_to_alert_ms.items())
        console.print(f"capture to alert, one camera: {told}")
