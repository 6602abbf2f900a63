from __future__ import annotations

import threading

from surveil.channels import Channel, FrameQueue
from surveil.testing import frame


def test_a_full_channel_makes_the_sender_wait_and_says_so() -> None:
    channel: Channel[int] = Channel(2)
    assert channel.put(1, timeout=0)
    assert channel.put(2, timeout=0)
    assert not channel.put(3, timeout=0.01)
    assert channel.get(timeout=0) == 1
    assert channel.put(3, timeout=0)
    assert [channel.get(0), channel.get(0), channel.get(0.01)] == [2, 3, None]


def test_a_waiting_receiver_is_woken() -> None:
    channel: Channel[str] = Channel(1)
    received: list[str | None] = []
    receiver = threading.Thread(target=lambda: received.append(channel.get(timeout=10)))
    receiver.start()
    channel.put("now", timeout=0)
    receiver.join(10)
    assert received == ["now"]


def test_the_newest_frames_win_and_drops_are_counted_by_camera() -> None:
    dropped: list[str] = []
    queue = FrameQueue(["a", "b"], depth=3, on_drop=dropped.append)
    for index in range(5):
        queue.put(frame(float(index), "a", index))
    queue.put(frame(0.0, "b"))
    assert dropped == ["a", "a"]
    assert len(queue) == 4
    assert [f.index for f in queue.take(8, timeout=0) if f.camera == "a"] == [2, 3, 4]


def test_in_a_batch_every_camera_comes_before_any_comes_again() -> None:
    queue = FrameQueue(["a", "b", "c"])
    for name in "abc":
        queue.put(frame(0.0, name, 0))
    for index in (1, 2):
        queue.put(frame(1.0, "b", index))
    batches = [[(f.camera, f.index) for f in queue.take(limit=2, timeout=0)] for _ in range(3)]
    assert batches == [[("a", 0), ("b", 0)], [("c", 0), ("b", 1)], [("b", 2)]]
    assert queue.take(limit=2, timeout=0.01) == []


def test_a_window_gathers_the_cameras_that_are_there_and_waits_for_no_dead_one() -> None:
    queue = FrameQueue(["a", "b", "dead"])
    queue.put(frame(0.0, "a"))
    queue.put(frame(0.0, "b"))
    queue.take(limit=8, timeout=0)
    batches: list[list[str]] = []
    taker = threading.Thread(target=lambda: batches.append([f.camera for f in queue.take(8, timeout=30, window=30)]))
    taker.start()
    queue.put(frame(1.0, "a"))
    assert taker.is_alive()
    queue.put(frame(1.0, "b"))
    taker.join(10)  # far less than the window: with both there it is over
    assert not taker.is_alive()
    assert batches == [["a", "b"]]


def test_a_window_ends_by_itself_and_with_a_full_batch() -> None:
    queue = FrameQueue(["a", "b"])
    for name in "ab":
        queue.put(frame(0.0, name))
    assert len(queue.take(limit=1, timeout=0, window=60)) == 1
    assert [f.camera for f in queue.take(limit=8, timeout=0, window=0.01)] == ["b"]
