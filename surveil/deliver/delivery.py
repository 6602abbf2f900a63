"""The delivery stage: one thread that turns decided alerts into stored, numbered messages with their pictures."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from surveil.channels import Channel
from surveil.clock import Clock
from surveil.deliver.outbox import Outbox
from surveil.deliver.wire import Envelope
from surveil.interfaces import StorageError
from surveil.logs import Fold
from surveil.messages import Alert, AssessmentRequest, Decision, Image
from surveil.metrics import Metrics
from surveil.outgoing import Draft

_log = logging.getLogger(__name__)
JPEG_QUALITY = 85
TOGETHER = 50
"""At most so many revisions are stored in one go: each go waits for the disk once."""


class Evidence(Protocol):
    """Where pictures are kept."""

    def save_snapshot(self, alert: Alert, jpeg: bytes) -> str:
        """Store the picture; return its path below the storage path. Raises OSError."""


class Questions(Protocol):
    """Where questions to the VLM are kept until they are answered, for the case of a crash."""

    def keep(self, request: AssessmentRequest, answer_by: float) -> None:
        """Store a question, which is of no use after `answer_by`, UNIX seconds. Raises StorageError, OSError."""


@dataclass(frozen=True, slots=True)
class Shelves:
    """Where the stage puts what it makes."""

    outbox: Outbox
    evidence: Evidence
    questions: Questions


class Delivery:
    """An AlertSink: `deliver` takes decisions, the thread makes and stores what is sent of them."""

    def __init__(
        self, envelope: Envelope, shelves: Shelves, wake: Callable[[], None], metrics: Metrics, clock: Clock
    ) -> None:
        self._envelope = envelope
        self._evidence = shelves.evidence
        self._outbox = shelves.outbox
        self._questions = shelves.questions
        self._wake = wake
        self._metrics = metrics
        self._clock = clock
        self._decided: Channel[Decision] = Channel(1000)
        self._snapshots: dict[str, str] = {}
        self._fold = Fold(_log)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.run, name="deliver", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Let it finish what it has, at most `timeout` seconds; False when it did not."""
        self._stop.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def recovered(self, incident: str, snapshot: str) -> None:
        """Take in where the picture lies of an incident that the last run began: its last message names it too."""
        self._snapshots[incident] = snapshot

    def deliver(self, decision: Decision) -> None:
        """Take one decision; never blocks. Of a question it only keeps what it takes to ask it again after a crash."""
        if not self._decided.put(decision, timeout=0):
            self._metrics.count("alerts_lost")
            self._fold.warn("an alert was lost: the delivery stage does not keep up")

    def run(self) -> None:
        """Deliver until stopped and nothing is left."""
        while True:
            first = self._decided.get(timeout=0.25)
            if first is None:
                self._outbox.save()
                if self._stop.is_set():
                    return
                continue
            decisions = [first]
            while len(decisions) < TOGETHER and (another := self._decided.get(timeout=0)) is not None:
                decisions.append(another)
            try:
                self.run_once(decisions)
            except Exception:  # noqa: BLE001 - a fault of ours over some alerts must not end all that follow
                _log.exception("a fault over %d decisions", len(decisions))

    def run_once(self, decisions: list[Decision]) -> None:
        """Make, store and line up the messages of some decisions; then keep their questions."""
        drafts = [self._draft(decision, decision.alert) for decision in decisions if decision.alert is not None]
        if drafts:
            self._outbox.append(drafts)
            self._wake()
        for decision in decisions:
            if decision.request is not None:
                self._remember(decision.request)

    def _draft(self, decision: Decision, alert: Alert) -> Draft:
        jpeg = self._pictured(decision, alert)
        stored = jpeg is not None and self._store(alert, jpeg)
        snapshot, clip = self._snapshots.get(alert.id), decision.clip
        latency = None
        if decision.captured_at is not None:
            seconds = self._clock.monotonic() - decision.captured_at
            self._metrics.sample("capture_to_alert_seconds", seconds)
            latency = round(seconds * 1000)
        if alert.phase == "end":
            self._snapshots.pop(alert.id, None)
        label = f"camera={alert.camera} alert={alert.id} rev={alert.rev} {alert.phase} risk={alert.risk.level.name}"
        _log.info("%s: %s", label, alert.reason)
        return Draft(
            alert,
            lambda seq: self._envelope.message(alert, seq, snapshot, clip, latency).line().encode(),
            snapshot,
            clip,
            fresh=jpeg is not None,
            jpeg=None if stored else jpeg,
        )

    def _remember(self, request: AssessmentRequest) -> None:
        left = request.deadline_at - self._clock.monotonic()
        try:
            self._questions.keep(request, self._clock.wall() + left)
        except (StorageError, OSError, ValueError) as error:
            self._fold.warn(f"camera={request.camera} a question to the VLM would not outlive a crash: {error}")

    def _pictured(self, decision: Decision, alert: Alert) -> bytes | None:
        if decision.picture is None:
            return None
        try:
            return encoded(decision.picture())
        except Exception as error:  # noqa: BLE001 - whatever a decoder raises: the alert goes out all the same
            self._fold.warn(f"camera={alert.camera} a picture cannot be made: {type(error).__name__}")
            return None

    def _store(self, alert: Alert, jpeg: bytes) -> bool:
        try:
            self._snapshots[alert.id] = self._evidence.save_snapshot(alert, jpeg)
        except OSError as error:
            # The alert goes out all the same: a full disk must not silence it.
            self._fold.warn(f"camera={alert.camera} a snapshot cannot be written: {error.strerror}")
            return False
        return True


def encoded(image: Image) -> bytes:
    """Return the picture as a JPEG."""
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise ValueError(f"a picture of shape {image.shape} cannot be a JPEG")
    return np.asarray(data).tobytes()
