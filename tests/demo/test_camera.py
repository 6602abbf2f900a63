"""The demo's camera: real H.264, a key frame each second, at its own pace."""

from __future__ import annotations

import threading

import av
import numpy as np

from surveil.clock import SystemClock
from surveil.demo.camera import TICKS, AccessUnit, Encoder, YardCamera
from surveil.demo.lens import FPS, HEIGHT, WIDTH


def test_what_is_encoded_can_be_decoded_at_once() -> None:
    encoder, decoder = Encoder(), av.CodecContext.create("h264", "r")
    units: list[AccessUnit] = []
    decoded = 0
    for index in range(2 * FPS + 1):
        picture = np.full((HEIGHT, WIDTH, 3), index * 4, np.uint8)
        units += encoder.encoded(picture, index)
        stream = b"".join(b"\0\0\0\1" + nal for nal in units[-1].nals)
        decoded += len(decoder.decode(av.Packet(stream)))
    decoded += len(decoder.decode(None))
    assert decoded == len(units) == 2 * FPS + 1
    assert [unit.ticks for unit in units[:3]] == [0, TICKS // FPS, 2 * TICKS // FPS]
    assert [index for index, unit in enumerate(units) if unit.key] == [0, FPS, 2 * FPS]
    assert all(len(unit.parameters) == 2 for unit in units if unit.key)


def test_it_films_until_it_is_stopped() -> None:
    units: list[AccessUnit] = []
    enough = threading.Event()

    def take(unit: AccessUnit) -> None:
        units.append(unit)
        if len(units) == 10:
            enough.set()

    camera = YardCamera(1, SystemClock(), take)
    camera.start()
    assert enough.wait(30)
    camera.stop()
    there = len(units)
    assert units[0].key
    assert [unit.ticks for unit in units] == sorted({unit.ticks for unit in units})
    assert not enough.wait(0) or len(units) == there
