from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from surveil.config import Config, ConfigError, load
from surveil.messages import Level

ROOT = Path(__file__).parents[2]
MINIMAL = "cameras: {front: {source: rtsp://192.0.2.20/sub}}\n"


def loaded(folder: Path, text: str) -> Config:
    file = folder / "c.yaml"
    file.write_text(text)
    return load(file)


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text)
    return [line.removeprefix(f"{folder / 'c.yaml'}:") for line in str(caught.value).splitlines()]


def test_every_key_but_the_source_has_a_default(tmp_path: Path) -> None:
    config = loaded(tmp_path, MINIMAL)
    assert re.fullmatch(r"[a-z0-9]+([_-][a-z0-9]+)*-[0-9a-f]{4}", config.node)
    assert config.detector.model == "yolov8n.pt"
    assert config.alerts.linger == 30
    assert config.assessor.deadline == 20
    assert [rule.when for rule in config.cameras["front"].rules] == ["person", "tamper"]
    assert config.local_zone("front")


def test_the_shipped_config_is_valid_and_documents_every_key() -> None:
    shipped = load(ROOT / "config.yaml")
    assert list(shipped.cameras) == ["front"]
    text = (ROOT / "config.yaml").read_text()
    schema = Config.model_json_schema(by_alias=True)
    wanted = {"Config", "Camera", "Detector", "Assessor", "Alerts", "Mqtt", "Storage", "Web", "PersonSettings"}
    parts = {"Config": schema, **schema["$defs"]}
    keys = {key for name in wanted for key in parts[name]["properties"]}
    assert len(keys) > 60
    undocumented = {key for key in keys if not re.search(rf"^\s*(# |- )?{key}:", text, re.MULTILINE)}
    assert not undocumented


def test_the_shipped_config_shows_the_real_defaults() -> None:
    shipped = load(ROOT / "config.yaml")
    for room in ("detector", "assessor", "alerts", "mqtt", "storage", "web"):
        part = getattr(shipped, room)
        assert part == type(part)(), room


