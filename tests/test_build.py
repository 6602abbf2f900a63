from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from surveil import build, registry
from surveil.capture.rtsp import RtspSource
from surveil.capture.video_file import VideoFile
from surveil.clock import SystemClock
from surveil.config import Config, load
from surveil.config.secret import SecretError
from surveil.interfaces import ModelError
from surveil.metrics import Metrics
from surveil.store.habits import HabitsFile
from surveil.testing import ScriptedDetector
from surveil.trigger.habits import Habits

ONE = "cameras: {a: {source: 'rtsp://h/1'}}\n"


def config(folder: Path, text: str) -> Config:
    (folder / "c.yaml").write_text(text)
    return load(folder / "c.yaml")


def test_every_name_in_the_registry_is_there() -> None:
    for name in [registry.DETECTOR, *registry.VLMS.values(), *registry.SOURCES.values()]:
        assert callable(registry.resolve(name))


def test_the_url_picks_the_source(tmp_path: Path, video: Path) -> None:
    settings = config(tmp_path, f"cameras: {{a: {{source: 'rtsp://h/1'}}, b: {{source: {video}}}}}")
    made = [
        build.source(name, camera, (64, 64), SystemClock(), Metrics())(threading.Event())
        for name, camera in settings.cameras.items()
    ]
    assert [type(source) for source in made] == [RtspSource, VideoFile]


def test_a_password_that_is_nowhere_is_told_before_anything_starts(tmp_path: Path) -> None:
    settings = config(
        tmp_path, "cameras: {a: {source: 'rtsp://h/1', username: u, password: {env: SURELY_NOT_SET_ANYWHERE}}}"
    )
    with pytest.raises(SecretError, match="SURELY_NOT_SET_ANYWHERE is not set"):
        build.source("a", settings.cameras["a"], (64, 64), SystemClock(), Metrics())


def test_all_secrets_that_are_missing_are_told_with_their_keys(tmp_path: Path) -> None:
    settings = config(
        tmp_path,
        "cameras: {a: {source: 'rtsp://h/1', username: u, password: {env: NOT_SET_A}}}\n"
        "mqtt: {username: u, password: {file: /no/such/file}}\n",
    )
    with pytest.raises(SecretError) as caught:
        build.passwords(settings)
    assert str(caught.value).splitlines() == [
        "cameras.a.password: the environment variable NOT_SET_A is not set",
        "mqtt.password: the secret file /no/such/file cannot be read: No such file or directory",
    ]


def test_a_model_that_knows_no_person_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Cars(ScriptedDetector):
        labels = ("car", "truck")

    monkeypatch.setattr("surveil.detect.yolo.load", lambda *_args, **_how: Cars())
    settings = config(tmp_path, "cameras: {a: {source: 'rtsp://h/1'}}")
    with pytest.raises(ModelError, match="needs person, which scripted does not know; it knows car, truck"):
        build.detector(settings)


def test_what_a_camera_masks_leaves_its_source_black(tmp_path: Path, video: Path) -> None:
    left = "[[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]"
    settings = config(tmp_path, f"cameras: {{a: {{source: {video}, masks: {left}}}}}")
    source = build.source("a", settings.cameras["a"], (240, 320), SystemClock(), Metrics())(threading.Event())
    source.open()
    frame = next(source.frames())
    source.close()
    for image in (frame.image, frame.full()):
        assert not image[:, :159].any()
        assert image[:, 162:].any()


def test_what_was_learnt_is_read_again_and_a_damaged_file_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rule = "rules: [{when: unusual}]"
    settings = config(
        tmp_path,
        f"cameras: {{a: {{source: 'rtsp://h/1', {rule}}}, b: {{source: 'rtsp://h/2', {rule}}}, "
        "c: {source: 'rtsp://h/3'}}",
    )
    kept = HabitsFile(tmp_path)
    known = Habits()
    for day in range(1, 4):
        now = datetime(2026, 11, day, 12, tzinfo=UTC)
        known.watch(now)
        known.learn("person", (0.4, 0.3, 0.6, 0.9), now)
    known.watch(datetime(2026, 11, 4, 12, tzinfo=UTC))
    kept.save("a", known.to_dict())
    kept.save("b", {"no": "habits"})
    learnt = build.habits(settings, kept)
    assert set(learnt) == {"a", "b"}
    assert learnt["a"].to_dict() == known.to_dict() != Habits().to_dict()
    assert learnt["b"].to_dict() == Habits().to_dict()
    assert "b.json cannot be used and is kept as b.json.damaged" in caplog.text
