"""`surveil eval`: whose label counts, what is asked, and figures that were worked out by hand."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console

from surveil import evaluation
from surveil.analyze import read
from surveil.config import Config
from surveil.evaluation import Backend, judged
from surveil.interfaces import AssessorError, CaptureError, StorageError
from surveil.messages import Assessment, Detections, Flag, Level
from surveil.samples import Sample, samples
from surveil.score import Bin, Outcome, Score, table
from surveil.testing import ScriptedAssessor, ScriptedDetector, answer
from tests.real import components

PERSON = Detections(np.array([[16, 9, 32, 36]], np.float32), np.array([0.9], np.float32), np.array([0]))


def outcome(
    expected: Level, score: int | None, confidence: float = 0.5, ms: int = 1000, flags: tuple[Flag, ...] = ()
) -> Outcome:
    said = None if score is None else replace(answer(score), confidence=confidence, flags=flags)
    assessment = Assessment("i", "hall", "done" if said else "failed", said, ms, None if said else "no answer")
    return Outcome(Sample(f"{expected.name}/{score}.png", Path("x.png"), expected), assessment)


def score(*outcomes: Outcome, notify_at: Level = Level.medium) -> Score:
    return Score("box.yaml", "scripted", "a detector", notify_at, outcomes)


FIVE = (
    outcome(Level.high, 70, 0.90, 1000),
    outcome(Level.medium, 30, 0.60, 2000, ("counts_differ",)),
    outcome(Level.low, 45, 0.80, 3000, ("counts_differ", "not_detected")),
    outcome(Level.none, 0, 0.95, 4000),
    outcome(Level.high, None, ms=9000),
)


def test_the_figures_are_those_that_were_worked_out_by_hand() -> None:
    figures = score(*FIVE).as_dict()
    assert (figures["samples"], figures["answered"], figures["failed"]) == (5, 4, 1)
    assert figures["recall"] == 0.3333  # high, but neither medium (said low) nor the one without an answer
    assert figures["false_alarm_rate"] == 0.5  # low, which was said to be medium, of low and none
    assert figures["level_accuracy"] == 0.4
    assert figures["brier"] == 0.2531  # (0.1² + 0.6² + 0.8² + 0.05²) / 4
    assert figures["ece"] == 0.3875  # 2/4 · |1 - 0.925| + 1/4 · |0 - 0.6| + 1/4 · |0 - 0.8|
    assert figures["latency_s"] == {"p50": 2.5, "p95": 3.85}
    assert figures["flags"] == {"counts_differ": 2, "not_detected": 1}
    assert figures["confusion"] == {
        "none": {"none": 1, "low": 0, "medium": 0, "high": 0, "failed": 0},
        "low": {"none": 0, "low": 0, "medium": 1, "high": 0, "failed": 0},
        "medium": {"none": 0, "low": 1, "medium": 0, "high": 0, "failed": 0},
        "high": {"none": 0, "low": 0, "medium": 0, "high": 1, "failed": 1},
    }
    assert score(*FIVE).bins() == [Bin(0.6, 0.7, 1, 0.6, 0.0), Bin(0.8, 0.9, 1, 0.8, 0.0), Bin(0.9, 1.0, 2, 0.925, 1.0)]
    assert json.loads(json.dumps(figures))["outcomes"][4] == {
        "sample": "high/None.png", "expected": "high", "said": None, "score": None, "confidence": None,
        "summary": None, "flags": [], "error": "no answer", "latency_ms": 9000,
    }  # fmt: skip


def test_what_counts_as_said_follows_notify_risk_and_ends_at_high() -> None:
    assert score(*FIVE, notify_at=Level.high).recall == 0.5
    assert score(*FIVE, notify_at=Level.high).false_alarm_rate == 0.0
    assert score(*FIVE, notify_at=Level.none).false_alarm_rate is None
    assert score(*FIVE, notify_at=Level.critical).recall is None
    assert outcome(Level.high, 100).said is Level.high  # `critical` comes from rules only
    assert outcome(Level.high, 100).right


def test_the_surest_and_the_least_sure_have_bins_and_without_answers_there_are_none() -> None:
    edges = score(outcome(Level.none, 0, 1.0), outcome(Level.none, 50, 0.0), outcome(Level.none, 0, 0.3))
    assert [(of.begin, of.answers) for of in edges.bins()] == [(0.0, 1), (0.3, 1), (0.9, 1)]
    silent = score(outcome(Level.high, None)).as_dict()
    assert [silent[key] for key in ("brier", "ece", "latency_s", "reliability", "flags")] == [None, None, None, [], {}]
    assert (silent["recall"], silent["level_accuracy"]) == (0.0, 0.0)
    assert score().level_accuracy is None


def placed(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".mp4":
            components.write_video(path)
        else:
            cv2.imwrite(str(path), np.full((360, 640, 3), 127, np.uint8))
    return folder


def test_a_sub_folder_labels_and_a_label_by_hand_goes_before(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    placed(
        tmp_path, "high/night/a.PNG", "none/b.jpg", "low/c.webp", "odd/d.bmp", "critical/e.png", "f.jpeg",
        "low/.hidden.png", ".trash/low/g.png",
    )  # fmt: skip
    (tmp_path / "low" / "notes.txt").write_text("no sample")
    (tmp_path / "labels.yaml").write_text("./none/b.jpg: {level: medium}\nf.jpeg: {level: none}\n")
    with caplog.at_level(logging.WARNING):
        found = samples(tmp_path)
    assert [(sample.name, sample.expected.name) for sample in found] == [
        ("f.jpeg", "none"), ("high/night/a.PNG", "high"), ("low/c.webp", "low"), ("none/b.jpg", "medium"),
    ]  # fmt: skip
    assert all(sample.path.is_file() for sample in found)
    assert "left out for want of a label: 2 of 6" in caplog.text
    (tmp_path / "labels.yaml").write_text("")
    assert len(samples(tmp_path)) == 3


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ("low/a.png: {level: low, people: 2}\n", ["1: low/a.png: people: is no key here; a label has only a level"]),
        ("\nlow/a.png: {level: critical}\n", ["2: low/a.png: level: should be 'none', 'low', 'medium' or 'high'"]),
        ("low/a.png: {}\nlow/b.png: high\n", [
            "1: low/a.png: level: is required", "2: low/b.png: should be {level: none, low, medium or high}",
        ]),
        ("low/a.png: {level: high}\nlow/b.png: {level: high}\n../x.png: {level: high}\n", [
            "2: low/b.png: there is no such still or clip", "3: ../x.png: there is no such still or clip",
        ]),
        ("- low/a.png\n", ["1: the file should be paths, each with {level: none, low, medium or high}"]),
        ("low/a.png: {level: low\n", ["2: yaml: did not find expected ',' or '}'"]),
        ("low/a.png: {level: low}\nlow/a.png: {level: low}\n", ["2: yaml: the key low/a.png stands here twice"]),
    ],
)  # fmt: skip
def test_labels_that_are_wrong_are_told_with_their_lines(tmp_path: Path, text: str, complaints: list[str]) -> None:
    placed(tmp_path, "low/a.png")
    file = tmp_path / "labels.yaml"
    file.write_text(text)
    with pytest.raises(CaptureError) as caught:
        samples(tmp_path)
    assert str(caught.value).splitlines() == [f"{file}:{complaint}" for complaint in complaints]


def test_a_folder_without_a_label_or_none_at_all_is_an_input_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="there is no such folder"):
        samples(tmp_path / "absent")
    for names in ([], ["odd/a.png"]):
        with pytest.raises(CaptureError, match="no still or clip is in a sub-folder none, low, medium, high"):
            samples(placed(tmp_path, *names))


def bare(more: str = "") -> Config:
    return Config.model_validate_json(f'{{"cameras": {{"hall": {{"source": "x"}}}}{more}}}')


def test_each_sample_is_asked_about_alone_and_no_floor_is_applied(tmp_path: Path) -> None:
    placed(tmp_path, "high/a.png", "low/clip.mp4", "none/b.png")
    (tmp_path / "high" / "broken.mp4").write_text("no video")
    (tmp_path / "high" / "broken.png").write_text("no picture")
    # Stills are one look each; 30 frames of the clip are seen in between.
    detector = ScriptedDetector(PERSON, *([Detections.empty()] * 30), PERSON)
    assessor = ScriptedAssessor(answer(70), AssessorError("busy"), answer(3))
    done: list[None] = []
    came = judged(
        Backend("box.yaml", bare(', "alerts": {"notify_risk": "high"}')),
        samples(tmp_path),
        lambda: done.append(None),
        lambda _: (detector, assessor),
    )
    assert [(of.sample.name, of.said) for of in came.outcomes] == [
        ("high/a.png", Level.high), ("low/clip.mp4", None), ("none/b.png", Level.none),
    ]  # fmt: skip
    assert len(done) == 5
    assert (came.model, came.detector, came.notify_at) == ("scripted", "scripted", Level.high)
    assert [line.split(": ")[0] for line in came.unreadable] == [
        str(tmp_path / "high" / "broken.mp4"), str(tmp_path / "high" / "broken.png"),
    ]  # fmt: skip
    assert {asked.floor for asked in assessor.requests} == {Level.none}
    still, clip, _ = assessor.requests
    assert still.facts.reasons == ("person in the picture",)
    assert [len(asked.keyframes) for asked in (still, clip)] == [1, 4]
    assert clip.facts.reasons == ()


@pytest.mark.slow
def test_a_real_visit_is_shown_by_its_best_views(tmp_path: Path, footage: Path, yolo_folder: Path) -> None:
    (tmp_path / "low").mkdir()
    visit = tmp_path / "low" / "visit.mp4"
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(footage), "-t", "12", "-c", "copy", str(visit)], check=True)
    from surveil import build

    settings = bare(f', "detector": {{"model": "{yolo_folder}"}}')
    assessor = ScriptedAssessor(answer(30))
    came = judged(
        Backend("x", settings), samples(tmp_path), lambda: None, lambda config: (build.detector(config), assessor)
    )
    assert came.level_accuracy == 1.0
    (asked,) = assessor.requests
    (reason,) = asked.facts.reasons
    assert reason.startswith("person in view for ")
    assert len(asked.keyframes) == 4
    for view in asked.keyframes:  # somebody is there from frame 61 on
        assert view.at > 5.8
        assert [subject.label for subject in view.subjects] == ["person"]
        assert view.image().shape == (420, 756, 3)
    assert max(view.subjects[0].dwell_s for view in asked.keyframes) > 1


def test_a_config_without_a_model_is_named_before_anything_is_loaded() -> None:
    none = bare(', "assessor": {"backend": "none"}')
    with pytest.raises(AssessorError, match=r"box\.yaml: there is no assessor to judge, because the config says so"):
        evaluation.judgeable([Backend("box.yaml", none)])
    with pytest.raises(AssessorError, match="there is no assessor"):
        judged(Backend("box.yaml", none), [], lambda: None, lambda _: (ScriptedDetector(), None))


def test_the_table_has_a_row_for_each_backend_on_a_narrow_terminal() -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(table([score(*FIVE), replace(score(outcome(Level.high, None)), backend="configs/other.yaml")]))
    first, second = (line.split() for line in console.export_text().splitlines() if ".yaml " in line)
    assert first == ["box.yaml", "4/5", "33", "%", "50", "%", "40", "%", "0.253", "0.388", "2.50", "3.85", "3"]
    assert second == ["other.yaml", "0/1", "0", "%", "-", "0", "%", "-", "-", "-", "-", "0"]


def test_figures_are_drawn_also_of_a_model_that_never_answers(tmp_path: Path) -> None:
    from surveil.evaluation_plots import Plots

    plots = Plots(tmp_path / "plots")
    plots.draw(score(*FIVE))
    plots.draw(replace(score(outcome(Level.high, None)), backend="configs/no $such$:thing_^.yaml"))
    drawn = sorted((tmp_path / "plots").iterdir())
    assert [path.name for path in drawn] == ["1-box.png", "2-no-such-thing_.png"]
    full, hollow = map(read, drawn)
    assert full.shape == hollow.shape
    assert full.shape[1] > 2 * full.shape[0]
    # The middle third is the confusion matrix: that of one failed sample is nearly all light.
    third = full.shape[1] // 3
    assert hollow[:, third : 2 * third].mean() > full[:, third : 2 * third].mean()
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        Plots(tmp_path / "file" / "plots")


def surveil(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "surveil", "eval", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_real_models_are_judged_on_the_command_line(tmp_path: Path, yolo_folder: Path, toy_qwen: Path) -> None:
    folder = placed(tmp_path / "set", "none/a.png", "high/b.png")
    (folder / "high" / "c.png").write_text("no picture")
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    (tmp_path / "hollow").mkdir()
    (tmp_path / "hollow" / "config.json").write_text('{"model_type": "qwen2_5_vl"}')
    for file, model in ((good, toy_qwen), (bad, tmp_path / "hollow")):
        file.write_text(
            f"cameras: {{hall: {{source: rtsp://h/1}}}}\ndetector: {{model: {yolo_folder}}}\n"
            f"assessor: {{backend: qwen, model: {model}}}\n"
        )
    told = tmp_path / "report.json"
    done = surveil(folder, "--config", good, "--report", told, "--plots", tmp_path / "plots")
    assert done.returncode == 66
    report = json.loads(done.stdout)
    assert json.loads(told.read_text()) == report
    assert report["labelled"] == {"none": 1, "low": 0, "medium": 0, "high": 2}
    (row,) = report["backends"]
    assert (row["samples"], row["answered"], row["failed"]) == (2, 2, 0)
    assert row["backend"] == str(good)
    assert row["model"].startswith(toy_qwen.name)
    assert 0 <= row["ece"] <= 1
    assert 0 <= row["brier"] <= 1
    assert "good.yaml" in done.stderr
    assert done.stderr.splitlines()[-1] == f"{folder}/high/c.png: this is no picture that can be read"
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["1-good.png"]
    (folder / "high" / "c.png").unlink()
    both = surveil(folder, "--config", good, "--config", bad)
    assert both.returncode == 78
    assert len(json.loads(both.stdout)["backends"]) == 1  # what was judged before is not lost
    assert "hollow" in both.stderr.splitlines()[-1]
