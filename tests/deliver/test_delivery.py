from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from surveil.config import load
from surveil.deliver.delivery import Delivery, encoded
from surveil.deliver.outbox import Outbox
from surveil.deliver.wire import Envelope
from surveil.messages import Decision, Image
from surveil.metrics import Metrics
from surveil.store.evidence import EvidenceFolder
from surveil.testing import SimulatedClock, picture
from tests.deliver.test_wire import ALERT
from tests.real.components import wait_for


class Running:
    def __init__(self, folder: Path) -> None:
        (folder / "c.yaml").write_text("cameras: {front: {source: rtsp://h/1}}\n")
        self.outbox = Outbox()
        self.woken = 0
        self.clock = SimulatedClock(at=100.0)
        self.delivery = Delivery(
            Envelope(load(folder / "c.yaml")),
            EvidenceFolder(folder / "data"),
            self.outbox,
            self._wake,
            Metrics(),
            self.clock,
        )

    def _wake(self) -> None:
        self.woken += 1


def test_a_decision_becomes_a_numbered_message_with_its_picture_stored(tmp_path: Path) -> None:
    running = Running(tmp_path)
    running.delivery.start()
    running.delivery.deliver(Decision(ALERT, captured_at=99.75, picture=lambda: picture(640, 360)))
    running.delivery.deliver(Decision(replace(ALERT, rev=2, phase="update")))
    wait_for(lambda: len(running.outbox) == 2, 5, "two messages")
    assert running.delivery.stop(5)
    assert running.woken == 2
    first = running.outbox.head()
    assert first is not None
    told = json.loads(first[0].payload)
    assert first[0].topic == "front/alert"
    assert told["latency_ms"]["capture_to_publish"] == 250
    assert told["snapshot"] == f"front/2000/01/01/{ALERT.id}.jpg"
    stored = (tmp_path / "data" / told["snapshot"]).read_bytes()
    assert stored == first[1]
    running.outbox.sent(1, first[1])
    second = running.outbox.head()
    assert second is not None
    again = json.loads(second[0].payload)
    assert (again["seq"], again["rev"]) == (2, 2)
    assert again["snapshot"] == told["snapshot"]
    assert again["latency_ms"]["capture_to_publish"] is None


def test_a_disk_that_takes_nothing_does_not_silence_the_alert(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "data").write_text("a file where a folder should be")
    running = Running(tmp_path)
    running.delivery.start()
    running.delivery.deliver(Decision(ALERT, picture=picture))
    wait_for(lambda: len(running.outbox) == 1, 5, "the message")
    assert running.delivery.stop(5)
    head = running.outbox.head()
    assert head is not None
    assert json.loads(head[0].payload)["snapshot"] is None
    assert head[1] is not None
    assert "a snapshot cannot be written" in caplog.text


def test_a_picture_that_cannot_be_made_does_not_silence_the_alert(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Image:
        raise ValueError("what only a decoder understands")

    running = Running(tmp_path)
    running.delivery.start()
    for rev in (1, 2, 3):
        running.delivery.deliver(Decision(replace(ALERT, rev=rev), picture=broken))
    wait_for(lambda: len(running.outbox) == 3, 5, "the messages")
    assert running.delivery.stop(5)
    head = running.outbox.head()
    assert head is not None
    assert json.loads(head[0].payload)["snapshot"] is None
    assert head[1] is None
    assert caplog.text.count("camera=front a picture cannot be made: ValueError") == 1


def test_encoded_is_a_jpeg_of_the_same_picture() -> None:
    image = picture(320, 240, 90)
    image[100:140, 100:200] = (0, 0, 255)
    back = cv2.imdecode(np.frombuffer(encoded(image), np.uint8), cv2.IMREAD_COLOR)
    assert back is not None
    assert back.shape == image.shape
    assert np.abs(back.astype(int) - image).mean() < 3
