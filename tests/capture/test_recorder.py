from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from surveil.capture import recorder as recording
from surveil.capture.packets import CodedPacket, Coding, PacketRing
from surveil.capture.recorder import POST_SECONDS, PRE_SECONDS, ClipRecorder, RingFollower
from surveil.testing import SimulatedClock
from tests.capture.numbered import FPS, Packets, numbers, packets_of, write_numbered
from tests.real.components import wait_for

BEGAN = 1000.0
NAME = "front/2026/11/22/one.mp4"


@pytest.fixture(scope="module")
def minute(tmp_path_factory: pytest.TempPathFactory) -> Packets:
    """A minute as a camera sends it from BEGAN on, with a key picture every 2 s: picture n is captured at n / FPS."""
    return packets_of(write_numbered(tmp_path_factory.mktemp("minute") / "v.ts", 600), begin=BEGAN)


class Camera:
    """Gives its packets to its ring as time goes by."""

    def __init__(self, clock: SimulatedClock, packets: Packets) -> None:
        self.ring = PacketRing()
        self.clock = clock
        self.coding, self.packets = packets
        self._given = 0

    def until(self, second: float) -> None:
        """Let time pass until so many seconds after BEGAN."""
        while self._given < len(self.packets) and self.packets[self._given].at <= BEGAN + second + 1e-6:
            self.ring.add(self.coding, self.packets[self._given])
            self._given += 1
        self.clock.at = BEGAN + second


class Told:
    """What a recorder said of its clips."""

    def __init__(self) -> None:
        self.all: list[tuple[str | None, str]] = []

    def __call__(self, name: str | None, word: str) -> None:
        self.all.append((name, word))

    def one(self) -> tuple[str | None, str]:
        return wait_for(lambda: self.all, 20, "a clip")[-1]  # type: ignore[no-any-return]


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(BEGAN)


@pytest.fixture
def camera(clock: SimulatedClock, minute: Packets) -> Camera:
    return Camera(clock, minute)


@pytest.fixture
def recorder(
    clock: SimulatedClock, camera: Camera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ClipRecorder]:
    monkeypatch.setattr(recording, "PACE_SECONDS", 0.01)
    made = ClipRecorder(tmp_path, {"front": camera.ring}, clock, {"yard": "masks"})
    made.start()
    yield made
    assert made.stop(20)


def catch_up(recorder: ClipRecorder, ring: PacketRing) -> None:
    """Wait until the recorder's thread has taken all that the camera gave."""

    def caught_up(follower: RingFollower | None) -> bool:
        newest = ring.newest()
        if follower is None or newest is None:
            return True
        return follower._waiting == [newest] and follower._taken == len(newest.packets)

    wait_for(lambda: all(caught_up(clip.follower) for clip in list(recorder._open.values())), 20, "the recorder")


@pytest.mark.parametrize(("at", "last"), [(20.0, 25.0), (21.9, 21.9), (25.0, 40.0)])
def test_the_clip_of_a_visit_has_what_was_before_and_after_it(
    at: float, last: float, camera: Camera, recorder: ClipRecorder, tmp_path: Path
) -> None:
    told = Told()
    camera.until(at + 0.8)  # what it takes to decide
    recorder.begin("A", "front", BEGAN + at, NAME)
    for second in range(int(at) + 1, int(last) + 15):
        camera.until(float(second))
        catch_up(recorder, camera.ring)
    recorder.finish("A", BEGAN + last, told)
    assert told.one() == (NAME, "")
    key = int((at - PRE_SECONDS) / 2) * 2 * FPS
    assert numbers(tmp_path / NAME) == list(range(key, int((last + POST_SECONDS) * FPS + 0.01) + 1))
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["one.mp4"]


def test_what_is_still_to_come_is_waited_for(camera: Camera, recorder: ClipRecorder, tmp_path: Path) -> None:
    told = Told()
    camera.until(10.0)
    recorder.begin("A", "front", BEGAN + 10.0, NAME)
    recorder.finish("A", BEGAN + 10.0, told)
    camera.until(10.0 + POST_SECONDS - 0.1)
    catch_up(recorder, camera.ring)
    assert told.all == []
    camera.until(10.0 + POST_SECONDS)
    assert told.one() == (NAME, "")
    assert numbers(tmp_path / NAME) == list(range(40, 131))


