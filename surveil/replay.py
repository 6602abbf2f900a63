"""`surveil replay`: a recorded file through the daemon's own rooms, as fast as it can; time is the video's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from surveil import assessors, build
from surveil.capture.video_file import Unpaced, VideoFile
from surveil.clock import SystemClock
from surveil.config import Config
from surveil.deliver.wire import AlertMessage, Envelope
from surveil.detect.detection import Tracking
from surveil.interfaces import EndOfFile, FrameSource
from surveil.messages import Decision, Finding, Frame, Observation
from surveil.oracle import Oracle, oracle
from surveil.trigger.identity import derived_entropy
from surveil.trigger.incidents import Moment
from surveil.trigger.policy import CameraPolicy, Policy, Watcher
from surveil.trigger.rules import Armed, Ground


class Replay:
    """One camera's file, read once. `messages` does the work, on the calling thread."""

    def __init__(
        self, config: Config, video: str, camera: str, start: float, assess: bool, watchers: Sequence[Watcher] = ()
    ) -> None:
        self._config = config
        self._video = video
        self._camera = camera
        self._start = start
        self._assess = assess
        self._watchers = watchers

    def messages(self, on_frame: Callable[[Frame], None]) -> Iterator[AlertMessage]:
        """Yield every alert message that the daemon would have sent. Raises CaptureError, ModelError, AssessorError."""
        imgsz = self._config.detector.imgsz
        self._source((imgsz, imgsz)).close()  # an unreadable file is told before a model is loaded
        detector = build.detector(self._config)
        source = self._source(detector.input_size)
        assessor = assessors.assessor(self._config, SystemClock()) if self._assess else None
        seen = self._config.detector
        tracking = Tracking(detector, [self._camera], seen.confidence, seen.every)
        policy = Policy(self._config, assesses=assessor is not None, entropy=derived_entropy).cameras[self._camera]
        policy.watcher = self._shown
        try:
            with oracle(assessor) as asked:
                decided = _Decisions(policy, asked, Envelope(self._config))
                yield from self._watch(source, tracking, decided, on_frame)
        finally:
            source.close()

    def _shown(self, ground: Ground, observation: Observation, found: list[tuple[Armed, Finding]]) -> None:
        for watcher in self._watchers:
            watcher(ground, observation, found)

    def _source(self, input_size: tuple[int, int]) -> FrameSource:
        file = VideoFile(self._camera, self._video, input_size, Unpaced(self._start))
        source = build.masked(self._config.cameras[self._camera], file)
        source.open()
        return source

    def _watch(
        self, source: FrameSource, tracking: Tracking, decided: _Decisions, on_frame: Callable[[Frame], None]
    ) -> Iterator[AlertMessage]:
        now = Moment(0.0, self._start)
        try:
            for frame in source.frames():
                for observation in tracking.observe([frame]):
                    now = Moment(observation.frame.at, observation.frame.wall)
                    yield from decided.told(decided.policy.observe(observation), now)
                on_frame(frame)
        except EndOfFile:
            pass
        while not tracking.idle:
            for observation in tracking.observe([]):
                now = Moment(observation.frame.at, observation.frame.wall)
                yield from decided.told(decided.policy.observe(observation), now)
        # Time goes on when frames stop: what is still open ends as that of a camera that went away.
        decided.policy.over()
        linger = self._config.alerts.linger
        now = Moment(now.at + linger, now.wall + linger)
        yield from decided.told(decided.policy.tick(now), now)


class _Decisions:
    """Turns decisions into messages, and asks the questions among them at once."""

    def __init__(self, policy: CameraPolicy, oracle: Oracle, envelope: Envelope) -> None:
        self.policy = policy
        self._oracle = oracle
        self._envelope = envelope
        self._seq = 0

    def told(self, decisions: list[Decision], now: Moment) -> Iterator[AlertMessage]:
        """Yield the messages that follow from `decisions`, and from the answers to them."""
        for decision in decisions:
            if decision.alert is not None:
                self._seq += 1
                latency = None if decision.captured_at is None else 0
                yield self._envelope.message(decision.alert, self._seq, capture_to_publish_ms=latency)
        for decision in decisions:
            if decision.request is not None:
                yield from self.told(self.policy.assessed(self._oracle.ask(decision.request), now), now)
