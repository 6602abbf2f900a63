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
    taken = [batch[0].index for _ in range(4) if (batch := [f for f in queue.take(8, 0) if f.camera == "a"])]
    assert taken == [2, 3, 4]


def test_a_batch_has_one_frame_a_camera_and_takes_turns() -> None:
    queue = FrameQueue(["a", "b", "c"])
    for name in "abc":
        queue.put(frame(0.0, name))
        queue.put(frame(1.0, name))
    batches = [[f.camera for f in queue.take(limit=2, timeout=0)] for _ in range(3)]
    assert batches == [["a", "b"], ["c", "a"], ["b", "c"]]
    assert queue.take(limit=2, timeout=0.01) == []
