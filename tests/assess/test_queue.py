from __future__ import annotations

import random

from surveil.assess.queue import UrgencyQueue
from surveil.messages import AssessmentRequest, Facts, Level

FACTS = Facts("Front", "", "Sunday 22:04", ())


def request(incident: str, floor: Level = Level.low, deadline: float = 20.0) -> AssessmentRequest:
    return AssessmentRequest(incident, "front", floor, 0.0, deadline, (), FACTS)


def test_the_floor_decides_then_the_deadline() -> None:
    queue = UrgencyQueue()
    for waiting in (
        request("low-late", Level.low, 30), request("high", Level.high, 40), request("low-soon", Level.low, 10),
    ):  # fmt: skip
        assert queue.offer(waiting) is None
    assert [popped.incident for _ in range(3) if (popped := queue.pop())] == ["high", "low-soon", "low-late"]
    assert queue.pop() is None


def test_a_full_queue_sheds_the_least_urgent_also_when_that_is_the_new_one() -> None:
    queue = UrgencyQueue(capacity=2)
    queue.offer(request("medium", Level.medium))
    queue.offer(request("low", Level.low))
    shed = queue.offer(request("high", Level.high))
    assert shed is not None
    assert shed.incident == "low"
    shed = queue.offer(request("none", Level.none))
    assert shed is not None
    assert shed.incident == "none"
    assert len(queue) == 2


def test_nothing_more_urgent_is_shed_before_something_less_urgent() -> None:
    dice = random.Random(3)
    queue = UrgencyQueue(capacity=16)
    for number in range(2000):
        offered = request(str(number), dice.choice(list(Level)), dice.uniform(0, 100))
        shed = queue.offer(offered)
        if shed is not None:
            left = [(-int(w.floor), w.deadline_at) for w in queue._waiting]
            assert (-int(shed.floor), shed.deadline_at) >= max(left)
        if dice.random() < 0.1:
            queue.pop()
        assert len(queue) <= 16


def test_expired_takes_out_what_is_too_late() -> None:
    queue = UrgencyQueue()
    for deadline in (5.0, 10.0, 15.0):
        queue.offer(request(str(deadline), deadline=deadline))
    assert [late.incident for late in queue.expired(10.0)] == ["5.0", "10.0"]
    assert len(queue) == 1
