"""An incident: what the findings of one camera that touch in time share, and the revisions that tell of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from surveil.messages import (
    Alert,
    Answer,
    Assessment,
    AssessmentState,
    EndReason,
    Finding,
    Kind,
    Level,
    Observation,
    Phase,
    Picture,
    Risk,
    Subject,
)
from surveil.trigger.keyframes import Shortlist

SLOW_SECONDS = 5.0
"""Changes of tracks and zones alone are told at most this often."""
MAX_SUBJECTS = 50
_NO_ANSWER = frozenset({"failed", "expired", "shed"})
_KINDS: tuple[Kind, ...] = ("person", "object", "anomaly")
"""An incident is the first of these that any of its findings is."""
SETTLE_SECONDS = 1.0
"""How long an incident, or a rise of its floor, is watched for better views before the VLM is asked; the alert itself
does not wait."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment on both clocks: monotonic seconds and UNIX seconds."""

    at: float
    wall: float


class Incident:
    """One incident from its first finding to its last message. Owned by its camera's policy."""

    def __init__(
        self,
        ident: str,
        camera: str,
        began: Moment,
        notify_at: Level,
        previous: Incident | None = None,
        suppressed: int = 0,
    ) -> None:
        self.id = ident
        self.camera = camera
        self.began = began
        self.last_finding = began
        self.rev = 0
        self.shortlist = Shortlist()
        self.assessment = Assessment(ident, camera, "pending")
        self.asked = 0
        self.end_reason: EndReason | None = None
        self._previous = previous.id if previous and previous.rev else None  # one that nobody was told of has no name
        self._notify_at = notify_at
        self._told_unanswered: bool = previous._told_unanswered if previous else False
        self._notified: Level | None = previous._notified if previous else None
        self._suppressed = suppressed
        self._kinds: set[Kind] = set()
        self._rules: dict[str, str] = {}
        self._longest: dict[str, float] = {}
        self._floor = Level.none
        self._rose_at = began.at
        self._asked_at = began.at
        self._asked_floor = Level.none
        self._heard = 0
        self._raised: int | None = None
        self._subjects: dict[int, Subject] = {}
        self._changed: dict[str, None] = {}
        self._told_slow_at = began.at
        self._pictured_at: float | None = None
        self._reason: str | None = None

    @classmethod
    def restored(cls, told: Alert, now: Moment, notify_at: Level) -> Incident:
        """Return an incident as its last message tells of it, which a restart has ended; it gets no more findings."""
        ago = max(0.0, now.wall - told.updated)
        incident = cls(told.id, told.camera, Moment(now.at - ago, told.started), notify_at)
        incident.last_finding = Moment(now.at - ago, told.updated if told.ended is None else told.ended)
        incident.rev = told.rev
        incident.assessment = told.assessment
        incident.end_reason = "restart"
        incident._previous, incident._suppressed = told.previous, told.suppressed
        incident._kinds = {told.kind}
        incident._rules = dict.fromkeys(told.rules, "")
        incident._reason = told.reason
        incident._floor = told.risk.floor
        incident._raised = told.risk.score if told.risk.source == "vlm" else None
        incident._subjects = {subject.track: subject for subject in told.subjects}
        incident._notified = told.risk.level if told.risk.level >= notify_at else None
        incident._told_unanswered = told.assessment.state in _NO_ANSWER
        return incident

    @property
    def floor(self) -> Level:
        """The highest severity of the rules that fired."""
        return self._floor

    @property
    def rules(self) -> tuple[str, ...]:
        """The names of the rules that fired, in the order in which they first did."""
        return tuple(self._rules)

    @property
    def tracks(self) -> frozenset[int]:
        """The tracks, and things without one, that it is about."""
        return frozenset(self._subjects)

    @property
    def reasons(self) -> tuple[str, ...]:
        """What each rule said of the longest that it held, in the order in which they first fired."""
        return tuple(self._rules.values())

    @property
    def risk(self) -> Risk:
        """The rules' floor, or what the VLM raised it to; never below the floor."""
        return Risk.of(self._floor, self._raised)

    @property
    def awaits(self) -> bool:
        """Whether an assessment is still to come."""
        return self.assessment.state == "pending" or self.asked > self._heard

    def add(
        self, findings: Sequence[Finding], subjects: Sequence[Subject], seen: Observation | None, now: Moment
    ) -> None:
        """Take in what the rules found at one moment, and whom; `seen` is None where no picture showed it."""
        self.last_finding = now
        for finding in findings:
            if finding.rule not in self._rules:
                self._changed["rules"] = None
            # The longest is what it was about: the last frames may show somebody who has only just come.
            if finding.seconds >= self._longest.get(finding.rule, 0.0):
                self._longest[finding.rule] = finding.seconds
                self._rules[finding.rule] = finding.reason
            self._kinds.add(finding.kind)
            if finding.severity > self._floor:
                self._floor = finding.severity
                self._rose_at = now.at
                if self.asked:
                    self.shortlist.renew()  # the next look must show what raised it, not better views of before
                self._changed["risk"] = None
        for subject in subjects:
            self._add_subject(subject)
        if seen is not None:
            told = {subject.track for subject in subjects}
            others = [track for track in seen.tracks if track.id not in told]
            self.shortlist.consider(seen.frame, subjects, others)

    def _add_subject(self, subject: Subject) -> None:
        known = self._subjects.get(subject.track)
        if known is None and len(self._subjects) >= MAX_SUBJECTS:
            return
        if known is None:
            self._changed["tracks"] = None
        if set(subject.zones) - set(known.zones if known else ()):
            self._changed["zones"] = None
        self._subjects[subject.track] = subject

    def wants_look(self, at: float, reassess_after: float | None) -> float | None:
        """Return the monotonic moment since which a look of the VLM is wanted; None while none is.

        The first one is wanted when the incident has settled, another when its floor has risen, or when it goes on and
        the last question is `reassess_after` seconds old.
        """
        if self.assessment.state == "disabled":
            return None
        if not self.asked:
            return self.began.at if at - self.began.at >= SETTLE_SECONDS else None
        if not self.shortlist.fresh:
            return None  # there is nothing to show that was not shown before
        if self._floor > self._asked_floor:
            return self._rose_at if at - self._rose_at >= SETTLE_SECONDS else None
        if reassess_after is None or self.awaits or self.last_finding.at - self._asked_at < reassess_after:
            return None
        return at

    def ask(self, at: float) -> int:
        """Note that the VLM is asked now; return the number of this look."""
        self.asked += 1
        self._asked_at, self._asked_floor = at, self._floor
        self.shortlist.renew()
        return self.asked

    def hears(self, assessment: Assessment) -> bool:
        """Take in how a question about this incident ended; return whether that changes anything.

        An answer stands until a newer one; of several questions under way, only the last may end without one.
        """
        if assessment.look <= self._heard:
            return False
        if assessment.state != "done" and assessment.look < self.asked:
            return False
        self._heard = assessment.look
        self.assessed(assessment)
        return True

    def assessed(self, assessment: Assessment) -> None:
        """Take in how the assessment ended."""
        before = self.risk
        if assessment.answer is None and self.assessment.answer is not None:
            why = f"asked again, {assessment.state}: {assessment.error or 'no reason given'}"
            assessment = replace(self.assessment, error=why)
        elif assessment.answer is not None:
            self._raised = self._standing_score(assessment.answer)
        self.assessment = assessment
        self._changed["assessment"] = None
        if self.risk != before:
            self._changed["risk"] = None

    def _standing_score(self, answer: Answer) -> int:
        """Return the score that counts: nothing is lowered by an answer that writing in the picture may have given."""
        if "text_instructs" in answer.flags and self._raised is not None:
            return max(answer.score, self._raised)
        return answer.score

    def fresh_picture(self) -> Picture | None:
        """Return what makes the best view so far at the camera's size; None when it was given already."""
        best = self.shortlist.best()
        if best is None or best.at == self._pictured_at:
            return None
        self._pictured_at = best.at
        return best.full

    def close(self, reason: EndReason) -> None:
        """The incident is over; its last message may still wait for the assessment."""
        self.end_reason = reason

    def has_news(self, at: float) -> bool:
        """Return whether an update is due at monotonic `at`."""
        fast = {"risk", "assessment", "rules"} & self._changed.keys()
        return bool(fast) or (bool(self._changed) and at - self._told_slow_at >= SLOW_SECONDS)

    def tell(self, phase: Phase, now: Moment) -> Alert:
        """Return the next revision, with all that changed since the last one."""
        self.rev += 1
        changed = () if phase == "new" else tuple(self._changed)
        notify = self._disturbs()
        self._changed.clear()
        self._told_slow_at = now.at
        ended = self.last_finding.wall if phase == "end" else None
        return Alert(
            id=self.id,
            rev=self.rev,
            phase=phase,
            changed=changed,
            notify=notify,
            camera=self.camera,
            kind=next((kind for kind in _KINDS if kind in self._kinds), "object"),
            rules=self.rules,
            reason="; ".join(self.reasons) if self._reason is None else self._reason,
            started=self.began.wall,
            updated=now.wall,
            ended=ended,
            risk=self.risk,
            assessment=self.assessment,
            subjects=tuple(self._subjects.values()),
            end_reason=self.end_reason if phase == "end" else None,
            previous=self._previous,
            suppressed=self._suppressed,
        )

    def _disturbs(self) -> bool:
        """Decide `notify`: the level first reaches the mark, each further rise, and an answer that never came."""
        level = self.risk.level
        rises = level >= self._notify_at and (self._notified is None or level > self._notified)
        if rises:
            self._notified = level
        unanswered = (
            "assessment" in self._changed
            and self.assessment.state in _NO_ANSWER
            and self._floor >= Level.low
            and not self._told_unanswered
        )
        self._told_unanswered |= unanswered
        return rises or unanswered

    def give_up(self, state: AssessmentState, error: str) -> None:
        """Stop waiting for an assessment that has not come back."""
        self._heard = self.asked
        self.assessed(Assessment(self.id, self.camera, state, error=error))
