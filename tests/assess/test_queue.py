from __future__ import annotations

import random
from dataclasses import replace

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
        assert queue.offer(waiting) == []
    assert [popped.incident for popped in queue.pop(2)] == ["high", "low-soon"]
    assert [popped.incident for popped in queue.pop(2)] == ["low-late"]
    assert queue.pop() == []


def test_a_full_queue_sheds_the_least_urgent_also_when_that_is_the_new_one() -> None:
    queue = UrgencyQueue(capacity=2)
    queue.offer(request("medium", Level.medium))
    queue.offer(request("low", Level.low))
    assert [shed.incident for shed in queue.offer(request("high", Level.high))] == ["low"]
    assert [shed.incident for shed in queue.offer(request("none", Level.none))] == ["none"]
    assert len(queue) == 2


def test_newer_pictures_of_an_incident_take_the_place_of_older_ones() -> None:
    queue = UrgencyQueue(capacity=2)
    first, other = request("one", Level.low), request("other", Level.low)
    assert queue.offer(first) == queue.offer(other) == []
    second = replace(request("one", Level.high, 30.0), look=2)
    assert queue.offer(second) == [first]
    assert queue.pop(5) == [second, other]


def test_nothing_more_urgent_is_shed_before_something_less_urgent() -> None:
    dice = random.Random(3)
    queue = UrgencyQueue(capacity=16)
    for number in range(2000):
        offered = request(str(number), dice.choice(list(Level)), dice.uniform(0, 100))
        for shed in queue.offer(offered):
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
