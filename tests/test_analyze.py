"""`surveil analyze`: what is in a picture, how bad it is, and what the VLM is shown of it."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pty
import struct
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from surveil import analyze
from surveil.analyze import Analysis, analyses, read
from surveil.config import Config
from surveil.deliver.wire import WireAssessment
from surveil.drawing import Annotator
from surveil.interfaces import AssessorError, CaptureError, StorageError
from surveil.messages import Detections, Image, Track
from surveil.oracle import PATIENCE_SECONDS
from surveil.testing import ScriptedAssessor, ScriptedDetector, answer

# In pixels of a picture that fills the scripted detector's 64 by 36.
NEAR = (16.0, 9.0, 32.0, 36.0)
FAR = (30.0, 10.0, 34.0, 18.0)


def config(**camera: Any) -> Config:
    return Config.model_validate_json(json.dumps({"timezone": "UTC", "cameras": {"hall": {"source": "x"} | camera}}))


def found(*boxes: tuple[str, float, tuple[float, float, float, float]]) -> Detections:
    names = [ScriptedDetector.labels.index(label) for label, _, _ in boxes]
    return Detections(
        np.array([box for _, _, box in boxes], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in boxes], np.float32),
        np.array(names, np.int64),
    )


def pictures_in(folder: Path, *names: str, value: int = 127) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((360, 640, 3), value, np.uint8))
    return paths


def one(
    path: Path,
    seen: Detections,
    assessor: ScriptedAssessor | None = None,
    settings: Config | None = None,
) -> Analysis:
    (outcome,) = analyses(settings or config(), [path], lambda _: (ScriptedDetector(seen), assessor))
    assert isinstance(outcome, Analysis)
    return outcome


def test_an_answer_raises_the_risk_above_the_floor_and_never_lowers_it(tmp_path: Path) -> None:
    (path,) = pictures_in(tmp_path, "a.png")
    person = found(("person", 0.9, NEAR))
    told = one(path, person, ScriptedAssessor(answer(70))).as_dict()
    assert told["risk"] == {"level": "high", "score": 70, "source": "vlm", "floor": "low"}
    assert told["assessment"] == {
        "state": "done", "verdict": "confirmed", "summary": "A person stands at the door.", "activity": "standing",
        "evidence": ["alone"], "recommended_action": "Look at the camera.", "scene_text": "", "confidence": 0.8,
        "model": "scripted", "latency_ms": told["latency_ms"]["assess"], "error": None, "flags": [],  # type: ignore[index]
    }  # fmt: skip
    assert (told["picture"], told["width"], told["height"]) == (str(path), 640, 360)
    assert told["detections"] == [{"label": "person", "confidence": 0.9, "box": [0.25, 0.25, 0.5, 1.0]}]
    assert told["detector"] == "scripted"
    low = one(path, person, ScriptedAssessor(answer(3))).as_dict()
    assert low["risk"] == {"level": "low", "score": 20, "source": "rules", "floor": "low"}
    nobody = one(path, found(("car", 0.9, NEAR)), ScriptedAssessor(answer(45))).as_dict()
    assert nobody["risk"] == {"level": "medium", "score": 45, "source": "vlm", "floor": "none"}


def test_a_model_that_fails_and_one_that_is_not_there_are_told_apart(tmp_path: Path) -> None:
    (path,) = pictures_in(tmp_path, "a.png")
    person = found(("person", 0.9, NEAR))
    failed = one(path, person, ScriptedAssessor(AssessorError("no GPU"))).as_dict()
    disabled = one(path, person).as_dict()
    for told, state, error in ((failed, "failed", "no GPU"), (disabled, "disabled", None)):
        assessment = told["assessment"]
        assert isinstance(assessment, dict)
        assert set(assessment) == set(WireAssessment.model_fields)
        assert (assessment["state"], assessment["error"], assessment["summary"]) == (state, error, None)
        assert told["risk"] == {"level": "low", "score": 20, "source": "rules", "floor": "low"}


@pytest.mark.parametrize(
    ("camera", "score", "floor"),
    [
        ({}, 0.5, "low"),
        ({}, 0.49, "none"),
        ({"rules": [{"when": "person", "severity": "high", "min_score": 0.8}]}, 0.9, "high"),
        ({"rules": [{"when": "person", "severity": "high", "min_score": 0.8}]}, 0.7, "none"),
        ({"rules": [{"when": "tamper"}]}, 0.7, "low"),
        ({"ignore": [[[0.2, 0.8], [0.6, 0.8], [0.6, 1.0], [0.2, 1.0]]]}, 0.9, "none"),
    ],
)
def test_the_floor_is_that_of_the_cameras_person_rule(
    tmp_path: Path, camera: dict[str, Any], score: float, floor: str
) -> None:
    (path,) = pictures_in(tmp_path, "a.png")
    told = one(path, found(("person", score, NEAR)), settings=config(**camera))
    assert told.risk.floor.name == floor
    assert len(told.still.tracks) == 1  # what does not count was seen all the same


def test_the_model_is_told_what_is_known_and_shown_who_is_small_from_closer(tmp_path: Path) -> None:
    (path,) = pictures_in(tmp_path, "door.png")
    moment = datetime(2026, 11, 22, 21, 4, tzinfo=UTC).timestamp()
    os.utime(path, (moment, moment))
    assessor = ScriptedAssessor(answer())
    settings = config(context="A door.", timezone="Europe/Vienna")
    one(path, found(("person", 0.9, FAR), ("car", 0.8, NEAR)), assessor, settings)
    (asked,) = assessor.requests
    assert asked.deadline_at - asked.triggered_at == PATIENCE_SECONDS
    assert (asked.facts.camera, asked.facts.context, asked.facts.local_time, asked.facts.reasons) == (
        "door.png", "A door.", "Sunday 22:04", ("person in the picture",),
    )  # fmt: skip
    whole, closer = asked.keyframes
    assert whole.region is None
    assert [subject.label for subject in whole.subjects] == ["person"]
    assert [track.label for track in whole.others] == ["car"]
    assert whole.image().shape == (336, 616, 3)
    assert closer.region is not None
    assert closer.region[0] < FAR[0] / 64 < closer.region[2]
    two = ScriptedAssessor(answer())
    one(path, found(("person", 0.9, NEAR), ("person", 0.6, FAR)), two)
    assert two.requests[0].facts.reasons == ("2 persons in the picture",)
    assert len(two.requests[0].keyframes) == 1  # who is seen best is large enough
    nobody = ScriptedAssessor(answer())
    one(path, found(), nobody)
    assert nobody.requests[0].facts.reasons == ()
    assert len(nobody.requests[0].keyframes) == 1


def test_what_a_mask_hides_is_neither_seen_nor_sent_nor_written(tmp_path: Path) -> None:
    (path,) = pictures_in(tmp_path, "a.png", value=200)
    settings = config(masks=[[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]])
    assessor = ScriptedAssessor(answer(summary=""))
    analysis = one(path, found(), assessor, settings)
    file = analysis.annotate(Annotator(tmp_path / "out", [path]))
    shown = (analysis.still.frame.image, assessor.requests[0].keyframes[0].image(), read(file))
    for image in shown:
        middle = image.shape[1] // 2
        assert image[:, : middle - 8].max() < 10
        assert image[:, middle + 8 :].min() > 190


def test_what_cannot_be_read_is_told_and_the_rest_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good, huge = pictures_in(tmp_path, "good.png", "huge.bmp")
    monkeypatch.setattr(analyze, "MAX_BYTES", 100_000)
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "half.png").write_bytes(good.read_bytes()[:400])
    bad = ["absent.png", "text.jpg", "empty.png", "half.png", huge.name, "."]
    loaded: list[Config] = []

    def load(settings: Config) -> tuple[ScriptedDetector, None]:
        loaded.append(settings)
        return ScriptedDetector(), None

    outcomes = list(analyses(config(), [*(tmp_path / name for name in bad[:3]), good], load))
    assert [type(outcome) for outcome in outcomes] == [CaptureError] * 3 + [Analysis]
    assert len(loaded) == 1
    outcomes = list(analyses(config(), [tmp_path / name for name in bad], load))
    assert len(loaded) == 1  # nothing is loaded for nothing
    for name, outcome in zip(bad, outcomes, strict=True):
        assert isinstance(outcome, CaptureError)
        assert str(outcome).startswith(f"{tmp_path / name}: ")
        assert "\n" not in str(outcome)


def test_a_picture_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, :40] = 255
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    # One entry of EXIF: orientation (0x0112), a short: 6, a quarter turn clockwise.
    exif = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    marker = b"\xff\xe1" + struct.pack(">H", len(exif) + 2)
    (tmp_path / "turned.jpg").write_bytes(jpeg[:2] + marker + exif + jpeg[2:])
    turned = read(tmp_path / "turned.jpg")
    assert turned.shape == (80, 40, 3)
    assert turned[:30].min() > 240
    assert turned[50:].max() < 15


def test_copies_have_names_of_their_own_and_originals_stay(tmp_path: Path) -> None:
    first, second = pictures_in(tmp_path, "a.jpg", "more/a.png")
    before = first.read_bytes()
    annotator = Annotator(tmp_path, [first, second])
    tracks = [Track(1, "person", 0.9, (0.25, 0.25, 0.5, 0.9)), Track(2, "car", 0.5, (0.9, 0.0, 1.0, 0.1))]
    written = [annotator.write(path, read(path), tracks, tracks[:1], "") for path in (first, second)]
    assert written == [tmp_path / "a-2.jpg", tmp_path / "a-3.jpg"]
    assert first.read_bytes() == before
    copy = read(written[0])
    assert copy.shape == (360, 640, 3)
    assert np.abs(copy[180, 160].astype(int) - (90, 90, 255)).max() < 40  # the left edge of the box that was found
    summary = "Ein Mensch trägt eine Kiste — " + "und geht damit langsam durch die ganze Halle " * 3
    captioned = read(Annotator(tmp_path / "new" / "deep", []).write(first, read(first), [], [], summary))
    assert captioned.shape[0] > 360 + 2 * 24
    np.testing.assert_allclose(captioned[:350].astype(int), 127, atol=3)  # nothing of the picture is hidden


def test_a_folder_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file/out cannot be written: not a directory"):
        Annotator(tmp_path / "file" / "out", [])


def surveil(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "surveil", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)


def test_the_bar_is_gone_while_results_are_printed_and_silent_elsewhere() -> None:
    code = (
        "import sys\n"
        "from surveil.progress import Bar\n"
        "with Bar('looking', int(sys.argv[1])) as bar:\n"
        "    for n in range(3):\n"
        "        with bar.aside():\n"
        "            print(n, file=sys.stderr)\n"
    )
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", code]
    with subprocess.Popen([*command, "3"], stderr=theirs, env={**os.environ, "TERM": "xterm"}) as running:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # the other end is closed
            while part := os.read(ours, 4096):
                shown += part
        assert running.wait(30) == 0, shown
    os.close(ours)
    assert b"looking" in shown
    assert b"2/3" in shown
    wiped = b"\x1b[2K"
    for number in (b"1", b"2"):
        assert wiped + number + b"\r\n" in shown  # on a line of its own, where the bar was
    for total in ("1", "3"):
        quiet = subprocess.run([*command, total], capture_output=True, check=True)
        assert (quiet.stdout, quiet.stderr) == (b"", b"0\n1\n2\n")


@pytest.fixture(scope="module")
def frames(footage: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Real frames of the footage as PNG, by number."""
    folder = tmp_path_factory.mktemp("frames")

    def frame(number: int) -> Path:
        path = folder / f"{number}.png"
        with av.open(str(footage)) as container:
            decoded = next(itertools.islice(container.decode(video=0), number, None))
            image: Image = np.asarray(decoded.to_ndarray(format="bgr24"), np.uint8)
        cv2.imwrite(str(path), image)
        return path

    return frame


