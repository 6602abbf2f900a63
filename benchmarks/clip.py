"""What a clip costs: CPU seconds for 20 s of 1080p at 25 frames a second, remuxed from the ring of its packets.

    python -m benchmarks.clip [--seconds 20] [--mbit 4] [--runs 9]

Encodes a noisy moving scene once, then writes its packets as a recorder gets them, and completes the clip; time is of
this process, all its threads. Prints a table, and writes benchmarks/results/clip.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.video.stream import VideoStream
from rich.console import Console
from rich.progress import track as progress
from rich.table import Table

from surveil.capture.clip import ClipWriter
from surveil.capture.decoding import Decoder, Decoding, coded_packet, coding_of, opened
from surveil.capture.packets import CodedPacket, Coding, PacketRing

RESULT = Path(__file__).parent / "results" / "clip.json"
WIDTH, HEIGHT, FPS, GOP = 1920, 1080, 25, 50


def encoded(path: Path, codec: str, seconds: int, mbit: float) -> Path:
    """Write a scene with a walker and a sensor's noise, of about so many Mbit a second."""
    dice = np.random.default_rng(0)
    scene = np.repeat(np.repeat(dice.integers(40, 200, (HEIGHT // 40, WIDTH // 40, 3), np.uint8), 40, 0), 40, 1)
    noise = [dice.normal(0, 4, scene.shape).astype(np.int16) for _ in range(4)]
    rate = str(int(mbit * 1e6))
    options = {"preset": "ultrafast", "b": rate, "maxrate": rate, "bufsize": rate, "g": str(GOP), "bf": "0"}
    if codec == "libx265":
        options["x265-params"] = f"log-level=none:keyint={GOP}:bframes=0"
    with av.open(str(path), "w") as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=FPS, options=options))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in progress(range(seconds * FPS), description=f"encoding, {codec}", console=Console(stderr=True)):
            picture = np.clip(scene + noise[number % 4], 0, 255).astype(np.uint8)
            picture[300:900, number * 3 % WIDTH : number * 3 % WIDTH + 200] = 20
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    return path


def packets_of(video: Path) -> tuple[Coding, list[CodedPacket]]:
    """Return the packets of a video, captured at its pace."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        read = [packet for packet in container.demux(stream) if packet.size]
        return coding_of(stream), [coded_packet(packet, (n / FPS, n / FPS)) for n, packet in enumerate(read)]


def cpu(work: Callable[[], object], runs: int) -> float:
    """Return the CPU seconds of this process that a piece of work takes, the median of some runs."""
    spent = []
    for _ in range(runs):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return statistics.median(spent)


def clip_cost(video: Path, folder: Path, runs: int) -> dict[str, float]:
    """Return what it costs to write the packets of a video as they come, and to complete the clip."""
    coding, packets = packets_of(video)
    writing, completing = [], []
    for number in range(runs):
        writer = ClipWriter(folder / f"{number}.mp4")

        def write(writer: ClipWriter = writer) -> None:
            for packet in packets:
                writer.add(coding, packet)

        writing.append(cpu(write, 1))
        completing.append(cpu(writer.finish, 1))
    return {
        "packets": len(packets),
        "megabytes": round(sum(len(packet.data) for packet in packets) / 1e6, 1),
        "writing_ms": round(1000 * statistics.median(writing), 1),
        "completing_ms": round(1000 * statistics.median(completing), 1),
        "clip_ms": round(1000 * statistics.median(a + b for a, b in zip(writing, completing, strict=True)), 1),
    }


def ring_cost(video: Path, runs: int) -> dict[str, float]:
    """Return what decoding a frame costs without a ring for its packets, and what the ring costs by itself."""
    frames = 0

    def decode(ring: PacketRing | None) -> None:
        nonlocal frames
        with opened(str(video), "no video") as container:
            decoder = Decoder(container, (384, 640), lambda: (time.monotonic(), 0.0), decoding=Decoding(ring=ring))
            frames = sum(1 for picture, _ in decoder.frames() if decoder.small(picture) is not None)

    with opened(str(video), "no video") as container:
        stream = container.streams.video[0]
        read = [packet for packet in container.demux(stream) if packet.size]
        coding = coding_of(stream)
        ring = PacketRing()

        def keep() -> None:
            for number, packet in enumerate(read):
                ring.add(coding, coded_packet(packet, (number / FPS, 0.0)))

        kept = cpu(keep, runs)
    without = cpu(lambda: decode(None), max(1, runs // 3))
    return {
        "decode_ms_a_frame": round(1000 * without / frames, 3),
        "with_ring_ms_a_frame": round(1000 * cpu(lambda: decode(PacketRing()), max(1, runs // 3)) / frames, 3),
        "ring_alone_ms_a_frame": round(1000 * kept / len(read), 4),
    }


def main() -> None:
    """Measure, show and store."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--mbit", type=float, default=4.0)
    parser.add_argument("--runs", type=int, default=9)
    said = parser.parse_args()
    figures: dict[str, Any] = {"stream": f"{WIDTH}x{HEIGHT}, {FPS} fps", "seconds": said.seconds, "runs": said.runs}
    table = Table(
        "coding", "packets", "MB", "writing, ms", "completing, ms", "clip, ms of CPU",
        title=f"{said.seconds} s of {WIDTH}x{HEIGHT} at {FPS} frames a second",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for codec, name in (("libx264", "H.264"), ("libx265", "H.265")):
            video = encoded(folder / f"{codec}.ts", codec, said.seconds, said.mbit)
            figures[name] = cost = clip_cost(video, folder / codec, said.runs)
            table.add_row(name, *(str(value) for value in cost.values()))
        figures["ring"] = ring_cost(folder / "libx264.ts", said.runs)
    Console().print(table)
    Console().print("the ring that clips are made of, H.264:", figures["ring"])
    RESULT.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
