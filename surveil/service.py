"""The daemon: the only wiring. `startup`, `start_threads`, `main_loop` and `shutdown` each read in order.

The main thread is the trigger stage: it owns the policy and takes observations, assessments and camera states from
one inbox, so that decisions need no locks.
"""

from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from surveil import __version__, assessors, build, systemd
from surveil.assess.assessment import AssessmentStage
from surveil.assess.queue import UrgencyQueue
from surveil.capture import clip
from surveil.capture.grabber import Grabber
from surveil.capture.packets import PacketRing
from surveil.capture.recorder import ClipRecorder
from surveil.channels import Channel, FrameQueue
from surveil.clips import Clips
from surveil.clock import Clock, SystemClock, utc_text
from surveil.commands import Command
from surveil.config import Config, machine_name
from surveil.control import Control, Ear, home_of, info, modes_of
from surveil.deliver import embedded
from surveil.deliver.delivery import Delivery, Shelves
from surveil.deliver.mqtt import MqttLink
from surveil.deliver.outbox import Outbox
from surveil.deliver.wire import SCHEMA, Envelope, restored
from surveil.detect.detection import DetectionStage, Tracking
from surveil.interfaces import AlertSink, StorageError
from surveil.logs import Fold
from surveil.messages import (
    Alert,
    Assessment,
    AssessmentRequest,
    CameraStatus,
    Decision,
    Frame,
    Observation,
)
from surveil.metrics import Metrics
from surveil.overload import Overload
from surveil.stats import Stats
from surveil.status import LIVE, StatusBoard
from surveil.store.ballast import Ballast
from surveil.store.database import Database
from surveil.store.evidence import EvidenceFolder
from surveil.store.habits import HabitsFile
from surveil.store.ledger import AlertLedger, LeftOpen
from surveil.store.questions import QuestionBook
from surveil.store.retention import Retention
from surveil.store.switches import SwitchTable
from surveil.switches import Switches
from surveil.trigger.identity import random_entropy
from surveil.trigger.incidents import Moment
from surveil.trigger.lane import RESTART_SECONDS
from surveil.trigger.policy import Policy

_log = logging.getLogger(__name__)

TICK_SECONDS = 0.25
OBJECTS_SECONDS = 1.0
RESENT_SECONDS = 1.0
STATS_SECONDS = 10.0
WATCHDOG_SECONDS = 5.0
HABITS_SECONDS = 900.0
"""How often what the cameras have learnt is written down; they learn in days."""
STALE_SECONDS = 20.0
"""A detector that has not moved for so long hangs: systemd's watchdog is no longer fed."""
HUNG_SECONDS = 60.0
"""Where no watchdog ends a hanging daemon, it ends itself."""
STOP_SECONDS = 9.0
"""The whole shutdown; each step spends from what the ones before it left, and none can spend it all."""

Inbox = Channel[Observation | Assessment | CameraStatus | Command]


@dataclass
class _Deadline:
    """One time-out that several steps share."""

    clock: Clock
    at: float

    def left(self, at_most: float) -> float:
        return max(0.0, min(at_most, self.at - self.clock.monotonic()))


@dataclass
class _Chore:
    """Something that the main loop does now and then; the first time at once."""

    every: float
    do: Callable[[float], None]
    due: float = 0.0

    def do_when_due(self, now: float) -> None:
        if now >= self.due:
            self.due = now + self.every
            self.do(now)


