from __future__ import annotations

import contextlib
import itertools
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from surveil.capture.clip import H265, ClipWriter, NoClip, clean, path_of
from surveil.capture.packets import CodedPacket, Coding
from surveil.capture.timeline import GAP_SECONDS
from tests.capture.numbered import FPS, Packets, later, near, numbers, packets_of, shown, write_numbered

KINDS = [("libx264", "0", "ts"), ("libx264", "3", "ts"), ("libx264", "3", "mp4"), ("libx265", "3", "ts"),
         ("libx265", "0", "mp4")]  # fmt: skip


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Packets:
    """Six seconds as a camera sends them: no reordering, start codes."""
    return packets_of(write_numbered(tmp_path_factory.mktemp("plain") / "v.ts", 60))


@pytest.fixture(scope="module")
def reordered(tmp_path_factory: pytest.TempPathFactory) -> Packets:
    return packets_of(write_numbered(tmp_path_factory.mktemp("reordered") / "v.ts", 60, bf="3"))


def written(path: Path, *connections: Packets, until: float | None = None, **bounds: int) -> str:
    """Write a clip of some connections' packets; return what is said of it."""
    writer = ClipWriter(path, **bounds)
    for coding, packets in connections:
        for packet in packets:
            writer.add(coding, packet)
    return writer.finish(until)


@pytest.mark.parametrize(("codec", "bf", "form"), KINDS)
def test_a_clip_has_every_picture_in_order_at_its_time(codec: str, bf: str, form: str, tmp_path: Path) -> None:
    coding, packets = packets_of(write_numbered(tmp_path / f"v.{form}", 60, codec, bf=bf))
    clip = tmp_path / "front/2026/11/22/one.mp4"
    assert written(clip, (coding, packets)) == (H265 if codec == "libx265" else "")
    assert near(shown(clip), [(n, n / FPS) for n in range(60)])
    assert [file.name for file in clip.parent.iterdir()] == ["one.mp4"]
    assert (b"hvc1" in clip.read_bytes()) is (codec == "libx265")


def test_pictures_are_as_they_came(tmp_path: Path, plain: Packets) -> None:
    written(tmp_path / "one.mp4", plain)
    # Every picture's parts have a length before them now, where they had a start code.
    kept = [list(by_length(packet.data)) for packet in packets_of(tmp_path / "one.mp4")[1]]
    assert kept == [[unit.rstrip(b"\0") for unit in p.data.split(b"\0\0\1")[1:]] for p in plain[1]]


def by_length(data: bytes) -> Iterator[bytes]:
    while data:
        end = 4 + int.from_bytes(data[:4], "big")
        yield data[4:end].rstrip(b"\0")
        data = data[end:]


