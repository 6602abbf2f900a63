"""Questions to the VLM on disk, with their pictures, so that one that a crash cut off can be asked again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from surveil.clock import Clock
from surveil.interfaces import StorageError
from surveil.messages import AssessmentRequest, Facts, Image, Keyframe, Level, Subject, Track
from surveil.store.evidence import EvidenceFolder
from surveil.store.ledger import AlertLedger

_QUALITY = 92


class QuestionBook:
    """Keeps each incident's newest question; its keyframes are evidence like the snapshot. Any thread."""

    def __init__(self, ledger: AlertLedger, evidence: EvidenceFolder) -> None:
        self._ledger = ledger
        self._evidence = evidence

    def keep(self, request: AssessmentRequest, answer_by: float) -> None:
        """Store a question, which is of no use after `answer_by`, UNIX seconds. Raises StorageError, OSError."""
        first = request.keyframes[0].at if request.keyframes else 0.0
        views = [
            {
                "file": self._evidence.save_keyframe(request, number, _encoded(view.image())),
                "at": view.at - first,
                "subjects": [_subject(one) for one in view.subjects],
                "others": [[one.id, one.label, one.confidence, one.box] for one in view.others],
                "region": view.region,
            }
            for number, view in enumerate(request.keyframes, 1)
        ]
        facts = request.facts
        told = [facts.camera, facts.context, facts.local_time, list(facts.reasons)]
        question = {"camera": request.camera, "floor": request.floor.name, "facts": told, "views": views}
        self._ledger.asked(request.incident, answer_by, json.dumps(question))

    def again(self, incident: str, question: str, answer_by: float, clock: Clock) -> AssessmentRequest:
        """Return a stored question as it is asked after a restart. Raises StorageError where it is damaged."""
        now = clock.monotonic()
        try:
            told = json.loads(question)
            camera, context, local_time, reasons = told["facts"]
            return AssessmentRequest(
                incident=incident,
                camera=told["camera"],
                floor=Level[told["floor"]],
                triggered_at=now,
                deadline_at=now + answer_by - clock.wall(),
                keyframes=tuple(self._view(view, now) for view in told["views"]),
                facts=Facts(camera, context, local_time, tuple(reasons)),
            )
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise StorageError(f"alert={incident} its question cannot be read: {type(error).__name__}") from None

    def _view(self, view: dict[str, Any], now: float) -> Keyframe:
        subjects = tuple(
            Subject(track, label, confidence, _box(box), dwell, tuple(zones))
            for track, label, confidence, box, dwell, zones in view["subjects"]
        )
        others = tuple(Track(track, label, confidence, _box(box)) for track, label, confidence, box in view["others"])
        region = None if view["region"] is None else _box(view["region"])
        return Keyframe(now + view["at"], self._picture(view["file"]), subjects, others, region)

    def _picture(self, name: str) -> Callable[[], Image]:
        def decoded() -> Image:
            image = cv2.imdecode(np.frombuffer(self._evidence.read(name), np.uint8), cv2.IMREAD_COLOR)
            if image is None:
                raise ValueError(f"{name} is damaged")
            return np.asarray(image, np.uint8)

        return decoded


def _encoded(image: Image) -> bytes:
    return np.asarray(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]).tobytes()


def _subject(one: Subject) -> list[Any]:
    return [one.track, one.label, one.confidence, one.box, one.dwell_s, one.zones]


def _box(told: Any) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = map(float, told)
    return x1, y1, x2, y2
