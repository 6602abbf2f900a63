"""`surveil bench`: what this machine can do, room by room and in one row, with the daemon's own code.

`bound_fps` is what the machine could do if nothing but decoding and inference cost anything: its cores over the CPU
time that both need for a frame. `efficiency` is the whole pipeline over that.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from surveil import build
from surveil.capture.video_file import Unpaced, VideoFile
from surveil.channels import FrameQueue
from surveil.clock import SystemClock
from surveil.config import Config
from surveil.detect.detection import DetectionStage, Tracking
from surveil.interfaces import CaptureError, Detector, Pending
from surveil.messages import Frame, Image, Observation
from surveil.metrics import Metrics
from surveil.trigger.identity import derived_entropy
from surveil.trigger.policy import Policy

WARM_UP_FRAMES = 10


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured. Rates are frames a second; `*_cpu_ms` is CPU time a frame, over all threads."""

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

    def as_dict(self) -> dict[str, object]:
        """Return the result as plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Rate:
    fps: float
    cpu_ms: float


def bench(config: Config, video: Path, seconds: float) -> Result:
    """Measure for about `seconds`, a third of it each: decoding, detecting, and everything together.

    Raises CaptureError, ModelError.
    """
    name = next(iter(config.cameras))
    detector = build.detector(config)
    size = _size(video, detector)
    part = max(seconds / 3, 1.0)
    decode = _measured(_frames(name, video, detector), part)
    pictures = [frame.image for frame in itertools.islice(_frames(name, video, detector), 64)]
    detect = _measured(_detected(detector, pictures), part)
    frames, took, metrics = _pipeline(config, name, video, detector, part)
    cores = len(os.sched_getaffinity(0))
    bound = cores * 1000 / (decode.cpu_ms + detect.cpu_ms)
    fps = frames / took
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
        pipeline_fps=round(fps, 1),
        efficiency=round(fps / bound, 3),
        frames=frames,
        dropped=metrics.counted("frames_dropped", name),
    )


def _frames(name: str, video: Path, detector: Detector) -> Generator[Frame, None, None]:
    """Yield the frames of the video in the detector's size, again and again, as fast as they can be decoded."""
    source = VideoFile(name, str(video), detector.input_size, Unpaced(0.0), loop=True)
    source.open()
    try:
        yield from source.frames()
    finally:
        source.close()


def _detected(detector: Detector, pictures: list[Image]) -> Generator[object, None, None]:
    """See the pictures again and again, as many at a time as the detector likes; a step for each."""
    under_way: deque[Pending] = deque()
    try:
        for picture in itertools.cycle(pictures):
            under_way.append(detector.start([picture]))
            if len(under_way) == detector.depth:
                yield under_way.popleft()()
    finally:
        for pending in under_way:
            pending()


def _size(video: Path, detector: Detector) -> str:
    frame = next(_frames("bench", video, detector), None)
    if frame is None:
        raise CaptureError(f"{video}: there is no picture in it")
    height, width = frame.full().shape[:2]
    return f"{width}x{height}"


def _measured(work: Generator[object, None, None], seconds: float) -> _Rate:
    """Count the steps of `work` in `seconds`, after a warm-up."""
    for _ in itertools.islice(work, WARM_UP_FRAMES):
        pass
    done, began, cpu = 0, time.monotonic(), time.process_time()
    while time.monotonic() - began < seconds:
        next(work)
        done += 1
    took, spent = time.monotonic() - began, time.process_time() - cpu
    work.close()
    return _Rate(done / took, 1000 * spent / done)


def _pipeline(config: Config, name: str, video: Path, detector: Detector, seconds: float) -> tuple[int, float, Metrics]:
    """Run decode, detection with tracking, and the policy, each on its own thread; the source waits, nothing drops."""
    metrics = Metrics()
    queue = FrameQueue([name], on_drop=lambda camera: metrics.count("frames_dropped", camera))
    policy = Policy(config, assesses=False, entropy=derived_entropy)
    clock = SystemClock()
    over = threading.Event()
    seen = _Seen(policy)
    stage = DetectionStage(Tracking(detector, [name], config.detector.confidence), queue, seen.take, metrics, clock)
    grabber = threading.Thread(target=_grab, args=(_frames(name, video, detector), queue, over), name="grab-bench")
    grabber.start()
    stage.start()
    time.sleep(0.5)
    before, began = seen.frames, time.monotonic()
    time.sleep(seconds)
    frames, took = seen.frames - before, time.monotonic() - began
    over.set()
    grabber.join(10.0)
    stage.stop(10.0)
    return frames, took, metrics


def table(result: Result) -> None:
    """Show the result on stderr, for people."""
    shown = Table(title=f"{result.video} ({result.size}) on {result.cores} cores with {result.detector}")
    for heading in ("what", "frames a second", "CPU ms a frame"):
        shown.add_column(heading, justify="left" if heading == "what" else "right")
    shown.add_row("decode", f"{result.decode_fps:.1f}", f"{result.decode_cpu_ms:.2f}")
    shown.add_row("detect", f"{result.detect_fps:.1f}", f"{result.detect_cpu_ms:.2f}")
    shown.add_row("bound: both, on all cores", f"{result.bound_fps:.1f}", "")
    shown.add_row("whole pipeline", f"{result.pipeline_fps:.1f}", "")
    shown.add_row("efficiency", f"{100 * result.efficiency:.0f} %", "")
    Console(stderr=True).print(shown)


class _Seen:
    """Counts observations and lets the policy decide on them."""

    def __init__(self, policy: Policy) -> None:
        self.frames = 0
        self._observe: Callable[[Observation], object] = policy.observe

    def take(self, observation: Observation, _timeout: float) -> bool:
        self._observe(observation)
        self.frames += 1
        return True


def _grab(frames: Iterator[Frame], queue: FrameQueue, over: threading.Event) -> None:
    for frame in frames:
        while len(queue) >= 4 and not over.is_set():
            over.wait(0.001)
        if over.is_set():
            return
        queue.put(frame)
