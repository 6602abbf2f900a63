"""The doubles that ship do what they say."""

from __future__ import annotations

from surveil.messages import Alert, Decision
from surveil.testing import ListSink, SimulatedClock, visit
from tests.deliver.test_wire import ALERT


def test_a_visit_is_seen_from_its_first_to_its_last_moment() -> None:
    seen = list(visit(1.0, 2.0, fps=5))
    assert [round(observed.frame.at, 2) for observed in seen] == [1.0, 1.2, 1.4, 1.6, 1.8, 2.0]
    assert {observed.tracks[0].label for observed in seen} == {"person"}


def test_simulated_time_moves_on_both_clocks_only_when_told() -> None:
    clock = SimulatedClock(at=10.0, wall=1000.0)
    clock.advance(2.5)
    assert (clock.monotonic(), clock.wall()) == (12.5, 1002.5)


def test_a_list_sink_keeps_what_it_gets() -> None:
    sink = ListSink()
    sink.deliver(Decision(ALERT))
    kept: list[Alert | None] = [decision.alert for decision in sink.decisions]
    assert kept == [ALERT]
