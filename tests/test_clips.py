from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from surveil.clips import PATIENCE_SECONDS, Clips
from surveil.messages import Decision
from surveil.testing import SimulatedClock
from tests.deliver.test_wire import ALERT

END = replace(ALERT, rev=2, phase="end", ended=ALERT.started + 4, end_reason="quiet")


class Recording:
    """A recorder that completes a clip when it is told to."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, str, float, str]] = []
        self.last = 0.0
        self.done: Callable[[str | None, str], None] = lambda _name, _note: None

    def begin(self, incident: str, camera: str, at: float, name: str) -> None:
        self.begun.append((incident, camera, at, name))

    def finish(self, incident: str, last: float, done: Callable[[str | None, str], None]) -> None:
        self.last, self.done = last, done


class Running:
    def __init__(self) -> None:
        self.told: list[Decision] = []
        self.recording = Recording()
        self.clock = SimulatedClock(at=100.0, wall=ALERT.started)
        self.clips = Clips(self.recording, lambda camera, ident: f"{camera}/{ident}.mp4", self.told.append, self.clock)


@pytest.fixture
def running() -> Running:
    return Running()


def test_a_clip_begins_with_the_incident_and_the_end_names_it(running: Running) -> None:
    new = Decision(ALERT, captured_at=99.5)
    running.clips.tell(new, ALERT)
    assert running.recording.begun == [(ALERT.id, "front", 99.5, f"front/{ALERT.id}.mp4")]
    running.clock.advance(10)
    running.clips.tell(Decision(END), END)
    assert [decision.alert for decision in running.told] == [ALERT]
    assert running.recording.last == 104.0
    running.recording.done(f"front/{ALERT.id}.mp4", "")
    assert [(told.alert, told.clip) for told in running.told[1:]] == [(END, f"front/{ALERT.id}.mp4")]
    running.clips.let_all_go()
    assert len(running.told) == 2


def test_a_clip_that_cannot_be_or_takes_too_long_keeps_no_end_back(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    running.clips.tell(Decision(END), END)
    running.recording.done(None, "masks")
    assert [decision.clip for decision in running.told] == [None]
    assert f"alert={ALERT.id} has no clip: masks" in caplog.text

    other = replace(END, id="0" * 26)
    running.clips.tell(Decision(other), other)
    running.clips.tick()
    assert len(running.told) == 1
    running.clock.advance(PATIENCE_SECONDS)
    running.clips.tick()
    running.recording.done("front/late.mp4", "")
    assert [decision.clip for decision in running.told] == [None, None]


def test_a_clip_that_a_crash_cut_off_is_named_by_the_end(running: Running) -> None:
    running.clips.recovered({ALERT.id: "front/saved.mp4"})
    running.clips.tell(Decision(END), END)
    assert [decision.clip for decision in running.told] == ["front/saved.mp4"]


def test_what_still_waits_goes_when_the_daemon_stops(running: Running) -> None:
    running.clips.tell(Decision(END), END)
    running.clips.let_all_go()
    assert [decision.clip for decision in running.told] == [None]