def written(folder: Path, yolo: Path, assessor: str) -> Path:
    text = f"cameras: {{hall: {{source: rtsp://h/1}}}}\ndetector: {{model: {yolo}}}\nassessor: {assessor}\n"
    (folder / "c.yaml").write_text(text)
    return folder / "c.yaml"


@pytest.mark.slow
def test_real_pictures_on_the_command_line(tmp_path: Path, yolo_folder: Path, frames: Callable[[int], Path]) -> None:
    empty, visited = frames(20), frames(100)
    (tmp_path / "text.jpg").write_text("no picture")
    file = written(tmp_path, yolo_folder, "{backend: none}")
    done = surveil(
        "analyze", empty, tmp_path / "text.jpg", visited, "--config", file, "--annotate", tmp_path / "out"
    )  # fmt: skip
    assert done.returncode == 66
    assert "text.jpg: this is no picture that can be read" in done.stderr
    nobody, somebody = map(json.loads, done.stdout.splitlines())
    assert nobody["detections"] == []
    assert nobody["risk"] == {"level": "none", "score": 0, "source": "rules", "floor": "none"}
    assert (somebody["width"], somebody["height"]) == (768, 432)
    (person,) = [seen for seen in somebody["detections"] if seen["label"] == "person"]
    x1, y1, x2, y2 = person["box"]
    assert person["confidence"] > 0.7
    assert 0.4 < x1 < x2 < 0.8
    assert 0 <= y1 < 0.3
    assert 0.6 < y2 <= 1
    assert all(round(edge, 4) == edge for edge in person["box"])
    assert somebody["risk"] == {"level": "low", "score": 20, "source": "rules", "floor": "low"}
    assert somebody["assessment"]["state"] == "disabled"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["100.jpg", "20.jpg"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_real_model_classes_answer(
    tmp_path: Path, yolo_folder: Path, toy_qwen: Path, frames: Callable[[int], Path]
) -> None:
    file = written(tmp_path, yolo_folder, f"{{backend: qwen, model: {toy_qwen}}}")
    done = surveil("analyze", frames(100), "--config", file)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["assessment"]["state"] == "done"
    assert told["assessment"]["model"].startswith(toy_qwen.name)
    assert told["latency_ms"]["assess"] == told["assessment"]["latency_ms"] > 0
    assert told["risk"]["floor"] == "low"
    (tmp_path / "hollow").mkdir()
    gone = written(tmp_path, yolo_folder, f"{{backend: qwen, model: {tmp_path / 'hollow'}}}")
    failed = surveil("analyze", frames(100), "--config", gone)
    assert (failed.returncode, failed.stdout) == (78, "")
    assert "hollow" in failed.stderr.splitlines()[-1]
