from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from surveil.config import load
from surveil.deliver.delivery import Delivery, Shelves, encoded
from surveil.deliver.outbox import Outbox
from surveil.deliver.wire import Envelope, restored
from surveil.interfaces import StorageError
from surveil.messages import AssessmentRequest, Decision, Facts, Image, Keyframe, Level, Track
from surveil.metrics import Metrics
from surveil.outgoing import Outgoing
from surveil.store.evidence import EvidenceFolder, day
from surveil.store.ledger import AlertLedger
from surveil.store.questions import QuestionBook
from surveil.testing import SimulatedClock, picture
from tests.deliver.boxes import boxed
from tests.deliver.test_wire import ALERT
from tests.real.components import wait_for


class Running:
    def __init__(self, folder: Path, outbox: Outbox) -> None:
        (folder / "c.yaml").write_text("cameras: {front: {source: rtsp://h/1}}\n")
        self.outbox = outbox
        self.woken = 0
        self.clock = SimulatedClock(at=100.0)
        evidence = EvidenceFolder(folder / "data")
        ledger = outbox._ledger
        assert isinstance(ledger, AlertLedger)
        self.ledger = ledger
        self.questions = QuestionBook(ledger, evidence)
        self.delivery = Delivery(
            Envelope(load(folder / "c.yaml")),
            Shelves(outbox, evidence, self.questions),
            self._wake,
            Metrics(),
            self.clock,
        )

    def _wake(self) -> None:
        self.woken += 1

    def take(self) -> Outgoing:
        head = self.outbox.head()
        assert head is not None
        self.outbox.sent(1, head)
        self.outbox.acknowledge(1)
        return head


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with boxed(tmp_path / "box") as outbox:
        yield Running(tmp_path, outbox)


def test_a_decision_becomes_a_numbered_message_with_its_picture_stored(tmp_path: Path, running: Running) -> None:
    running.delivery.start()
    running.delivery.deliver(Decision(ALERT, captured_at=99.75, picture=lambda: picture(640, 360)))
    running.delivery.deliver(Decision(replace(ALERT, rev=2, phase="update")))
    wait_for(lambda: len(running.outbox) == 2, 5, "two messages")
    assert running.delivery.stop(5)
    assert running.woken in {1, 2}
    first = running.take()
    told = json.loads(first.payload)
    assert first.topic == "front/alert"
    assert told["latency_ms"]["capture_to_publish"] == 250
    assert told["snapshot"] == first.picture == f"front/{day(ALERT.id):%Y/%m/%d}/{ALERT.id}.jpg"
    assert (tmp_path / "data" / told["snapshot"]).read_bytes()[:3] == b"\xff\xd8\xff"
    second = running.take()
    again = json.loads(second.payload)
    assert (again["seq"], again["rev"]) == (2, 2)
    assert (again["snapshot"], second.picture) == (told["snapshot"], None)
    assert again["latency_ms"]["capture_to_publish"] is None


def test_a_disk_that_takes_nothing_does_not_silence_the_alert(
    tmp_path: Path, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "data").write_text("a file where a folder should be")
    running.delivery.start()
    running.delivery.deliver(Decision(ALERT, picture=picture))
    wait_for(lambda: len(running.outbox) == 1, 5, "the message")
    assert running.delivery.stop(5)
    head = running.take()
    assert json.loads(head.payload)["snapshot"] is None
    assert head.picture is None
    assert head.jpeg is not None
    assert "a snapshot cannot be written" in caplog.text


def test_a_picture_that_cannot_be_made_does_not_silence_the_alert(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Image:
        raise ValueError("what only a decoder understands")

    running.delivery.start()
    for rev in (1, 2, 3):
        running.delivery.deliver(Decision(replace(ALERT, rev=rev), picture=broken))
    wait_for(lambda: len(running.outbox) == 3, 5, "the messages")
    assert running.delivery.stop(5)
    head = running.take()
    assert json.loads(head.payload)["snapshot"] is None
    assert (head.picture, head.jpeg) == (None, None)
    assert caplog.text.count("camera=front a picture cannot be made: ValueError") == 1


def test_a_question_outlives_a_crash_with_its_pictures(running: Running) -> None:
    subject = ALERT.subjects[0]
    views = (
        Keyframe(98.0, lambda: picture(448, 252, 40), (subject,), (Track(9, "dog", 0.5, (0.1, 0.1, 0.2, 0.3)),)),
        Keyframe(99.0, lambda: picture(140, 140, 90), (subject,), region=(0.2, 0.2, 0.6, 0.9)),
    )
    facts = Facts("Front door", "a door", "Monday 12:00", ("person in view for 0.2 s",))
    asked = AssessmentRequest(ALERT.id, "front", Level.low, 98.0, 118.0, views, facts)
    running.delivery.run_once([Decision(ALERT), Decision(request=asked)])
    (left,) = running.ledger.left_open(since=0.0)
    assert restored(left.payload).id == ALERT.id
    assert left.answer_by == running.clock.wall() + 18.0
    assert left.question is not None
    later = SimulatedClock(at=5.0, wall=running.clock.wall() + 6.0)
    again = running.questions.again(ALERT.id, left.question, left.answer_by, later)
    assert (again.incident, again.camera, again.floor, again.facts) == (ALERT.id, "front", Level.low, facts)
    assert (again.triggered_at, again.deadline_at) == (5.0, 17.0)
    assert [view.at for view in again.keyframes] == [5.0, 6.0]
    for view, before in zip(again.keyframes, views, strict=True):
        assert (view.subjects, view.others, view.region) == (before.subjects, before.others, before.region)
        assert np.abs(view.image().astype(int) - before.image()).mean() < 3
    with pytest.raises(StorageError, match="its question cannot be read"):
        running.questions.again(ALERT.id, '{"facts": []}', left.answer_by, later)


def test_encoded_is_a_jpeg_of_the_same_picture() -> None:
    image = picture(320, 240, 90)
    image[100:140, 100:200] = (0, 0, 255)
    back = cv2.imdecode(np.frombuffer(encoded(image), np.uint8), cv2.IMREAD_COLOR)
    assert back is not None
    assert back.shape == image.shape
    assert np.abs(back.astype(int) - image).mean() < 3