def test_every_problem_is_told_at_once_with_its_line_and_path(tmp_path: Path) -> None:
    told = problems(
        tmp_path,
        """\
cameras:
  front:
    source: rtsp://admin:hunter2@192.0.2.20/sub
    colour: red
    rules:
      - {when: person, treshold: 0.5}
      - {when: flying}
      - {threshold: 0.5}
      - {when: crowd, count: 1}
  Back Door:
    source: ftp://192.0.2.20/x
    password: {vault: x}
detector: {imgsz: 641, confidence: .nan}
mqtt: {port: "1883"}
alerts:
  lingr: 3
assessor: {memory_gb: lots}
""",
    )
    expected = [
        "3: cameras.front.source: a password inside a URL",
        "4: cameras.front.colour: is no key of the config",
        "6: cameras.front.rules[0].treshold: is no key of the config here; did you mean threshold?",
        "7: cameras.front.rules[1]: there is no rule flying; there are person, object, intrusion",
        "8: cameras.front.rules[2]: needs a when:",
        "9: cameras.front.rules[3].count: should be greater than or equal to 2",
        "10: cameras.Back Door: a name holds a-z, 0-9",
        "11: cameras.Back Door.source: ftp:// is no camera",
        "12: cameras.Back Door.password: must be text, or one of {env: NAME}",
        "13: detector.imgsz: should be a multiple of 32",
        "13: detector.confidence: should be a valid number",
        "14: mqtt.port: should be a valid integer",
        "16: alerts.lingr: is no key of the config here; did you mean linger?",
        "17: assessor.memory_gb: must be auto or a number of gigabytes",
    ]
    assert len(told) == len(expected)
    for line, beginning in zip(told, expected, strict=True):
        assert line.startswith(beginning)
    assert "hunter2" not in "".join(told)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "1: cameras: is required"),
        ("[]", "1: cameras: is required"),
        ("cameras: {}", "1: cameras: should have at least 1 item"),
        ("cameras: {front: {}}", "1: cameras.front.source: is required"),
        ("cameras: {front: {source: /no/such.mp4}}", "1: cameras.front.source: there is no such file"),
        ("cameras: {front: {source: 'rtsp://'}}", "the URL names no host"),
        ("cameras: {front: {source: 'rtsp://h:99999/'}}", "port"),
        (MINIMAL + "detector: {model: models/mine.pt}", "2: detector.model: there is no model models/mine.pt"),
        (MINIMAL + "detector: {model: mine.pt}", "2: detector.model: there is no model mine.pt"),
        (MINIMAL + "assessor: {backend: qwen, model: /no/folder}", "2: assessor.model: there is no folder /no/folder"),
        (MINIMAL + "timezone: Mars/Base", "2: timezone: is no IANA time zone"),
        (MINIMAL + "node: Gate Box", "2: node: a name holds a-z"),
        (MINIMAL + "alerts: {linger: 0123}", "2: alerts.linger: should be a valid number"),
        (MINIMAL + "cameras: {}", "2: yaml: the key cameras stands here twice"),
        ("cameras: {front: {source: rtsp://h/1, password: x}}", "password: needs a username"),
        ("cameras: {f: {source: rtsp://h/1, zones: {a: {polygon: [[0, 0], [1, 2], [1, 0]]}}}}",
         "cameras.f.zones.a.polygon[1][1]: should be less than or equal to 1"),
        ("cameras: {f: {source: rtsp://h/1, zones: {a: {polygon: [[0, 0], [1, 1], [1, 0], [0, 1]]}}}}",
         "1: cameras.f.zones.a.polygon: its edges cross near 0.5 0.5: name the corners in their order around it"),
        ("cameras: {f: {source: rtsp://h/1, ignore: [[[0, 0], [0.5, 0.5], [1, 1]]]}}", "cameras.f.ignore[0]: it"),
        ("cameras: {f: {source: rtsp://h/1, masks: [[[0.2, 0.2], [0.2, 0.2], [0.2, 0.2]]]}}", "cameras.f.masks[0]: it"),
        ("cameras: {f: {source: rtsp://h/1, lines: {gate: {from: [0.5, 0.5], to: [0.5, 0.5]}}}}",
         "cameras.f.lines.gate: it begins where it ends"),
        ("cameras: {f: {source: rtsp://h/1, rules: [{when: line, line: gate}]}}", "[0].line: there is no line gate"),
        ("cameras: {f: {source: rtsp://h/1, rules: [{when: intrusion, zone: lawn}]}}",
         "rules[0].zone: there is no zone lawn here (there: none)"),
        ("cameras: {f: {source: rtsp://h/1, rules: [{when: person, schedule: ['7-9']}]}}", "must be a window"),
    ],
)  # fmt: skip
def test_bad_values(tmp_path: Path, text: str, complaint: str) -> None:
    assert complaint in "\n".join(problems(tmp_path, text))


@pytest.mark.parametrize(
    "text",
    [
        "cameras: {f: {source: rtsp://h/1, detail: http://h/2}}",
        "cameras: {f: {source: rtsp://h/1, detail: main.mp4}}",
        "cameras: {f: {source: http://h/stream.mjpg}}",
        "cameras: {f: {source: /dev/video0}}",
        "cameras: {f: {source: 'folder:/pictures'}}",
        MINIMAL + "web: {listen: '127.0.0.1:8080'}",
    ],
)
def test_what_has_not_landed_is_refused_by_name(tmp_path: Path, text: str) -> None:
    assert any("not in this version yet" in line for line in problems(tmp_path, text))


@pytest.mark.parametrize(
    ("assessor", "told"),
    [
        ("{backend: openai}", "assessor.backend: openai needs urls: beside it"),
        ("{backend: openai, urls: ['http://8.8.8.8/v1']}", "assessor.urls[0]: is no private address"),
        ("{urls: ['http://10.0.0.1/v1', 'https://[2001:4860::1]/v1']}", "assessor.urls[1]: is no private address"),
        ("{urls: ['http://169.254.169.254/v1']}", "assessor.urls[0]: is no private address"),
        ("{urls: ['https://api.example.com/v1']}", "assessor.urls[0]: is no private address"),
        ("{urls: ['http://10.0.0.1/']}", "assessor.urls[0]: is no base URL such as"),
        ("{urls: ['ftp://10.0.0.1/v1']}", "assessor.urls[0]: is no base URL such as"),
        ("{urls: ['http://10.0.0.1:x/v1']}", "assessor.urls[0]: the URL's port is no number"),
        ("{prompt: /no/such.txt}", "assessor.prompt: /no/such.txt cannot be read: No such file"),
        ("{prompt: /usr/bin/env}", "assessor.prompt: /usr/bin/env is not UTF-8 text"),
        ("{prompt: /dev/null}", "assessor.prompt: /dev/null should hold 20 to 8000 characters"),
        ("{quantize: int8}", "assessor.quantize: should be 'auto', 'none' or 'nf4'"),
        ("{memory_gb: -1}", "assessor.memory_gb: must be auto or a number of gigabytes"),
        ("{reassess_after: 1}", "assessor.reassess_after: should be greater than or equal to 10"),
        ("{urls: ['http://10.0.0.1/v1', 'http://10.0.0.1/v1/']}", "assessor.urls[1]: is named twice"),
        ("{language: german}", "assessor.language: must be a language's code, such as en, de or pt-BR"),
        ("{backend: qwen, model: .}", "assessor.model: . is no folder with a model's config.json in it"),
        ("{views: often}", "assessor.views: should be"),
        ("{backend: qwen, model: ./nowhere}", "assessor.model: there is no folder ./nowhere"),
    ],
)
def test_what_the_assessor_cannot_be_is_told(tmp_path: Path, assessor: str, told: str) -> None:
    (line,) = problems(tmp_path, f"{MINIMAL}assessor: {assessor}")
    assert told in line


