"""From a file's path to a Config, or to every problem in it at once."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from surveil.config.document import ConfigError, Document, Key, Problem, parse
from surveil.config.landed import not_landed
from surveil.config.rules import NAME_PATTERN
from surveil.config.settings import Assessor, Config, Detector

_YOLO_NAME = re.compile(r"yolo(v\d{1,2}|\d{1,2})[a-z](\.pt)?")
_MODELS = (".pt", ".onnx", ".engine", "_openvino_model")
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
MAX_WORDING = 8_000
"""Characters: some 2,000 tokens, as many as four keyframes."""


def load(file: Path) -> Config:
    """Return the config in `file`; raises ConfigError with every problem, each with its line."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(file, [Problem(1, "yaml", "is not UTF-8 text")]) from None
    except OSError as error:
        raise ConfigError(file, [Problem(1, "file", f"cannot be read: {error.strerror}")]) from None
    document = parse(file, text)
    if not isinstance(document.data, dict):
        raise ConfigError(file, [Problem(1, "cameras", "is required: name at least one camera and its source")])
    config, wrong = _validated(document.data)
    problems = [_problem(document, path, details) for path, details in wrong]
    if config is None:
        # What is right in a file with mistakes is looked at all the same, so that all is told at once.
        config = _without(document.data, wrong)
    if config is not None:
        late = [(path, what) for path, what in _beyond_types(config, wrong) if not _shifted(path, wrong)]
        problems += [Problem(document.line(path), _text(path), what) for path, what in late]
    if problems or config is None:
        raise ConfigError(file, _in_order(problems))
    return config


Wrong = list[tuple[tuple[Key, ...], ErrorDetails]]


def _validated(data: Any) -> tuple[Config | None, Wrong]:
    try:
        # JSON on the way, because strict validation takes a list for a tuple there and nowhere else.
        return Config.model_validate_json(json.dumps(data)), []
    except ValidationError as error:
        # URLs off: they would name the library's version, which is no help to an operator.
        found = error.errors(include_url=False, include_input=False)
        return None, [(_real_path(data, details["loc"]), details) for details in found]


def _without(data: Any, wrong: Wrong) -> Config | None:
    """Return the config that is left when every wrong value is taken out; None when it is still none."""
    rest = json.loads(json.dumps(data))
    config: Config | None = None
    for _ in range(4):  # what lacks a key that was taken out is wrong in turn
        # From the end, so that the places of list items before hold.
        for path, _ in sorted(wrong, key=lambda item: [str(key).zfill(9) for key in item[0]], reverse=True):
            _take_out(rest, path)
        config, wrong = _validated(rest)
        if config is not None:
            break
    return config


def _take_out(data: Any, path: tuple[Key, ...]) -> None:
    """Remove what is at `path`; where nothing is, a required key is missing, and what lacks it goes."""
    for key in path[:-1]:
        if not _holds(data, key):
            return
        data, around, last = data[key], data, key
    if path and _holds(data, path[-1]):
        del data[path[-1]]
    elif len(path) > 1:
        del around[last]


def _shifted(path: tuple[Key, ...], wrong: Wrong) -> bool:
    """Return whether `path` lies in a list that lost items, so that its numbers are no longer the file's."""
    lists = {bad[:place] for bad, _ in wrong for place, key in enumerate(bad) if isinstance(key, int)}
    return any(path[:place] in lists for place in range(len(path)))


def _holds(data: Any, key: Key) -> bool:
    if isinstance(data, dict):
        return key in data
    return isinstance(data, list) and isinstance(key, int) and key < len(data)


def _beyond_types(config: Config, wrong: Wrong) -> Iterator[tuple[tuple[Key, ...], str]]:
    yield from not_landed(config)
    for name, camera in config.cameras.items():
        is_file = "://" not in camera.source and not camera.source.startswith(("/dev/", "folder:"))
        if is_file and not os.path.isfile(camera.source):
            yield ("cameras", name, "source"), "there is no such file (a camera's address begins with rtsp://)"
        for number, rule in enumerate(camera.rules):
            for key, known in (("zone", camera.zones), ("line", camera.lines)):
                wanted = getattr(rule, key, None)
                broken = any(path[:3] == ("cameras", name, f"{key}s") for path, _ in wrong)
                if wanted is not None and wanted not in known and not broken:
                    there = ", ".join(known) or "none"
                    yield ("cameras", name, "rules", number, key), f"there is no {key} {wanted} here (there: {there})"
        if camera.password is not None and camera.username is None:
            yield ("cameras", name, "password"), "needs a username: beside it"
    if config.mqtt.password is not None and config.mqtt.username is None:
        yield ("mqtt", "password"), "needs a username: beside it"
    yield from _model_files(config)
    yield from _unknown_labels(config)
    yield from _assessor(config.assessor, wrong)


def _model_files(config: Config) -> Iterator[tuple[tuple[Key, ...], str]]:
    detector = config.detector
    if not os.path.exists(detector.model) and not is_detector_name(detector):
        yield ("detector", "model"), f"there is no model {detector.model}"
    elif os.path.exists(detector.model) and not detector.model.rstrip("/").endswith(_MODELS):
        yield ("detector", "model"), f"is none of {', '.join(_MODELS)}"
    elif os.path.isdir(detector.model) and detector.sha256:
        yield ("detector", "sha256"), "pins a file, and this model is a folder"
    model = config.assessor.model
    hub_name = _HUB_NAME.fullmatch(model) and not os.path.isdir(model.split("/", maxsplit=1)[0])
    if config.assessor.backend == "qwen" and not os.path.exists(model) and not hub_name:
        yield ("assessor", "model"), f"there is no folder {model}"
    elif config.assessor.backend == "qwen" and os.path.exists(model) and not os.path.isfile(f"{model}/config.json"):
        yield ("assessor", "model"), f"{model} is no folder with a model's config.json in it"