@pytest.mark.parametrize("kind", ["plain", "reordered"])
def test_what_was_captured_after_the_end_is_left_out(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    packets = request.getfixturevalue(kind)
    for until in (0.0, 1.31, 3.0, 4.5, 4.6, 4.7, 99.0):
        written(tmp_path / "one.mp4", packets, until=until)
        kept = numbers(tmp_path / "one.mp4")
        assert kept == list(range(len(kept)))
        wanted = min(60, int(until * FPS + 0.001) + 1)
        assert wanted <= len(kept) <= wanted + (0 if kind == "plain" else 4)


def test_nothing_captured_in_time_is_no_clip(tmp_path: Path, plain: Packets) -> None:
    with pytest.raises(NoClip, match="the camera sent no picture then"):
        written(tmp_path / "one.mp4", (plain[0], later(plain[1], 10.0)), until=9.0)
    with pytest.raises(NoClip, match="the camera sent no picture then"):
        written(tmp_path / "one.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["plain", "reordered"])
def test_the_first_picture_over_rtsp_has_no_time(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    coding, packets = request.getfixturevalue(kind)
    bare = [replace(packets[0], pts=None, dts=None), *packets[1:]]
    written(tmp_path / "one.mp4", (coding, bare))
    assert near(shown(tmp_path / "one.mp4"), [(n, n / FPS) for n in range(60)])


def test_without_times_of_its_own_a_picture_is_shown_as_it_was_captured(tmp_path: Path, plain: Packets) -> None:
    coding, packets = plain
    bare = [replace(p, pts=None, dts=None, at=p.at + (1.0 if n > 30 else 0.0)) for n, p in enumerate(packets)]
    written(tmp_path / "one.mp4", (coding, bare))
    assert near(shown(tmp_path / "one.mp4"), [(n, n / FPS + (1.0 if n > 30 else 0.0)) for n in range(60)], 0.01)


@pytest.mark.parametrize("hours", [-1, 1])
@pytest.mark.parametrize("number", [25, 40])
def test_a_camera_that_sets_its_clock_goes_on(hours: int, number: int, tmp_path: Path, plain: Packets) -> None:
    coding, packets = plain
    set_by = hours * 3600 * 90_000
    moved = [replace(p, pts=(p.pts or 0) + (set_by if n >= number else 0)) for n, p in enumerate(packets)]
    written(tmp_path / "one.mp4", (coding, moved))
    assert near(shown(tmp_path / "one.mp4"), [(n, n / FPS) for n in range(60)], 0.1)


@pytest.mark.parametrize("kind", ["plain", "reordered"])
@pytest.mark.parametrize(("away", "gap"), [(2.0, 2.0), (30.0, GAP_SECONDS)])
def test_a_camera_that_comes_back_goes_on_in_the_same_clip(
    away: float, gap: float, kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    coding, packets = request.getfixturevalue(kind)
    # The same value and another object: a connection reads its coding anew, and its times begin again.
    assert written(tmp_path / "one.mp4", (coding, packets), (replace(coding), later(packets, 5.9 + away))) == ""
    pictures = shown(tmp_path / "one.mp4")
    assert [number for number, _ in pictures] == [*range(60), *range(60)]
    times = [when for _, when in pictures]
    assert times[60] - times[59] == pytest.approx(gap, abs=0.01)
    steps = [after - before for before, after in itertools.pairwise(times)]
    assert steps[:59] + steps[60:] == [pytest.approx(1 / FPS, abs=0.001)] * 118


def test_a_changed_coding_ends_the_clip(tmp_path: Path, plain: Packets) -> None:
    larger = packets_of(write_numbered(tmp_path / "large.ts", 60, size=(640, 480)), begin=7.0)
    said = written(tmp_path / "one.mp4", plain, larger, plain)
    assert said == "it ends early: the camera changed its coding"
    assert numbers(tmp_path / "one.mp4") == list(range(60))
    # The same within one connection: the key packet alone tells.
    said = written(tmp_path / "two.mp4", plain, (plain[0], larger[1]))
    assert said == "it ends early: the camera changed its coding"
    assert numbers(tmp_path / "two.mp4") == list(range(60))


def test_it_ends_at_its_bounds_and_says_so(tmp_path: Path, plain: Packets) -> None:
    size = sum(len(packet.data) for packet in plain[1][:30])
    writer = ClipWriter(tmp_path / "one.mp4", max_bytes=size)
    taken = [writer.add(plain[0], packet) for packet in plain[1]]
    assert taken == [True] * 30 + [False] * 30
    assert writer.finish().startswith("it ends early: it has ")
    assert numbers(tmp_path / "one.mp4") == list(range(30))
    said = written(tmp_path / "two.mp4", plain, max_seconds=4)
    assert said == "it ends early: it is 4 s long"
    assert numbers(tmp_path / "two.mp4") == list(range(41))


def test_what_no_clip_is_made_of(tmp_path: Path, plain: Packets) -> None:
    coding, packets = plain
    writer = ClipWriter(tmp_path / "one.mp4")
    with pytest.raises(NoClip, match=r"^the camera sends mjpeg"):
        writer.add(replace(coding, codec="mjpeg"), packets[0])
    bare = replace(packets[0], data=packets[0].data[packets[0].data.index(b"\0\0\1\x65") :])
    with pytest.raises(NoClip, match="does not say how its pictures are coded"):
        ClipWriter(tmp_path / "one.mp4").add(replace(coding, extradata=None), bare)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("told", [None, b"", b"\0\0\0\1\x67\x42\x00\x0a\x95\xa8\x0c\0\0\0\1\x68\xce\x3c\x80"])
def test_a_connection_that_tells_nothing_or_what_is_stale(told: bytes | None, tmp_path: Path, plain: Packets) -> None:
    coding, packets = plain
    written(tmp_path / "one.mp4", (replace(coding, extradata=told, width=0, height=0), packets))
    assert numbers(tmp_path / "one.mp4") == list(range(60))


def test_pictures_built_on_those_before_the_first_are_left_out(tmp_path: Path) -> None:
    options = {"bf": "3", "preset": "fast", "x264-params": "open-gop=1:scenecut=0:b-adapt=0"}
    video = write_numbered(tmp_path / "v.ts", 80, **options)  # type: ignore[arg-type]
    coding, packets = packets_of(video)
    begin = [number for number, packet in enumerate(packets) if packet.is_key][1]
    assert packets[begin].pts is not None
    assert packets[begin + 1].pts is not None
    leading = sum(packet.pts < packets[begin].pts for packet in packets[begin:])  # type: ignore[operator]
    assert leading > 0, "this video was meant to have open groups of pictures"
    written(tmp_path / "one.mp4", (coding, packets[begin:]))
    kept = numbers(tmp_path / "one.mp4")
    assert kept == list(range(begin + leading, 80))


@pytest.mark.parametrize("name", ["../a.mp4", "/a.mp4", "front/../../a.mp4", "a.jpg", "", ".", "a.mp4/..", "a\0.mp4"])
def test_a_name_that_leaves_the_root_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no name for a clip"):
        path_of(tmp_path, name)
    assert path_of(tmp_path, "front/2026/11/22/a.mp4") == tmp_path / "front/2026/11/22/a.mp4"


@contextlib.contextmanager
def at_most(size: int) -> Iterator[None]:
    """No file of this process may become larger: what a full disk does to one writer, for everybody.

    Only around what is tested: where pytest writes to a file, that is held to it too.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [1000, 4000])
def test_a_disk_that_takes_no_more_is_no_clip_and_nothing_is_left(size: int, tmp_path: Path, plain: Packets) -> None:
    with at_most(size), pytest.raises(NoClip, match=r"^file too large$"):
        written(tmp_path / "one.mp4", plain)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a tiny disk")
@pytest.mark.parametrize("times", [0.5, 1.6])
def test_a_full_disk_is_no_clip_and_nothing_is_left(times: float, tmp_path: Path) -> None:
    """Full while it grows, and while it is completed."""
    packets = packets_of(write_numbered(tmp_path / "v.ts", 60, qp="1"))
    size = int(times * sum(len(packet.data) for packet in packets[1]))
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        with pytest.raises(NoClip, match=r"^no space left on device$"):
            written(disk / "front/one.mp4", packets)
        assert [file for file in disk.rglob("*") if file.is_file()] == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


CRASHES = """
import os, signal, sys
from pathlib import Path
from surveil.capture.clip import ClipWriter
from tests.capture.numbered import packets_of
coding, packets = packets_of(Path(sys.argv[1]))
writer = ClipWriter(Path(sys.argv[2]))
for packet in packets[:55]:
    writer.add(coding, packet)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("bf", ["0", "3"])
def test_the_clip_that_a_crash_cut_is_completed_at_the_next_start(bf: str, tmp_path: Path) -> None:
    video = write_numbered(tmp_path / "v.ts", 60, bf=bf)
    root = tmp_path / "data"
    crashed = subprocess.run([sys.executable, "-c", CRASHES, str(video), str(root / "front/one.mp4")], check=False)
    assert crashed.returncode == -9
    assert [file.name for file in (root / "front").iterdir()] == ["one.mp4.part"]
    assert clean(root) == ["front/one.mp4"]
    kept = numbers(root / "front/one.mp4")
    whole = len(kept) if bf == "0" else len(kept) - 4  # of the last ones, some came behind those shown after them
    assert kept[:whole] == list(range(whole))
    assert len(kept) >= 55 - FPS - 4
    assert clean(root) == []


def test_what_a_crash_leaves_is_completed_or_removed_wherever_it_was_cut(
    tmp_path: Path, plain: Packets, caplog: pytest.LogCaptureFixture
) -> None:
    writer = ClipWriter(tmp_path / "whole.mp4")
    for packet in plain[1]:
        writer.add(plain[0], packet)
    writer._close()
    whole = (tmp_path / "whole.mp4.part").read_bytes()
    (tmp_path / "whole.mp4.tmp").write_bytes(b"half")
    (tmp_path / "noise.mp4.part").write_bytes(os.urandom(5000))
    (tmp_path / "picture.part").write_bytes(b"not ours")
    (tmp_path / "done.mp4").write_bytes(b"done")
    (tmp_path / "done.mp4.part").write_bytes(whole)
    cuts = [0, 100, 900, *range(2000, len(whole), len(whole) // 23)]
    for cut in cuts:
        (tmp_path / f"{cut:06}.mp4.part").write_bytes(whole[:cut])
    names = clean(tmp_path)
    assert {"whole.mp4", "done.mp4"} <= set(names)
    assert len(names) >= len(cuts) - 3
    assert (tmp_path / "done.mp4").read_bytes() == b"done"
    assert "what a crash left of the clip noise.mp4 is removed" in caplog.text
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([*names, "picture.part"])
    for name in set(names) - {"done.mp4"}:
        kept = numbers(tmp_path / name)
        assert kept == list(range(len(kept)))
        assert len(kept) >= 1


def test_a_picture_lost_between_two_is_a_gap_of_its_length(tmp_path: Path, plain: Packets) -> None:
    coding, packets = plain
    written(tmp_path / "one.mp4", (coding, [*packets[:20], *packets[40:]]))
    assert near(shown(tmp_path / "one.mp4"), [(n, n / FPS) for n in [*range(20), *range(40, 60)]])


def test_a_discarded_clip_leaves_nothing(tmp_path: Path, plain: Packets) -> None:
    writer = ClipWriter(tmp_path / "one.mp4")
    for packet in plain[1]:
        writer.add(plain[0], packet)
    assert [file.name for file in tmp_path.iterdir()] == ["one.mp4.part"]
    writer.discard()
    assert list(tmp_path.iterdir()) == []


def test_packets_before_the_first_key_packet_are_left_out(tmp_path: Path, plain: Packets) -> None:
    written(tmp_path / "one.mp4", (plain[0], plain[1][5:]))
    assert numbers(tmp_path / "one.mp4") == list(range(20, 60))


def test_the_packets_of_this_test_are_what_it_thinks(plain: Packets, reordered: Packets) -> None:
    def disorder(packets: list[CodedPacket]) -> bool:
        times = [packet.pts for packet in packets if packet.pts is not None]
        return times != sorted(times)

    assert isinstance(plain[0], Coding)
    assert not disorder(plain[1])
    assert disorder(reordered[1])
    assert [number for number, packet in enumerate(plain[1]) if packet.is_key] == [0, 20, 40]