class Service:
    """One daemon, from its config to its end."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._clock: Clock = SystemClock()
        self._signals = 0
        self._metrics = Metrics()
        self._fold = Fold(_log)
        self._inbox: Inbox = Channel(256)
        self._dark: frozenset[str] = frozenset()
        self._ready = False
        self._board = StatusBoard(config.cameras, self._clock)

    def run(self) -> int:
        """Run until a signal; return the exit code. Raises SurveilError for what keeps it from starting."""
        previous = {number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            self.startup()
            if self._signals:
                return 0
            self.start_threads()
            fatal = self._faulty_main_loop()
            self.shutdown(clean=not fatal)
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
        return 1 if fatal else 0

    def startup(self) -> None:
        """Load the detector and connect the rooms; a broker or camera that is away fails nothing."""
        config, clock, metrics = self._config, self._clock, self._metrics
        systemd.notify("STATUS=loading the detector", "EXTEND_TIMEOUT_USEC=120000000")
        evidence = EvidenceFolder(Path(config.storage.path))
        try:
            evidence.prepare()
        except OSError as error:
            raise StorageError(f"storage.path {config.storage.path} cannot be written: {error.strerror}") from None
        self._open_database()
        build.passwords(config)
        broker = build.broker(config)
        self._embedded = embedded.EmbeddedBroker(config.mqtt.port) if config.mqtt.embedded else None
        if self._embedded is not None:
            self._embedded.start()
        _log.info("loading the detector %s", config.detector.model)
        detector = build.detector(config)
        _log.info("detector: %s, %d labels", detector.name, len(detector.labels))

        assessor = assessors.assessor(config, clock)
        queue = UrgencyQueue()
        self._kept = HabitsFile(Path(config.storage.path))
        self._habits = build.habits(config, self._kept)
        self._policy = Policy(config, assessor is not None, random_entropy, self._habits)
        self._assessment = (
            AssessmentStage(assessor, queue, self._from_assessment, metrics, clock) if assessor is not None else None
        )
        self._ledger = AlertLedger(self._database, clock.wall)
        self._questions = QuestionBook(self._ledger, evidence)
        self._outbox = outbox = Outbox(self._ledger, clock)
        outbox.open()
        machine = machine_name()
        ear = Ear(config, machine, lambda command: self._inbox.put(command, timeout=0), metrics)
        days = config.storage.keep_days
        kept = None if days is None else days * 86_400
        self._link = MqttLink(broker, outbox, clock, evidence.read, kept, ear.hearing())
        switches = Switches(config.cameras, SwitchTable(self._database), clock)
        self._control = Control(switches, self._policy, self._ledger, outbox, self._link, clock)
        shelves = Shelves(outbox, evidence, self._questions)
        self._delivery = Delivery(Envelope(config), shelves, self._link.wake, metrics, clock)
        self._sink: AlertSink = self._delivery
        self._stats = Stats(
            metrics,
            queue=lambda: len(queue),
            outbox=lambda: {"waiting": len(outbox), "lost": outbox.lost, "dead": outbox.dead},
            assessor=self._assessor_state,
        )
        self._overload = Overload(metrics)
        self._frames = FrameQueue(config.cameras, on_drop=self._dropped)
        tracking = Tracking(detector, config.cameras, config.detector.confidence, config.detector.every)
        self._detection = DetectionStage(tracking, self._frames, self._inbox.put, metrics, clock)
        self._details = {
            name: stream
            for name, camera in config.cameras.items()
            if (stream := build.detail(name, camera, clock)) is not None
        }
        _log.info("cameras are decoded %s", build.decoder())
        rings: dict[str, PacketRing] = {}
        self._grabbers = [self._grabber(name, detector.input_size, rings) for name in config.cameras]
        masked = {name: "masks" for name, camera in config.cameras.items() if camera.masks}
        self._recorder = ClipRecorder(Path(config.storage.path), rings, clock, masked)
        self._clips = Clips(
            self._recorder, lambda camera, ident: evidence.name(camera, ident, ".mp4"), self._sink.deliver, clock
        )
        self._clips.recovered({Path(name).stem: name for name in clip.clean(Path(config.storage.path))})

    def _open_database(self) -> None:
        folder = Path(self._config.storage.path)
        ballast = Ballast(folder)
        self._database = Database(folder, ballast.give_up)
        self._database.open()
        self._retention = Retention(self._database, ballast, self._config.storage, self._clock)

    def start_threads(self) -> None:
        """Start every room, the last ones first, so that each finds the next one there."""
        if self._assessment is not None:
            self._assessment.start()
        self._link.retain("info", info(self._config, machine_name(), _about()), 1)
        self._control.begin(modes_of(self._config))
        self._control.announce(home_of(self._config))
        self._darken()
        self._link.start()
        self._delivery.start()
        self._recorder.start()
        self._retention.start()  # before anything is seen: it compares the clock with the newest alert of the last run
        self._detection.start()
        for reader in self._readers():
            reader.start()

    def _faulty_main_loop(self) -> bool:
        """Run the main loop; a fault of ours in it must not cost the alerts that are on their way."""
        try:
            return self.main_loop()
        except Exception:  # noqa: BLE001
            _log.exception("a fault in the main loop")
            return True

    def main_loop(self) -> bool:
        """Decide until a signal comes; return whether a fault ended it."""
        chores = [
            _Chore(TICK_SECONDS, self._tick),
            _Chore(OBJECTS_SECONDS, self._tell_objects),
            _Chore(RESENT_SECONDS, self._look_again),
            _Chore(STATS_SECONDS, self._tell_stats),
            _Chore(WATCHDOG_SECONDS, self._feed_watchdog),
            _Chore(HABITS_SECONDS, self._keep_habits),
        ]
        self._resume()
        while not self._signals:
            self._take(self._inbox.get(TICK_SECONDS / 2))
            now = self._clock.monotonic()
            for chore in chores:
                chore.do_when_due(now)
            fault = self._fatal(now)
            if fault is not None:
                _log.critical(fault)
                return True
        return False

    def shutdown(self, clean: bool = True) -> None:
        """Stop in the order in which things flow, within STOP_SECONDS; nothing decided is left untold.

        After a fault (not `clean`) the broker is left to speak our last will instead of `stopped`.
        """
        systemd.notify("STOPPING=1", "STATUS=stopping")
        _log.info("stopping")
        deadline = _Deadline(self._clock, self._clock.monotonic() + STOP_SECONDS)
        self._stop_readers()
        if not self._detection.stop(deadline.left(1.5)):
            _log.warning("the detector did not stop in time")
        self._drain()
        if self._assessment is not None and not self._assessment.stop(deadline.left(2.0)):
            _log.warning("the assessor did not stop in time")
        self._drain()
        self._keep_habits(0.0)
        self._act(self._policy.end_all("restart", "the daemon stopped before the answer", self._now()))
        if not self._recorder.stop(deadline.left(2.0)):
            _log.warning("not every clip could be completed in time: the next start does that")
        self._clips.let_all_go()
        if not self._delivery.stop(deadline.left(1.5)):
            _log.warning("not every alert could be made into a message in time")
        for grabber in self._grabbers:
            self._board.read(CameraStatus(grabber.camera, "offline", self._clock.wall(), "surveil stopped"))
            self._retain_status(grabber.camera)
        if not self._link.stop(deadline.left(2.0), clean):
            _log.warning("%d messages wait on disk for the broker and the next start", self._link.waiting)
        if self._embedded is not None and not self._embedded.stop(deadline.left(2.0)):
            _log.warning("the built-in broker did not stop in time")
        if not self._retention.stop(deadline.left(1.0)):
            _log.warning("what is old was still being deleted")
        self._database.close()
        _log.info("stopped")

    def _stop_readers(self) -> None:
        for reader in self._readers():
            reader.stop()
        reading = _Deadline(self._clock, self._clock.monotonic() + 2.0)
        for reader in self._readers():
            if not reader.join(reading.left(2.0)):
                _log.warning("camera=%s a blocked read is left to the end of the process", reader.camera)

    # The threads' ways in.

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals > 1:
            os.write(2, b"stopped at once; what was decided in the last moments may be lost\n")
            os._exit(1)
        os.write(2, b"stopping; a second signal ends it at once\n")

    def _on_frame(self, frame: Frame) -> None:
        if frame.camera in self._dark:
            return
        self._metrics.count("frames", frame.camera)
        self._frames.put(frame)

    def _on_status(self, status: CameraStatus) -> None:
        if not self._inbox.put(status, timeout=5.0):
            self._fold.warn(f"camera={status.camera} a state was lost: the main loop does not keep up")

    def _dropped(self, camera: str) -> None:
        self._metrics.count("frames_dropped", camera)
        self._fold.warn(f"camera={camera} a frame was dropped: the detector does not keep up")

    def _from_assessment(self, assessment: Assessment) -> None:
        if not self._inbox.put(assessment, timeout=5.0):
            self._fold.warn("an assessment was lost: the main loop does not keep up")

    # The main thread's own.

    def _readers(self) -> list[Grabber[Any]]:
        return [*self._grabbers, *(detail.grabber for detail in self._details.values())]

    def _now(self) -> Moment:
        return Moment(self._clock.monotonic(), self._clock.wall())

    def _take(self, item: Observation | Assessment | CameraStatus | Command | None) -> None:
        match item:
            case Observation():
                self._act(self._policy.observe(item))
                camera = item.frame.camera
                if self._board.seen(camera, self._policy.cameras[camera].ground.scene.scene):
                    self._retain_status(camera)
            case Assessment():
                self._act(self._policy.assessed(item, self._now()))
            case CameraStatus():
                self._board.read(item)
                policy = self._policy.cameras[item.camera]
                policy.present(item.state == "online")
                if item.over:
                    policy.over()
                self._retain_status(item.camera)
            case None:
                pass
            case command:
                self._act(self._control.take(command))
                self._darken()

    def _drain(self) -> None:
        while (item := self._inbox.get(timeout=0)) is not None:
            self._take(item)

    def _act(self, decisions: list[Decision]) -> None:
        for decision in decisions:
            if decision.alert is not None:
                self._clips.tell(decision, decision.alert)
        # A question may end at once, in a message that comes after those of this moment.
        for decision in decisions:
            if decision.request is not None and self._assessment is not None:
                if decision.request.within_budget:
                    self._sink.deliver(Decision(request=decision.request))
                for ended in self._assessment.submit(decision.request):
                    self._take(ended)

    def _darken(self) -> None:
        """See to it that cameras whose detection is switched off are not watched, and that their status says so."""
        switches = self._control.switches
        self._dark = frozenset(name for name in self._config.cameras if "detect" in switches.off(name))
        self._board.switched_off(self._dark)
        for camera in self._config.cameras:
            self._retain_status(camera)

    def _resume(self) -> None:
        """Bring what the last run left open to its end, and let what begins soon go on with what it ended."""
        now = self._now()
        try:
            left = self._ledger.left_open(now.wall - RESTART_SECONDS)
        except StorageError as error:
            _log.error("what the last run left open stays so: %s", error)
            return
        for incident in left:
            try:
                told = restored(incident.payload)
                if told.phase != "end" and incident.snapshot is not None:
                    self._delivery.recovered(told.id, incident.snapshot)
                if told.phase != "end" or told.end_reason == "restart":
                    self._act(self._policy.resume(told, self._asked_again(told, incident), now))
            except (StorageError, ValueError) as error:
                _log.error("an incident of the last run cannot be ended: %s", error)

    def _asked_again(self, told: Alert, left: LeftOpen) -> AssessmentRequest | None:
        """Return what the VLM was asked about an incident, where its answer can still come in time."""
        if told.assessment.state != "pending" or self._assessment is None or left.question is None:
            return None
        if left.answer_by is None or left.answer_by <= self._clock.wall():
            return None
        return self._questions.again(told.id, left.question, left.answer_by, self._clock)

    def _tick(self, _now: float) -> None:
        if not self._ready:
            self._ready = self._tell_ready()
        turned, decisions = self._control.tick()
        self._act(decisions)
        if turned:
            self._darken()
        self._act(self._policy.tick(self._now()))
        self._clips.tick()
        for grabber in self._grabbers:
            self._take(grabber.check())
        for name, detail in self._details.items():
            if detail.changed():
                self._retain_status(name)

    def _feed_watchdog(self, now: float) -> None:
        if now - self._detection.heartbeat < STALE_SECONDS:
            systemd.notify("WATCHDOG=1")

    def _fatal(self, now: float) -> str | None:
        """Return what is wrong for good; None while all can go on."""
        if self._detection.fault is not None:
            return f"the detector keeps failing: {self._detection.fault}"
        if now - self._detection.heartbeat > HUNG_SECONDS:
            return f"the detector has not moved for {HUNG_SECONDS:.0f} s"
        return None

    def _tell_ready(self) -> bool:
        if self._assessment is not None and not self._assessment.wait_ready(0):
            systemd.notify("STATUS=loading the assessor", "EXTEND_TIMEOUT_USEC=60000000")
            return False
        if self._assessment is not None and self._assessment.model:
            _log.info("assessor: %s", self._assessment.model)
        systemd.notify("READY=1")
        _log.info("ready: node %s watches %s", self._config.node, ", ".join(self._config.cameras))
        return True

    def _tell_stats(self, now: float) -> None:
        self._board.slow(self._overload.judge(self._config.cameras, now))
        statuses = {name: self._board.current(name) for name in self._config.cameras}
        self._link.pass_on("stats", self._stats.payload(statuses, now))
        for name in statuses:
            self._retain_status(name)
        up = sum(status.state in LIVE for status in statuses.values())
        systemd.notify(f"STATUS={up} of {len(self._grabbers)} cameras, broker {self._link.describe()}")

    def _look_again(self, _now: float) -> None:
        """Send what `surveil alerts resend` lets go out again."""
        try:
            if self._database.changed_elsewhere():
                self._outbox.look_again()
                self._link.wake()
        except StorageError as error:
            self._fold.warn(f"what is to be sent again cannot be seen: {error}")

    def _tell_objects(self, now: float) -> None:
        for name, policy in self._policy.cameras.items():
            there = policy.ground.book.counts(now) if self._board.current(name).state in LIVE else {}
            self._link.retain(f"{name}/objects", json.dumps(there).encode(), 0)

    def _assessor_state(self) -> dict[str, str | None] | None:
        """Return which model answers, and what keeps it from answering now; None where there is none."""
        if self._assessment is None:
            return None
        return {"model": self._assessment.model, "fault": self._assessment.fault}

    def _keep_habits(self, _now: float) -> None:
        for camera, habits in self._habits.items():
            try:
                self._kept.save(camera, habits.to_dict())
            except OSError as error:
                self._fold.warn(f"camera={camera} what it has learnt cannot be written: {error.strerror}")

    def _retain_status(self, camera: str) -> None:
        status = self._board.current(camera)
        live = status.state in LIVE
        fps, detected = self._stats.fps(camera) if live else (0.0, 0.0)
        detail = self._details.get(camera)
        away = detail.away if detail is not None else None
        payload = {
            "state": status.state,
            "since": utc_text(status.since),
            "fps": round(fps),
            "fps_detected": round(detected),
            "dropped": self._metrics.counted("frames_dropped", camera),
            "detail": status.detail or (away or "" if live else ""),
            "pictures": "detail" if detail is not None and away is None else "source",
            "off": self._control.switches.off(camera),
        }
        self._link.retain(f"{camera}/status", json.dumps(payload).encode(), 1)

    def _grabber(self, name: str, input_size: tuple[int, int], rings: dict[str, PacketRing]) -> Grabber[Frame]:
        camera, detail = self._config.cameras[name], self._details.get(name)
        make_source = build.source(name, camera, input_size, self._clock, self._metrics, detail)
        if make_source.ring is not None:
            rings[name] = make_source.ring
        return Grabber(name, make_source, self._on_frame, self._on_status, self._clock)


def _about() -> dict[str, Any]:
    boot = Path("/proc/sys/kernel/random/boot_id")
    return {
        "version": __version__,
        "schemas": {"alert": SCHEMA},
        "boot_id": boot.read_text(encoding="ascii").strip() if boot.exists() else None,
        "license": "AGPL-3.0-or-later",
        "source": "Free software: who runs this node owes you its source on request (AGPL, 13).",
    }