def _assessor(assessor: Assessor, wrong: Wrong) -> Iterator[tuple[tuple[Key, ...], str]]:
    """Yield what the assessor's keys say that cannot be, as far as it can be known without asking anybody."""
    broken = any(path[:2] == ("assessor", "urls") for path, _ in wrong)
    if assessor.backend == "openai" and not assessor.urls and not broken:
        yield ("assessor", "backend"), "openai needs urls: beside it, one or more ending in /v1"
    bare = [url.rstrip("/") for url in assessor.urls]
    for number, url in enumerate(bare):
        if url in bare[:number]:
            yield ("assessor", "urls", number), "is named twice"
    if assessor.prompt is not None:
        try:
            wording = Path(assessor.prompt).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            yield ("assessor", "prompt"), f"{assessor.prompt} is not UTF-8 text"
        except OSError as error:
            yield ("assessor", "prompt"), f"{assessor.prompt} cannot be read: {error.strerror}"
        else:
            if not 20 <= len(wording) <= MAX_WORDING:
                yield ("assessor", "prompt"), f"{assessor.prompt} should hold 20 to {MAX_WORDING} characters"


def _unknown_labels(config: Config) -> Iterator[tuple[tuple[Key, ...], str]]:
    """Yield what rules are about and the model does not know, where that can be read without loading the model."""
    known = _labels(config.detector.model)
    if known is None:
        return
    for name, camera in config.cameras.items():
        for number, rule in enumerate(camera.rules):
            missing = sorted(rule.about - known)
            if missing:
                near = [close for label in missing for close in difflib.get_close_matches(label, known, n=1)]
                hint = f"; did you mean {', '.join(near)}?" if near else f"; it knows {', '.join(sorted(known))}"
                key = "labels" if getattr(rule, "labels", None) else "when"
                yield ("cameras", name, "rules", number, key), f"the model does not know {', '.join(missing)}{hint}"


def _labels(model: str) -> frozenset[str] | None:
    """Return the class names in the metadata that ultralytics exports beside an OpenVINO model; None without them."""
    try:
        about = yaml.safe_load(Path(model, "metadata.yaml").read_text(encoding="utf-8"))
        return frozenset(map(str, about["names"].values()))
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return None


def is_detector_name(detector: Detector) -> bool:
    """Return whether `model` is a name that ultralytics publishes weights under, not a path."""
    return _YOLO_NAME.fullmatch(detector.model) is not None


def _in_order(problems: list[Problem]) -> list[Problem]:
    return sorted(dict.fromkeys(problems), key=lambda problem: problem.line)


def _problem(document: Document, path: tuple[Key, ...], details: ErrorDetails) -> Problem:
    return Problem(document.line(path), _text(path), _words(details, path))


def _real_path(data: Any, loc: tuple[Key, ...]) -> tuple[Key, ...]:
    """Return `loc` without the tags that pydantic puts in for the chosen member of a union."""
    path: list[Key] = []
    for position, key in enumerate(loc):
        here = isinstance(data, dict) and key in data
        here = here or (isinstance(data, list) and isinstance(key, int) and key < len(data))
        if here:
            data = data[key]
            path.append(key)
        elif position == len(loc) - 1 and key != "[key]":
            path.append(key)
    return tuple(path)


def _text(path: tuple[Key, ...]) -> str:
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text or "config"


_PLAIN = {
    "missing": "is required",
    "bool_type": "should be true or false",
    "tuple_type": "should be a list",
    "list_type": "should be a list",
    "model_type": "should be a group of keys",
    "dict_type": "should be a group of keys",
    "model_attributes_type": "should be a group of keys",
    "string_type": "should be text; put it in quotes",
    "string_pattern_mismatch": "is not of the form that is wanted here",
    "union_tag_not_found": "needs a when: that names the kind of rule",
}


def _words(details: ErrorDetails, path: tuple[Key, ...]) -> str:
    """Return what is wrong in words for people who have never heard of the library that found it."""
    kind = details["type"]
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(path[-1]), _keys_beside(path), n=1)
        return "is no key of the config" + (f" here; did you mean {near[0]}?" if near else " here")
    if kind == "string_pattern_mismatch" and NAME_PATTERN in details["msg"]:
        return "a name holds a-z, 0-9, and single _ or - inside"
    if kind == "union_tag_invalid":
        context = details["ctx"]
        return f"there is no rule {context['tag']}; there are {context['expected_tags']}".replace("'", "")
    words = details["msg"].replace("Input should", "should").replace("Tuple should", "should")
    return _PLAIN.get(kind, words.replace(" after validation", "").replace("Dictionary should", "should"))


def _keys_beside(path: tuple[Key, ...]) -> list[str]:
    """Return the keys that may stand where the last one of `path` does."""
    schema = Config.model_json_schema(by_alias=True)
    parts = schema["$defs"]
    if len(path) == 1:
        return list(schema["properties"])
    if path[0] == "cameras":
        rules = [part for name, part in parts.items() if name.endswith("Settings") and "when" in part["properties"]]
        found = rules if "rules" in path else [parts["Camera"]]
    else:
        found = [part for name, part in parts.items() if name.lower() == path[0]]
    return sorted({key for part in found for key in part["properties"]})
