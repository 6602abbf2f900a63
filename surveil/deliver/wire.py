"""The alert message as subscribers get it (CONTRACT section 4), and its JSON Schema."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from surveil.clock import utc_seconds, utc_text
from surveil.config import Config
from surveil.messages import (
    Alert,
    Answer,
    Assessment,
    AssessmentState,
    EndReason,
    Flag,
    Kind,
    Level,
    Phase,
    Risk,
    Subject,
    Verdict,
)

SCHEMA = "surveil.alert/1"
LevelName = Literal["none", "low", "medium", "high", "critical"]
Fraction = Annotated[float, Field(ge=0, le=1)]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WireRisk(_Wire):
    """How bad it is, and who says so."""

    level: LevelName
    score: Annotated[int, Field(ge=0, le=100)]
    source: Literal["rules", "vlm"]
    floor: LevelName


class WireAssessment(_Wire):
    """What the VLM said, or why there is nothing from it.

    `flags` are doubts: `counts_differ` from the detector's and `not_detected` by it, `text_instructs` (writing in the
    picture that talks to a model), `views_differ` (further looks at the same pictures came to other levels). An `error`
    beside an answer says that a later look at the same incident came to nothing.
    """

    state: AssessmentState
    verdict: Verdict | None = None
    summary: str | None = None
    activity: str | None = None
    evidence: tuple[str, ...] = ()
    recommended_action: str | None = None
    scene_text: str | None = None
    confidence: Fraction | None = None
    model: str | None = None
    latency_ms: int | None = None
    error: str | None = None
    flags: tuple[Flag, ...] = ()


class WireObject(_Wire):
    """One tracked thing; `box` is x1, y1, x2, y2 as fractions of the picture."""

    track: int
    label: str
    confidence: Fraction
    box: tuple[Fraction, Fraction, Fraction, Fraction]
    zones: tuple[str, ...]
    dwell_s: float


class WireLatency(_Wire):
    """Milliseconds from the trigger frame's capture to the hand-over; null where no frame was the trigger."""

    capture_to_publish: int | None


class AlertMessage(_Wire):
    """One alert message."""

    schema_: Literal["surveil.alert/1"] = Field("surveil.alert/1", alias="schema")
    id: str
    rev: Annotated[int, Field(ge=1)]
    seq: Annotated[int, Field(ge=1)]
    phase: Phase
    changed: tuple[str, ...]
    notify: bool
    end_reason: EndReason | None
    previous: str | None
    suppressed: int
    node: str
    camera: str
    name: str | None
    labels: dict[str, str]
    tz: str
    kind: Kind
    rules: tuple[str, ...]
    reason: str
    started: str
    updated: str
    ended: str | None
    risk: WireRisk
    assessment: WireAssessment
    objects: tuple[WireObject, ...]
    snapshot: str | None
    clip: str | None
    snapshot_url: str | None
    clip_url: str | None
    latency_ms: WireLatency

    def line(self) -> str:
        """Return the message as one line of JSON."""
        return self.model_dump_json(by_alias=True)


class Envelope:
    """Makes messages of alerts: adds what only the node knows. Any thread."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def message(
        self,
        alert: Alert,
        seq: int,
        snapshot: str | None = None,
        clip: str | None = None,
        capture_to_publish_ms: int | None = None,
    ) -> AlertMessage:
        """Return the message for `alert`; picture and video lie at `snapshot` and `clip` below the storage path."""
        camera = self._config.cameras.get(alert.camera)  # None: left the config while its incident was open
        return AlertMessage(
            schema=SCHEMA,
            id=alert.id,
            rev=alert.rev,
            seq=seq,
            phase=alert.phase,
            changed=alert.changed,
            notify=alert.notify,
            end_reason=alert.end_reason,
            previous=alert.previous,
            suppressed=alert.suppressed,
            node=self._config.node,
            camera=alert.camera,
            name=(camera.name if camera else None) or self._config.name,
            labels={**self._config.labels, **(camera.labels if camera else {})},
            tz=self._config.local_zone(alert.camera),
            kind=alert.kind,
            rules=alert.rules,
            reason=alert.reason,
            started=utc_text(alert.started),
            updated=utc_text(alert.updated),
            ended=None if alert.ended is None else utc_text(alert.ended),
            risk=WireRisk(
                level=_level(alert.risk.level.name),
                score=alert.risk.score,
                source=alert.risk.source,
                floor=_level(alert.risk.floor.name),
            ),
            assessment=_assessment(alert),
            objects=tuple(_object(subject) for subject in alert.subjects),
            snapshot=snapshot,
            clip=clip,
            snapshot_url=None,
            clip_url=None,
            latency_ms=WireLatency(capture_to_publish=capture_to_publish_ms),
        )


def restored(payload: bytes) -> Alert:
    """Return the alert that a stored message tells of. Raises ValueError for what is no alert message."""
    message = AlertMessage.model_validate_json(payload)
    told = message.assessment
    answer = None
    if told.model is not None:
        answer = Answer(
            score=message.risk.score,
            verdict=told.verdict or "unclear",
            summary=told.summary or "",
            activity=told.activity or "",
            evidence=told.evidence,
            recommended_action=told.recommended_action or "",
            scene_text=told.scene_text or "",
            confidence=told.confidence or 0.0,
            model=told.model,
            flags=told.flags,
        )
    assessment = Assessment(message.id, message.camera, told.state, answer, told.latency_ms, told.error)
    risk = message.risk
    return Alert(
        id=message.id,
        rev=message.rev,
        phase=message.phase,
        changed=message.changed,
        notify=message.notify,
        camera=message.camera,
        kind=message.kind,
        rules=message.rules,
        reason=message.reason,
        started=utc_seconds(message.started),
        updated=utc_seconds(message.updated),
        ended=None if message.ended is None else utc_seconds(message.ended),
        risk=Risk(Level[risk.level], risk.score, risk.source, Level[risk.floor]),
        assessment=assessment,
        subjects=tuple(
            Subject(one.track, one.label, one.confidence, one.box, one.dwell_s, one.zones) for one in message.objects
        ),
        end_reason=message.end_reason,
        previous=message.previous,
        suppressed=message.suppressed,
    )


def alert_schema() -> dict[str, Any]:
    """Return the JSON Schema of one alert message."""
    return AlertMessage.model_json_schema(by_alias=True, mode="serialization")


def _level(name: str) -> LevelName:
    return name  # type: ignore[return-value]  # Level's names are these literals; a test holds them together


def _assessment(alert: Alert) -> WireAssessment:
    assessment = alert.assessment
    state: dict[str, Any] = {
        "state": assessment.state,
        "latency_ms": assessment.latency_ms,
        "error": assessment.error,
    }
    answer = assessment.answer
    if answer is None:
        return WireAssessment(**state)
    return WireAssessment(
        verdict=answer.verdict,
        summary=answer.summary,
        activity=answer.activity,
        evidence=answer.evidence,
        recommended_action=answer.recommended_action,
        scene_text=answer.scene_text,
        confidence=answer.confidence,
        model=answer.model,
        flags=answer.flags,
        **state,
    )


def _object(subject: Subject) -> WireObject:
    return WireObject(
        track=subject.track,
        label=subject.label,
        confidence=subject.confidence,
        box=subject.box,
        zones=subject.zones,
        dwell_s=subject.dwell_s,
    )
