"""Fixtures that several rooms share; each brings a real component up, or says what is missing."""

from __future__ import annotations

import contextlib
import gc
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.real import components


@pytest.fixture(autouse=True)
def no_secrets_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret of one test must not be masked in the next."""
    monkeypatch.setattr("surveil.redaction._values", set())


@pytest.fixture(scope="session")
def footage() -> Path:
    return components.shared("footage/one-by-one-person.mp4")


@pytest.fixture(scope="session")
def yolo_folder() -> Path:
    return components.shared("models/yolov8n_int8_openvino_model")


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real .pt weights of YOLOv8n's architecture, random, that see many things in a picture."""
    from tests.real import untrained as weights

    return weights.write(tmp_path_factory.mktemp("pt") / "untrained.pt")


@pytest.fixture(scope="session")
def untrained_onnx(untrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights as a rectangular ONNX engine, exported as a user would."""
    from surveil.detect.engines import EngineCache
    from surveil.detect.export import Order, export

    cache = EngineCache(tmp_path_factory.mktemp("cache"))
    return export(Order(untrained, "onnx", "fp32", (384, 640)), cache).model


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is exported on this machine must neither help a test nor be touched by one."""
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path_factory.getbasetemp() / "surveil-cache"))


@pytest.fixture(scope="session")
def toy_qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy-qwen")
    # In a process of its own: what it imports must not sit in the memory of all other tests.
    subprocess.run([sys.executable, "-m", "tests.real.toy_qwen", str(folder)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return components.write_video(tmp_path_factory.mktemp("video") / "bar.mp4")


@pytest.fixture
def what_amqtt_leaves() -> Iterator[None]:
    """Clear away the connections that amqtt forgets to close, so that no later test is blamed for them."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    port = components.free_port()
    with components.mosquitto(tmp_path, port):
        yield port


@pytest.fixture
def subscribe() -> Iterator[Callable[..., components.Subscriber]]:
    with contextlib.ExitStack() as stack:

        def make(port: int, topic: str = "#") -> components.Subscriber:
            subscriber = components.Subscriber(port, topic)
            stack.callback(subscriber.close)
            return subscriber

        yield make


@pytest.fixture
def daemon() -> Iterator[Callable[[Path], components.Daemon]]:
    with contextlib.ExitStack() as stack:

        def make(config: Path) -> components.Daemon:
            started = components.Daemon(config)
            stack.callback(started.kill)
            return started

        yield make