def test_every_url_that_is_wrong_is_told_at_once_and_nothing_untrue_beside_it(tmp_path: Path) -> None:
    urls = "['http://8.8.8.8/v1', 'http://x/v2', 'https://api.example.com/v1']"
    told = problems(tmp_path, f"{MINIMAL}assessor: {{backend: openai, urls: {urls}}}")
    assert [line.split(": ")[1] for line in told] == ["assessor.urls[0]", "assessor.urls[1]", "assessor.urls[2]"]
    (line,) = problems(tmp_path, f"{MINIMAL}assessor: {{backend: openai, urls: http://gpu/v1}}")
    assert "assessor.urls: should be a list" in line


def test_servers_nearby_need_no_leave_and_others_do(tmp_path: Path) -> None:
    near = "['http://10.0.0.1:8000/v1', 'http://gpu-box/v1', 'https://vlm.lan/openai/v1/', 'http://[fd00::1]/v1']"
    assert len(loaded(tmp_path, f"{MINIMAL}assessor: {{backend: openai, urls: {near}}}").assessor.urls) == 4
    far = "{backend: openai, urls: ['https://8.8.8.8/v1'], allow_remote: true, api_key: {env: KEY}}"
    assert loaded(tmp_path, f"{MINIMAL}assessor: {far}").assessor.allow_remote


@pytest.mark.parametrize("schedule", ["'22:00-06:00'", "['22:00-06:00']", "['22:00-06:00', '12:00-13:00']"])
def test_one_window_or_several(tmp_path: Path, schedule: str) -> None:
    config = loaded(
        tmp_path, f"cameras: {{f: {{source: rtsp://h/1, rules: [{{when: person, schedule: {schedule}}}]}}}}"
    )
    assert config.cameras["f"].rules[0].schedule[0] == "22:00-06:00"


def test_what_is_right_is_looked_at_beside_what_is_wrong(tmp_path: Path) -> None:
    told = problems(
        tmp_path,
        """\
cameras:
  a: {source: /no/such.mp4, transport: xyz}
  b: {name: No source}
  c: {source: rtsp://h/1, zones: {lawn: {polygon: [[0, 0]]}}, rules: [{when: intrusion, zone: lawn}]}
detector: {model: /no/model.pt, imgsz: 1}
web: {listen: "127.0.0.1:8080"}
""",
    )
    assert [line.split(": ")[0] + ": " + line.split(": ")[1] for line in told] == [
        "2: cameras.a.transport", "2: cameras.a.source", "3: cameras.b.source", "4: cameras.c.zones.lawn.polygon",
        "5: detector.imgsz", "5: detector.model", "6: web.listen",
    ]  # fmt: skip


def test_numbers_of_list_items_are_the_files_or_not_told(tmp_path: Path) -> None:
    told = problems(
        tmp_path,
        """\
cameras:
  a:
    source: rtsp://h/1
    rules:
      - {when: persn}
      - {when: person}
      - {when: intrusion, zone: yard}
""",
    )
    assert len(told) == 1
    assert told[0].startswith("5: cameras.a.rules[0]: there is no rule persn")


def test_an_empty_camera_hides_nothing_of_the_others(tmp_path: Path) -> None:
    told = problems(tmp_path, "cameras:\n  a: {source: /no/such.mp4}\n  b:\ndetector: {model: /no/model.pt}\n")
    assert [line.split(": ")[1] for line in told] == ["cameras.a.source", "cameras.b", "detector.model"]
    assert told[1] == "3: cameras.b: should be a group of keys"