def test_a_camera_that_is_gone_holds_nothing_up(camera: Camera, recorder: ClipRecorder, tmp_path: Path) -> None:
    told = Told()
    camera.until(10.0)
    recorder.begin("A", "front", BEGAN + 10.0, NAME)
    recorder.finish("A", BEGAN + 10.5, told)
    camera.clock.at = BEGAN + 10.5 + POST_SECONDS
    assert told.one() == (NAME, "")
    assert numbers(tmp_path / NAME) == list(range(40, 101))


def test_an_incident_of_a_camera_that_was_cut_shows_what_it_saw_last(
    camera: Camera, recorder: ClipRecorder, tmp_path: Path
) -> None:
    told = Told()
    camera.until(31.5)
    camera.clock.at = BEGAN + 62.0
    recorder.begin("A", "front", BEGAN + 61.5, NAME)
    recorder.finish("A", BEGAN + 61.5, told)
    camera.clock.at = BEGAN + 65.0
    assert told.one() == (NAME, "")
    assert numbers(tmp_path / NAME) == list(range(260, 316))
    # What it saw an hour ago has nothing to do with it.
    recorder.begin("B", "front", BEGAN + 3600, NAME)
    recorder.finish("B", BEGAN + 3600, told)
    camera.clock.at = BEGAN + 3700
    wait_for(lambda: len(told.all) == 2, 10, "the second")
    assert told.all[1] == (None, "the camera sent no picture then")


def test_what_is_left_of_an_earlier_connection_is_in_no_clip(
    camera: Camera, recorder: ClipRecorder, tmp_path: Path
) -> None:
    told = Told()
    camera.until(9.9)
    again = replace(camera.coding)
    camera.ring.begin()
    for packet in camera.packets[200:260]:
        camera.ring.add(again, replace(packet, at=packet.at + 3600))
    camera.clock.at = BEGAN + 3626
    recorder.begin("A", "front", BEGAN + 3622, NAME)
    recorder.finish("A", BEGAN + 3622, told)
    assert told.one() == (NAME, "")
    assert numbers(tmp_path / NAME) == list(range(200, 251))


def test_what_was_before_is_kept_however_long_the_thread_takes(
    clock: SimulatedClock, camera: Camera, tmp_path: Path
) -> None:
    late = ClipRecorder(tmp_path, {"front": camera.ring}, clock)
    told = Told()
    camera.until(20.0)
    late.begin("A", "front", BEGAN + 20.0, NAME)
    camera.until(28.0)
    late.finish("A", BEGAN + 22.0, told)
    late.start()
    assert told.one() == (NAME, "")
    assert late.stop(10)
    assert numbers(tmp_path / NAME) == list(range(140, 251))


def test_many_incidents_at_a_time_have_a_clip_each(camera: Camera, recorder: ClipRecorder, tmp_path: Path) -> None:
    told = Told()
    for number in range(10):
        camera.until(20.0 + number)
        recorder.begin(str(number), "front", BEGAN + 20.0 + number, f"front/{number}.mp4")
        catch_up(recorder, camera.ring)
    for number in range(10):
        camera.until(31.0 + number)
        recorder.finish(str(number), BEGAN + 25.0 + number, told)
        catch_up(recorder, camera.ring)
    wait_for(lambda: len(told.all) == 10, 20, "all clips")
    assert sorted(told.all) == [(f"front/{number}.mp4", "") for number in range(10)]
    for number in range(10):
        key = (15 + number) // 2 * 2 * FPS
        assert numbers(tmp_path / f"front/{number}.mp4") == list(range(key, (28 + number) * FPS + 1))


