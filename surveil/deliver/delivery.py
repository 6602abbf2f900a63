"""The delivery stage: one thread that turns decided alerts into numbered messages with their pictures."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

import cv2
import numpy as np

from surveil.channels import Channel
from surveil.clock import Clock
from surveil.deliver.outbox import Outbox, Outgoing
from surveil.deliver.wire import Envelope
from surveil.logs import Fold
from surveil.messages import Alert, Decision, Image
from surveil.metrics import Metrics

_log = logging.getLogger(__name__)
JPEG_QUALITY = 85


class Evidence(Protocol):
    """Where pictures are kept."""

    def save_snapshot(self, alert: Alert, jpeg: bytes) -> str:
        """Store the picture; return its path below the storage path. Raises OSError."""


class Delivery:
    """An AlertSink: `deliver` takes decisions, the thread makes and stores what is sent of them."""

    def __init__(
        self,
        envelope: Envelope,
        evidence: Evidence,
        outbox: Outbox,
        wake: Callable[[], None],
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._envelope = envelope
        self._evidence = evidence
        self._outbox = outbox
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

    def deliver(self, decision: Decision) -> None:
        """Take one decision with an alert in it; never blocks."""
        if not self._decided.put(decision, timeout=0):
            self._metrics.count("alerts_lost")
            self._fold.warn("an alert was lost: the delivery stage does not keep up")

    def run(self) -> None:
        """Deliver until stopped and nothing is left."""
        while True:
            decision = self._decided.get(timeout=0.25)
            if decision is None:
                if self._stop.is_set():
                    return
            elif decision.alert is not None:
                try:
                    self.run_once(decision, decision.alert)
                except Exception:  # noqa: BLE001 - one bad message must not hold back the others
                    _log.exception("alert=%s could not be made into a message", decision.alert.id)

    def run_once(self, decision: Decision, alert: Alert) -> None:
        """Make and line up one message."""
        jpeg = self._pictured(decision, alert)
        if jpeg is not None:
            self._store(alert, jpeg)
        latency = None
        if decision.captured_at is not None:
            seconds = self._clock.monotonic() - decision.captured_at
            self._metrics.sample("capture_to_alert_seconds", seconds)
            latency = round(seconds * 1000)
        message = self._envelope.message(alert, self._snapshots.get(alert.id), latency)
        if alert.phase == "end":
            self._snapshots.pop(alert.id, None)
        label = f"camera={alert.camera} alert={alert.id} rev={alert.rev} {alert.phase} risk={alert.risk.level.name}"
        _log.info("%s: %s", label, alert.reason)
        self._outbox.append(
            Outgoing(label, f"{alert.camera}/alert", message.line().encode(), alert.camera, picture=jpeg)
        )
        self._wake()

    def _pictured(self, decision: Decision, alert: Alert) -> bytes | None:
        if decision.picture is None:
            return None
        try:
            return encoded(decision.picture())
        except Exception as error:  # noqa: BLE001 - whatever a decoder raises: the alert goes out all the same
            self._fold.warn(f"camera={alert.camera} a picture cannot be made: {type(error).__name__}")
            return None

    def _store(self, alert: Alert, jpeg: bytes) -> None:
        try:
            self._snapshots[alert.id] = self._evidence.save_snapshot(alert, jpeg)
        except OSError as error:
            # The alert goes out all the same: a full disk must not silence it.
            self._fold.warn(f"camera={alert.camera} a snapshot cannot be written: {error.strerror}")


def encoded(image: Image) -> bytes:
    """Return the picture as a JPEG."""
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise ValueError(f"a picture of shape {image.shape} cannot be a JPEG")
    return np.asarray(data).tobytes()
