"""The command line as a user has it: real processes, exit codes of sysexits.h, one line for a user's mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

import surveil
from tests.real import components
from tests.real.components import free_port, wait_for

ROOT = Path(__file__).parents[1]
ONE = "cameras: {a: {source: 'rtsp://h/1'}}\n"


def surveil_says(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "surveil", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        timeout=110,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def written(folder: Path, text: str) -> str:
    (folder / "c.yaml").write_text(text)
    return str(folder / "c.yaml")


def test_help_everywhere() -> None:
    for arguments in (
        ["--help"], ["run", "--help"], ["check", "-h"], ["replay", "--help"], ["schema", "--help"],
        ["analyze", "--help"], ["eval", "--help"],
    ):  # fmt: skip
        done = surveil_says(*arguments)
        assert done.returncode == 0
        assert "Usage" in done.stdout
    assert surveil_says("--version").stdout == f"surveil {surveil.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["fly"], ["run", "--colour"], ["replay"], ["schema", "nothing"], ["check", "--config"], ["replay", "a", "b"],
        ["analyze"], ["analyze", "a.png", "--profile", "retail"], ["eval"], ["eval", "a", "b"],
    ],
)  # fmt: skip
def test_wrong_usage_exits_64(arguments: list[str]) -> None:
    done = surveil_says(*arguments)
    assert done.returncode == 64
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_check_tells_every_problem_on_stdout_and_exits_78(tmp_path: Path) -> None:
    file = written(tmp_path, "cameras:\n  front:\n    source: rtsp://h/1\n    liens: 3\nmqtt: {port: 0}\n")
    done = surveil_says("check", "--config", file)
    assert done.returncode == 78
    assert done.stdout.splitlines() == [
        f"{file}:4: cameras.front.liens: is no key of the config here; did you mean lines?",
        f"{file}:5: mqtt.port: should be greater than or equal to 1",
    ]
    assert surveil_says("check", "--config", str(ROOT / "config.yaml")).returncode == 0
    assert surveil_says("check", "--config", str(tmp_path / "none.yaml")).returncode == 78


@pytest.mark.parametrize(
    ("text", "code", "complaint"),
    [
        ("cameras: {}\n", 78, "cameras: should have at least 1 item"),
        (ONE + "detector: {model: /no/model.pt}\n", 78, "there is no model /no/model.pt"),
        (ONE, 78, "yolov8n.pt is not here; surveil models fetch"),
        (ONE + "detector: {model: broken.pt}\n", 78, "is no model that can be loaded"),
        (ONE + "storage: {path: c.yaml/x}\n", 73, "storage.path c.yaml/x cannot be written"),
        (ONE + "mqtt: {username: u, password: {env: NOT_SET_AT_ALL}}\n", 78,
         "the environment variable NOT_SET_AT_ALL is not set"),
    ],
)  # fmt: skip
def test_run_ends_with_a_line_and_a_code_when_it_cannot_begin(
    tmp_path: Path, text: str, code: int, complaint: str
) -> None:
    (tmp_path / "broken.pt").write_bytes(b"no model")
    written(tmp_path, text)
    done = surveil_says("run", "--config", "c.yaml", folder=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert complaint in done.stderr


def test_replay_names_what_it_cannot_read(tmp_path: Path, yolo_folder: Path) -> None:
    file = written(tmp_path, f"{ONE}detector: {{model: {yolo_folder}}}\n")
    (tmp_path / "text.mp4").write_text("no video")
    for name in ("absent.mp4", "text.mp4"):
        done = surveil_says("replay", str(tmp_path / name), "--config", file)
        assert done.returncode == 66
        assert name in done.stderr
    for wrong in (["--camera", "garden"], ["--start", "yesterday"]):
        done = surveil_says("replay", str(tmp_path / "text.mp4"), "--config", file, *wrong)
        assert done.returncode == 64
        assert wrong[1] in done.stderr


def test_analyze_tells_what_it_lacks(tmp_path: Path) -> None:
    written(tmp_path, ONE)
    (tmp_path / "text.png").write_text("no picture")
    picture = str(ROOT / "tests" / "none.png")
    for arguments, code, complaint in (
        (["text.png"], 66, "text.png: this is no picture that can be read"),
        ([picture, "text.png"], 66, f"{picture}: no such file or directory"),
        (["text.png", "--config", "absent.yaml"], 78, "absent.yaml:1: file: cannot be read"),
        (["text.png", "--annotate", "c.yaml/x"], 73, "c.yaml/x cannot be written: not a directory"),
    ):
        done = surveil_says("analyze", *arguments, folder=tmp_path)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert complaint in done.stderr
    components.write_video(tmp_path / "bar.mp4", frames=1)
    subprocess.run(["ffmpeg", "-v", "error", "-i", "bar.mp4", "bar.png"], cwd=tmp_path, check=True)
    done = surveil_says("analyze", "bar.png", folder=tmp_path)
    assert (done.returncode, done.stdout) == (78, "")
    assert "yolov8n.pt is not here; surveil models fetch" in done.stderr


def test_eval_tells_what_it_lacks_before_anything_is_loaded(tmp_path: Path) -> None:
    written(tmp_path, f"{ONE}assessor: {{backend: none}}\n")
    (tmp_path / "asks.yaml").write_text(f"{ONE}assessor: {{backend: openai, urls: ['http://127.0.0.1:9/v1']}}\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "set" / "low").mkdir(parents=True)
    (tmp_path / "set" / "low" / "a.png").write_text("counted, and only read when its turn comes")
    (tmp_path / "wrong" / "low").mkdir(parents=True)
    (tmp_path / "wrong" / "labels.yaml").write_text("a.png: {level: high}\nb.png: {levle: high}\n")
    for arguments, code, complaint in (
        (["absent"], 66, "absent: there is no such folder"),
        (["empty"], 66, "empty: no still or clip is in a sub-folder none, low, medium, high, or named in labels.yaml"),
        (["wrong"], 66, "wrong/labels.yaml:2: b.png: levle: is no key here"),
        (["set", "--config", "c.yaml"], 78, "c.yaml: there is no assessor to judge, because the config says so"),
        (["set", "--config", "asks.yaml", "--report", "no/r.json"], 73, "no/r.json cannot be written"),
        (["set", "--config", "asks.yaml", "--plots", "c.yaml/x"], 73, "c.yaml/x cannot be written"),
        (["set", "--config", "asks.yaml"], 78, "yolov8n.pt is not here; surveil models fetch"),
    ):
        done = surveil_says("eval", *arguments, folder=tmp_path)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert complaint in done.stderr


def test_a_reader_that_leaves_is_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import sys, time; time.sleep(1)"], stdin=subprocess.PIPE) as reader:
        reader.kill()
        reader.wait()
        assert reader.stdin is not None
        done = subprocess.run(
            [sys.executable, "-m", "surveil", "schema", "config"],
            stdout=reader.stdin, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 73
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["config", "alert"])
def test_schemas_are_schemas(name: str) -> None:
    done = surveil_says("schema", name)
    described = json.loads(done.stdout)
    jsonschema.Draft202012Validator.check_schema(described)
    assert described["properties"]


def test_ctrl_c_before_anything_runs_is_no_traceback(tmp_path: Path, yolo_folder: Path) -> None:
    import signal
    import time

    file = written(
        tmp_path,
        f"cameras: {{a: {{source: 'rtsp://127.0.0.1:{free_port()}/x'}}}}\ndetector: {{model: {yolo_folder}}}\n"
        f"mqtt: {{host: 127.0.0.1, port: {free_port()}}}\nstorage: {{path: {tmp_path / 'data'}}}\n"
        "assessor: {backend: none}\n",
    )
    for wait in (0.0, 1.5, 4.0):
        with subprocess.Popen(
            [sys.executable, "-m", "surveil", "run", "--config", file], stderr=subprocess.PIPE, text=True
        ) as running:
            # Before that it is Python that starts, which answers in its own words.
            maps = Path(f"/proc/{running.pid}/maps")
            wait_for(lambda maps=maps: "pydantic_core" in maps.read_text(), 30, "surveil starts")  # type: ignore[misc]
            time.sleep(wait)
            running.send_signal(signal.SIGINT)
            _, said = running.communicate(timeout=30)
        assert "Traceback" not in said, said
        assert running.returncode in {0, 130, -signal.SIGINT}