def test_a_daemon_that_stops_completes_what_is_open(clock: SimulatedClock, camera: Camera, tmp_path: Path) -> None:
    stopping = ClipRecorder(tmp_path, {"front": camera.ring}, clock)
    stopping.start()
    told = Told()
    camera.until(10.0)
    stopping.begin("A", "front", BEGAN + 10.0, "front/a.mp4")
    stopping.begin("B", "front", BEGAN + 10.0, "front/b.mp4")
    camera.until(12.0)
    stopping.finish("A", BEGAN + 12.0, told)
    assert stopping.stop(20)
    assert told.all == [("front/a.mp4", "")]
    for name in ("a", "b"):
        assert numbers(tmp_path / f"front/{name}.mp4") == list(range(40, 121))


def test_a_stop_has_an_end(
    clock: SimulatedClock, camera: Camera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = ClipRecorder(tmp_path, {"front": camera.ring}, clock)
    go_on = threading.Event()
    monkeypatch.setattr("surveil.capture.clip.complete", lambda *_: go_on.wait(30))
    slow.start()
    camera.until(10.0)
    slow.begin("A", "front", BEGAN + 10.0, "front/a.mp4")
    slow.begin("B", "front", BEGAN + 10.0, "front/b.mp4")
    assert not slow.stop(0.3)
    go_on.set()
    wait_for(lambda: not slow._threads[1].is_alive(), 10, "the end")
    assert (tmp_path / "front/b.mp4.part").exists(), "the second was begun after time was up"


def test_a_discarded_clip_is_gone(camera: Camera, recorder: ClipRecorder, tmp_path: Path) -> None:
    told = Told()
    camera.until(10.0)
    recorder.begin("A", "front", BEGAN + 10.0, NAME)
    wait_for((tmp_path / f"{NAME}.part").exists, 10, "the clip begins")
    recorder.discard("A")
    recorder.discard("never begun")
    wait_for(lambda: not (tmp_path / f"{NAME}.part").exists(), 10, "the clip is gone")
    recorder.finish("A", BEGAN + 10.0, told)
    assert told.one() == (None, "none was begun")


def test_a_camera_without_a_ring_has_no_clip_and_says_why(recorder: ClipRecorder, tmp_path: Path) -> None:
    told = Told()
    for incident, camera in (("A", "yard"), ("B", "cellar")):
        recorder.begin(incident, camera, BEGAN, f"{camera}/one.mp4")
        recorder.finish(incident, BEGAN, told)
    wait_for(lambda: len(told.all) == 2, 10, "both")
    assert sorted(told.all) == [(None, "its packets are not kept"), (None, "masks")]
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_leaves_the_root_is_refused(recorder: ClipRecorder) -> None:
    for name in ("../one.mp4", "/one.mp4", "front/../../one.mp4"):
        with pytest.raises(ValueError, match="is no name for a clip"):
            recorder.begin("A", "front", BEGAN, name)


def test_too_many_clips_at_a_time(
    camera: Camera, recorder: ClipRecorder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recording, "MOST_CLIPS", 2)
    told = Told()
    camera.until(10.0)
    for name in "abc":
        recorder.begin(name, "front", BEGAN + 10.0, f"{name}.mp4")
    recorder.finish("c", BEGAN + 5.0, told)
    assert told.one() == (None, "too many clips are being recorded")
    assert "camera=front an incident has no clip: too many clips are being recorded" in caplog.text
    recorder.discard("a")
    wait_for(lambda: recorder._busy == 1, 10, "room")
    recorder.begin("d", "front", BEGAN + 10.0, "d.mp4")
    recorder.finish("d", BEGAN + 7.0, told)
    recorder.finish("b", BEGAN + 7.0, told)
    wait_for(lambda: len(told.all) == 3, 10, "all")
    assert sorted(told.all[1:]) == [("b.mp4", ""), ("d.mp4", "")]
    assert recorder._busy == 0


def test_a_disk_that_is_nearly_full_is_left_to_the_alerts(
    camera: Camera, recorder: ClipRecorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    told = Told()
    camera.until(10.0)
    recorder.begin("A", "front", BEGAN + 10.0, NAME)
    wait_for((tmp_path / f"{NAME}.part").exists, 10, "the clip begins")
    monkeypatch.setattr(recording, "RESERVE_BYTES", 1 << 62)
    wait_for(lambda: not (tmp_path / f"{NAME}.part").exists(), 10, "the clip is gone")
    recorder.finish("A", BEGAN + 10.0, told)
    assert told.one() == (None, "the disk is nearly full")
    assert caplog.text.count("an incident has no clip") == 1


def test_a_folder_that_cannot_be_written_costs_the_clip_only(
    camera: Camera, recorder: ClipRecorder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told()
    (tmp_path / "front").write_text("no folder")
    camera.until(10.0)
    recorder.begin("A", "front", BEGAN + 10.0, NAME)
    recorder.begin("B", "front", BEGAN + 10.0, "other/two.mp4")
    camera.until(20.0)
    recorder.finish("A", BEGAN + 10.0, told)
    recorder.finish("B", BEGAN + 10.0, told)
    wait_for(lambda: len(told.all) == 2, 10, "both")
    assert ("other/two.mp4", "") in told.all
    assert (None, "file exists") in told.all or (None, "not a directory") in told.all
    assert caplog.text.count("camera=front an incident has no clip") == 1


def test_a_fault_of_ours_ends_one_clip_only(
    camera: Camera, recorder: ClipRecorder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fault(name: str | None, word: str) -> None:
        raise RuntimeError("a fault in the listener")

    told = Told()
    camera.until(10.0)
    for name in "abc":
        recorder.begin(name, "front", BEGAN + 10.0, f"{name}.mp4")
    real = RingFollower.news

    def news(self: RingFollower) -> Iterator[tuple[Coding, CodedPacket]]:
        if self is recorder._open["b"].follower:
            raise RuntimeError("a fault in the follower")
        yield from real(self)

    monkeypatch.setattr(RingFollower, "news", news)
    wait_for(lambda: "a fault in recording a clip" in caplog.text, 10, "the fault")
    monkeypatch.setattr(RingFollower, "news", real)
    camera.until(15.0)
    recorder.finish("a", BEGAN + 10.0, fault)
    recorder.finish("b", BEGAN + 10.0, told)
    recorder.finish("c", BEGAN + 10.0, told)
    wait_for(lambda: len(told.all) == 2, 10, "both")
    assert told.all == [(None, "a fault of surveil's own; see the log"), ("c.mp4", "")]
    assert "a fault in telling of a clip" in caplog.text


def test_a_clip_that_ends_early_says_so(
    camera: Camera, recorder: ClipRecorder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told()
    camera.until(10.0)
    recorder.begin("A", "front", BEGAN + 10.0, NAME)
    catch_up(recorder, camera.ring)
    larger = packets_of(write_numbered(tmp_path / "large.ts", 20, size=(640, 480)), begin=BEGAN + 10.5)
    camera.ring.begin()
    for packet in larger[1]:
        camera.ring.add(larger[0], packet)
    camera.clock.at = BEGAN + 20.0
    recorder.finish("A", BEGAN + 12.0, told)
    assert told.one() == (NAME, "it ends early: the camera changed its coding")
    assert "camera=front a clip ends before its incident: the camera changed its coding" in caplog.text
    assert numbers(tmp_path / NAME) == list(range(40, 101))


def test_pictures_that_are_all_key_pictures_and_come_at_once_are_all_there(
    clock: SimulatedClock, tmp_path: Path
) -> None:
    coding, packets = packets_of(write_numbered(tmp_path / "v.ts", 30, g="1"), begin=BEGAN)
    ring = PacketRing()
    recorder = ClipRecorder(tmp_path, {"front": ring}, clock)
    told = Told()
    ring.add(coding, packets[0])
    recorder.begin("A", "front", BEGAN, NAME)
    recorder.start()
    for packet in packets[1:]:
        ring.add(coding, replace(packet, at=BEGAN))
    clock.advance(60.0)
    recorder.finish("A", BEGAN, told)
    assert told.one() == (NAME, "")
    assert recorder.stop(10)
    assert numbers(tmp_path / NAME) == list(range(30))