@pytest.mark.parametrize("name", ["notes.txt", "empty_model"])
def test_a_model_must_look_like_one(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    told = problems(tmp_path, MINIMAL + f"detector: {{model: {tmp_path / name}}}")
    assert told == ["2: detector.model: is none of .pt, .onnx, .engine, _openvino_model"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("cameras:\n\tfront: {}\n", "2: yaml: a tab cannot indent"),
        ("name: Front: door\n", "1: yaml: a colon too many"),
        (MINIMAL + "mqtt: {username: 1234}", "should be text; put it in quotes"),
        ("cameras: {f: {source: rtsp://h/1, loop: yes}}", "should be true or false"),
        ("cameras: {f: {source: rtsp://h/1, rules: person}}", "should be a list"),
        (MINIMAL + "mqtt: {prot: 1}", "did you mean port?"),
        (MINIMAL + "front: {}", "2: front: is no key of the config here"),
        ("cameras: {f: {source: 192.0.2.20/sub}}", "a camera's address begins with rtsp://"),
        ("cameras: {f: {source: 'http://h/x'}}", "this kind of source is not in this version yet"),
    ],
)
def test_words_for_people(tmp_path: Path, text: str, complaint: str) -> None:
    assert complaint in "\n".join(problems(tmp_path, text))


@pytest.mark.parametrize(
    "text",
    [
        "cameras: {f: {source: 'rtsp://admin:12/3-hunter2@h/1'}}",
        "cameras: {f: {source: 'http://h/x?user=u&password=hunter2'}}",
        "cameras: {f: {source: rtsp://h/1, detail: 'http://h/user=u_password=hunter2'}}",
        "cameras: {f: {source: rtsp://h/1, username: u, password: *hunter2}}",
        "cameras: {f: {source: rtsp://h/1, username: u, password: !hunter2 x}}",
        MINIMAL + "mqtt: {password: hunter2}",
        MINIMAL + "mqtt: {username: u, password: [hunter2]}",
        MINIMAL + "assessor: {api_key: [hunter2]}",
        MINIMAL + "assessor: {api_key: hunter2, backend: openai}",
        MINIMAL + "assessor: {urls: ['http://user:hunter2@127.0.0.1/v1']}",
        MINIMAL + "assessor: {urls: ['http://127.0.0.1/v1?key=hunter2']}",
    ],
)
def test_no_complaint_tells_a_secret(tmp_path: Path, text: str) -> None:
    assert "hunter2" not in "\n".join(problems(tmp_path, text))


@pytest.mark.parametrize("source", ["x" * 400, "HTTP://h/x", "RTMP://h/x", "a\0b"])
def test_odd_sources_are_told_not_raised(tmp_path: Path, source: str) -> None:
    assert problems(tmp_path, json.dumps({"cameras": {"f": {"source": source}}}))


def test_rules_keep_what_was_said(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        "cameras: {f: {source: rtsp://h/1, rules: [{when: person, name: guest, severity: medium, cooldown: 0}]}}",
    )
    (rule,) = config.cameras["f"].rules
    assert rule.when == "person"
    assert (rule.title, rule.level) == ("guest", Level.medium)


def test_an_unreadable_file_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"name: \xfc\n")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load(tmp_path / "latin.yaml")


def test_the_schema_takes_what_the_loader_takes() -> None:
    import yaml

    schema = Config.model_json_schema(by_alias=True)
    shipped: dict[str, Any] = yaml.safe_load((ROOT / "config.yaml").read_text())
    jsonschema.Draft202012Validator(schema).validate(shipped)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate({**shipped, "colour": "red"})
    json.dumps(schema)


def test_labels_that_the_model_lacks_are_told_where_they_can_be_read(tmp_path: Path, yolo_folder: Path) -> None:
    told = problems(
        tmp_path,
        f"""\
cameras:
  a:
    source: rtsp://h/1
    rules:
      - {{when: object, labels: [car, persn]}}
      - {{when: intrusion, zone: null, labels: [zeppelin-x9]}}
detector: {{model: {yolo_folder}}}
""",
    )
    assert told[0] == "5: cameras.a.rules[0].labels: the model does not know persn; did you mean person?"
    assert told[1].startswith(
        "6: cameras.a.rules[1].labels: the model does not know zeppelin-x9; it knows airplane, apple,"
    )
    assert len(told) == 2
