from __future__ import annotations

import threading
from pathlib import Path

import av
import numpy as np
import pytest
from av.codec.hwaccel import hwdevices_available
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from surveil.capture import acceleration
from surveil.capture.acceleration import HARDWARE_FORMATS, Acceleration, Hardware, found, probed
from surveil.capture.decoding import Decoder, Decoding, full, opened
from tests.real.components import write_video


def test_without_device_nodes_nothing_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceleration, "_refusal", lambda device: pytest.fail(f"{device} was tried"))
    nodes = f"cuda: no {tmp_path}/nvidia*; qsv: no {tmp_path}/dri/renderD*; drm: no {tmp_path}/dri/renderD*"
    assert probed(tmp_path) == Acceleration(None, f"in software ({nodes})")


def test_a_device_that_is_named_must_decode_to_be_used(tmp_path: Path) -> None:
    (tmp_path / "nvidia0").touch()
    (tmp_path / "dri").mkdir()
    (tmp_path / "dri" / "renderD128").touch()
    result = probed(tmp_path)
    if result.device is None:
        assert set(hwdevices_available()) >= {"cuda", "qsv"}
        assert result.line.startswith("in software (cuda: ")
        assert "qsv: this FFmpeg's H.264 decoder cannot use it" in result.line
    else:
        assert result.line == f"on {result.device}"


def test_a_driver_that_hangs_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(acceleration, "_refusal", lambda _device: str(go_on.wait(30)))
    monkeypatch.setattr(acceleration, "PROBE_SECONDS", 0.05)
    (tmp_path / "nvidia3").touch()
    assert "cuda: no answer within 0 s" in probed(tmp_path).line
    go_on.set()


def test_a_driver_that_answers_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceleration, "_refusal", lambda _device: None)
    (tmp_path / "nvidia3").touch()
    assert probed(tmp_path) == Acceleration("cuda", "on cuda")


def test_the_machine_is_asked_once() -> None:
    assert found() is found()


def test_the_clip_of_the_probe_is_real_video() -> None:
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, VideoCodecContext)
    pictures = [picture for packet in [*acceleration._clip(), None] for picture in decoder.decode(packet)]
    assert [(picture.width, picture.height) for picture in pictures] == [(320, 240)] * 8


class Pretended(Hardware):
    """A device whose decoder is a software decoder of `codec`."""

    def __init__(self, codec: str) -> None:
        super().__init__("front", "cuda")
        self.codec = codec
        self.asked = 0

    def decoder(self, stream: VideoStream) -> VideoCodecContext | None:
        if self._device is None:
            return None
        self.asked += 1
        context = av.CodecContext.create(self.codec, "r")
        assert isinstance(context, VideoCodecContext)
        context.extradata = stream.codec_context.extradata
        return context


def bars(video: Path, hardware: Hardware) -> list[int]:
    """Return where the bar stands in each picture that a Decoder gives."""
    with opened(str(video), "nonsense") as container:
        decoder = Decoder(container, (120, 160), lambda: (0.0, 0.0), decoding=Decoding(hardware))
        return [int(np.argmax(full(p)()[120].sum(axis=1) > 500)) // 4 for p, _ in decoder.frames()]


def test_a_device_that_cannot_be_made_leaves_the_camera_to_software(
    video: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hardware = Hardware("front", "qsv")
    assert bars(video, hardware) == bars(video, hardware) == list(range(30))
    assert caplog.text.count("camera=front is decoded in software: qsv refuses its stream: it knows no h264") == 1


def test_cuda_decodes_or_leaves_it_to_software(video: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert bars(video, Hardware("front", "cuda")) == list(range(30))
    if found().device != "cuda":
        assert caplog.text.count("camera=front is decoded in software: cuda refuses its stream") == 1


def test_a_stream_that_the_device_leaves_to_software_is_not_tried_there_again(
    video: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hardware = Pretended("h264")
    assert bars(video, hardware) == bars(video, hardware) == list(range(30))
    assert hardware.asked == 1
    assert caplog.text.count("FFmpeg decodes it in software") == 1


@pytest.mark.parametrize("codec", ["hevc", "mjpeg", "vp8"])
def test_a_device_that_cannot_decode_the_stream_is_left_at_once(
    tmp_path: Path, codec: str, caplog: pytest.LogCaptureFixture
) -> None:
    video = write_video(tmp_path / "long.mp4", frames=160, bf="0")
    seen = bars(video, Pretended(codec))
    assert len(seen) >= 40
    assert seen == [number % 80 for number in range(160 - len(seen), 160)]
    assert caplog.text.count("camera=front is decoded in software") == 1


def test_pictures_from_hardware_are_fitted_as_those_from_software(video: Path) -> None:
    with opened(str(video), "nonsense") as container:
        decoder = Decoder(container, (120, 160), lambda: (0.0, 0.0))
        picture, _ = next(decoder.frames())
        from_device = picture.reformat(format="nv12")
        assert from_device.format.name in HARDWARE_FORMATS
        assert decoder.small(from_device).shape == (120, 160, 3)
        assert np.abs(decoder.small(from_device).astype(int) - decoder.small(picture)).max() <= 2
        assert full(from_device)().shape == (240, 320, 3)
