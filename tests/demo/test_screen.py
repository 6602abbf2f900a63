from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from surveil.demo.screen import summary, table
from surveil.demo.subscriber import Received

Message = dict[str, Any]


def message(
    ident: str = "01M891NYNHZMQHKJ559MJYF3SR", phase: str = "new", level: str = "low", state: str = "pending"
) -> Message:
    assessment = {"state": state, "summary": "A person walks.", "recommended_action": "Look.", "latency_ms": 1500,
                  "error": "no answer before the deadline"}  # fmt: skip
    return {
        "id": ident, "phase": phase, "risk": {"level": level, "score": 20}, "assessment": assessment,
        "reason": "person in view for 1.2 s", "latency_ms": {"capture_to_publish": 120},
    }  # fmt: skip


def shown(*messages: Message, width: int = 100) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table([(946_728_000.0, one) for one in messages]))
    return console.export_text()


def test_what_is_known_is_shown_the_rules_word_first_and_then_the_vlms() -> None:
    assert "person in view for 1.2 s …" in shown(message())
    assert "0.12" in shown(message())
    done = shown(message(phase="update", state="done"))
    assert "A person walks. Look." in done
    assert "1.50" in done
    assert "expired: no answer before the deadline" in shown(message(phase="update", state="expired"), width=160)


def test_a_narrow_terminal_loses_no_line() -> None:
    assert shown(message(), message(phase="update", state="done"), width=50).count("3SR") == 2


def test_the_last_line_adds_up() -> None:
    received = Received()
    assert summary(received) == "0 incidents, 0 of them assessed; risks: none."
    received.alerts += [
        (0.0, message("one")), (1.0, message("one", "update", "high", "done")), (2.0, message("two")),
    ]  # fmt: skip
    assert (received.pending, received.assessed) == (True, True)
    received.alerts.append((3.0, message("two", "end", "low", "expired")))
    received.stats = {"cameras": {"yard": {"dropped": 0}}}
    assert summary(received) == "2 incidents, 1 of them assessed; risks: high, low, 0 frames dropped."
