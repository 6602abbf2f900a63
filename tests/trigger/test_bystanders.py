from __future__ import annotations

import pytest

from surveil.messages import Box
from surveil.testing import track
from surveil.trigger.bystanders import LOST_SECONDS, NEAR_SECONDS, Bystanders

HERE: Box = (0.4, 0.2, 0.6, 0.9)
AWAY: Box = (0.8, 0.2, 0.95, 0.9)
BAG: Box = (0.45, 0.75, 0.5, 0.88)


def test_only_the_living_are_bystanders() -> None:
    bystanders = Bystanders()
    bystanders.see([track(1, box=HERE), track(2, "dog", box=AWAY), track(3, "suitcase", box=BAG)], 1.0)
    assert bystanders.boxes == [HERE, AWAY]


def test_who_touched_a_place_about_then_was_near_it() -> None:
    bystanders = Bystanders()
    for second in range(15):
        bystanders.see([track(1, box=HERE if second < 5 else AWAY), track(2, box=AWAY)], float(second))
    assert bystanders.near(BAG, 4.0) == {1}
    assert bystanders.near(BAG, 4.0 + NEAR_SECONDS) == {1}
    assert not bystanders.near(BAG, 5.0 + NEAR_SECONDS)


@pytest.mark.parametrize(
    ("what", "somebody"),
    [
        (HERE, True),
        ((0.42, 0.25, 0.58, 0.7), True),  # the part of him that keeps still
        (BAG, False),  # what he put down
        (AWAY, False),
        ((0.1, 0.1, 0.9, 0.95), False),
    ],
)
def test_what_stands_where_somebody_was_lost_is_he(what: Box, somebody: bool) -> None:
    bystanders = Bystanders()
    bystanders.see([track(1, box=HERE)], 0.0)
    assert not bystanders.lost_at(what)
    bystanders.see([], 0.5)
    assert bystanders.lost_at(what) == somebody
    bystanders.see([], 1.0 + LOST_SECONDS)
    assert not bystanders.lost_at(what)


def test_one_who_is_found_again_or_goes_on_under_another_number_was_not_lost() -> None:
    bystanders = Bystanders()
    bystanders.see([track(1, box=HERE)], 0.0)
    bystanders.see([], 0.5)
    bystanders.see([track(1, box=HERE)], 1.0)
    bystanders.see([track(2, box=HERE)], 1.5)
    bystanders.see([track(2, box=AWAY)], 2.0)
    assert not bystanders.lost_at(HERE)


def test_a_crowd_that_comes_and_goes_does_not_pile_up() -> None:
    bystanders = Bystanders()
    for second in range(2000):
        bystanders.see([track(second, box=HERE)] if second % 2 else [], float(second) / 100)
    assert len(bystanders._lost) <= 50
    assert len(bystanders._moments) <= 40
