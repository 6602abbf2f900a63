"""The import map of docs/design/0001-shape.md, enforced: imports point down, heavy libraries stay in adapters."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import surveil

PACKAGE = Path(surveil.__file__).parent
VOCABULARY = {
    "messages", "interfaces", "clock", "channels", "metrics", "config", "backoff", "logs", "redaction", "outgoing",
    "commands",
}  # fmt: skip
ROOMS = {"capture", "detect", "trigger", "assess", "deliver", "store", "demo"}
GLUE = {
    "registry",
    "assessors",
    "build",
    "systemd",
    "switches",
    "control",
    "clips",
    "stats",
    "overload",
    "status",
    "explain",
    "drawing",
    "render",
    "progress",
    "terminal",
    "testing",
}
TOP = {
    "service", "oracle", "replay", "bench", "models", "analyze", "samples", "score", "evaluation", "evaluation_plots",
    "doctor", "fetch", "alerts",
}  # fmt: skip
LAYERS = [VOCABULARY, ROOMS, GLUE, TOP, {"cli", "cli_models", "cli_alerts"}, {"__main__"}]

ADAPTERS = {
    "av": {
        "render.py",
        "capture/acceleration.py",
        "capture/clip.py",
        "capture/damage.py",
        "capture/decoding.py",
        "capture/detail.py",
        "capture/mp4.py",
        "capture/rtsp.py",
        "capture/samples.py",
        "capture/test_card.py",
        "capture/video_file.py",
        "demo/camera.py",
    },
    "ultralytics": {
        "detect/backend.py",
        "detect/boxes.py",
        "detect/export.py",
        "detect/openvino.py",
        "detect/tracking.py",
    },
    "torch": {
        "detect/backend.py",
        "detect/boxes.py",
        "detect/engines.py",
        "detect/openvino.py",
        "detect/yolo.py",
        "assess/qwen_model.py",
    },
    "httpx": {
        "assess/openai.py",
        "assess/replies.py",
        "fetch/download.py",
        "fetch/fetching.py",
        "fetch/hub.py",
        "fetch/release.py",
        "fetch/remote.py",
    },
    "torchvision": {"detect/boxes.py"},
    "transformers": {"assess/qwen_model.py"},
    "xgrammar": {"assess/qwen_model.py"},
    "openvino": {"detect/openvino.py"},
    "pynvml": {"assess/gpu.py"},
    "amqtt": {"deliver/embedded.py"},
    "paho": {"deliver/broker.py", "deliver/mqtt.py", "demo/subscriber.py"},
    "cv2": {
        "analyze.py",
        "assess/marks.py",
        "assess/openai.py",
        "capture/masks.py",
        "store/questions.py",
        "trigger/background.py",
        "trigger/keyframes.py",
        "trigger/outline.py",
        "trigger/pixel_memory.py",
        "trigger/stillness.py",
        "trigger/view.py",
        "deliver/delivery.py",
        "demo/beyond.py",
        "demo/canvas.py",
        "demo/cloth.py",
        "demo/house.py",
        "demo/scene.py",
        "demo/texture.py",
        "demo/yard.py",
        "detect/export.py",
        "drawing.py",
        "models.py",
        "render.py",
    },
    "matplotlib": {"evaluation_plots.py"},
    "yaml": {"config/document.py", "config/load.py", "demo/household.py", "detect/openvino.py"},
    "shapely": {"config/settings.py", "trigger/zones.py"},
}


def imports(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import"
            assert node.module is not None
            found.add(node.module)
            # `from surveil import build` imports a module of ours.
            found.update(f"{node.module}.{alias.name}" for alias in node.names if node.module == "surveil")
    return found


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def unit(file: Path) -> str:
    """Return the first part below the package: a room, or a module of its own."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_every_file_has_its_place_in_the_map() -> None:
    assert {unit(file) for file in files()} - {"__init__"} == set().union(*LAYERS)


@pytest.mark.parametrize("file", files(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_down(file: Path) -> None:
    here = unit(file)
    if here == "__init__":
        assert not imports(file)
        return
    level = next(number for number, layer in enumerate(LAYERS) if here in layer)
    for name in imports(file):
        parts = name.split(".")
        if parts[0] != "surveil" or len(parts) == 1 or parts[1] in {here, "__version__"}:
            continue
        there = next(number for number, layer in enumerate(LAYERS) if parts[1] in layer)
        same = there == level and parts[1] not in ROOMS
        assert there < level or same, f"{file.relative_to(PACKAGE)} must not import {name}"


@pytest.mark.parametrize("library", ADAPTERS)
def test_heavy_libraries_stay_in_their_adapters(library: str) -> None:
    users = {
        str(file.relative_to(PACKAGE))
        for file in files()
        if any(name.split(".")[0] == library for name in imports(file))
    }
    assert users <= ADAPTERS[library]


def test_check_imports_nothing_heavy() -> None:
    config = PACKAGE.parent / "config.yaml"
    code = (
        "import sys; sys.argv = ['surveil', 'check', '--config', sys.argv[1]]\n"
        "from surveil.cli import main\n"
        "try: main()\n"
        "finally: print(sorted(set(sys.modules) & {'torch', 'ultralytics', 'transformers', 'openvino', 'av', 'cv2'}))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(config)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "valid" in done.stdout
