"""`surveil models fetch` as a user has it: a process, its streams, its exit code. `test_models.py` has the engines."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fetch.servers import COMMIT, Page, Server
from tests.real.components import free_port, wait_for

BODY = b"weights of a detector" * 10_000
FILES = {"config.json": b"{}", "model.safetensors": b"weights of a VLM" * 10_000}


class Machine:
    """A folder with a config, a cache and a network of its own."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder, self.server = folder, server
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.lower().endswith("_proxy") and not name.startswith(("HF_", "HUGGING", "GITHUB_"))
        }
        self.environment |= {
            "GITHUB_API_URL": server.url,
            "HF_ENDPOINT": server.url,
            "HF_HOME": str(folder / "hf"),
            "COLUMNS": "200",
        }
        self.snapshot = folder / "hf" / "hub" / "models--owner--toy" / "snapshots" / COMMIT
        (folder / "c.yaml").write_text(
            "cameras: {a: {source: 'rtsp://h/1', username: u, password: {env: NOT_SET_AT_ALL}}}\n"
            "assessor: {model: owner/toy, backend: qwen}\n"
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "surveil", "models", "fetch", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder, env=self.environment,
        )  # fmt: skip

    def says(self, *arguments: str) -> tuple[int, str, list[str]]:
        with self.start(*arguments) as running:
            told, said = running.communicate(timeout=60)
        assert "Traceback" not in said, said
        return running.returncode, told, [" ".join(line.split()) for line in said.splitlines()]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with Server().running() as server:
        server.publish("yolov8n.pt", BODY)
        server.host("owner/toy", FILES)
        yield Machine(tmp_path, server)


def test_a_configs_models_are_fetched_and_run_takes_them(machine: Machine) -> None:
    code, told, said = machine.says("--config", "c.yaml")
    assert code == 0, said
    assert told.splitlines() == ["yolov8n.pt", str(machine.snapshot)]
    assert (machine.folder / "yolov8n.pt").read_bytes() == BODY
    assert (machine.snapshot / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    host = machine.server.url.removeprefix("http://")
    assert said == [
        f"fetching yolov8n.pt, 210.0 kB, from {host}",
        f"fetching owner/toy, 2 files, 160.0 kB, from {host}",
        "model size state where",
        "yolov8n.pt 210.0 kB fetched yolov8n.pt",
        f"owner/toy 160.0 kB fetched {machine.snapshot}",
    ]
    code, again, said = machine.says("-c", "c.yaml")
    assert (code, again) == (0, told)
    assert "owner/toy is here, and its hashes are right" in said
    code, named, said = machine.says("owner/toy")
    assert (code, named) == (0, f"{machine.snapshot}\n")


def test_offline_is_a_line_for_each(machine: Machine) -> None:
    closed = f"127.0.0.1:{free_port()}"
    machine.environment |= {"GITHUB_API_URL": f"http://{closed}", "HF_ENDPOINT": f"http://{closed}"}
    code, told, said = machine.says("-c", "c.yaml")
    assert (code, told) == (1, "")
    why = f"{closed} cannot be reached (connection refused); look at the network, or name a proxy in HTTPS_PROXY"
    assert said == [
        f"yolov8n.pt: {why}",
        f"owner/toy: {why}",
        "model size state where",
        "yolov8n.pt failed",
        "owner/toy failed",
    ]


def test_ctrl_c_keeps_what_came(machine: Machine) -> None:
    sha256 = hashlib.sha256(FILES["model.safetensors"]).hexdigest()
    blob = machine.snapshot.parents[1] / "blobs" / f"{sha256}.incomplete"
    for model, page, part in (
        ("yolov8n.pt", "/assets/yolov8n.pt", machine.folder / "yolov8n.pt.part"),
        ("owner/toy", f"/owner/toy/resolve/{COMMIT}/model.safetensors", blob),
    ):
        machine.server.pages[page].hang = 65_536
        machine.server.halfway.clear()
        with machine.start(model) as running:
            assert machine.server.halfway.wait(60)
            wait_for(lambda part=part: part.stat().st_size == 65_536, 60, "half of it is here")  # type: ignore[misc]
            running.send_signal(signal.SIGINT)
            told, said = running.communicate(timeout=60)
        assert (running.returncode, told) == (130, "")
        assert said.splitlines()[1:] == [f"{model}: stopped; what came stays, and the same command goes on from there"]
        machine.server.pages[page].hang = None
        assert machine.says(model)[0] == 0
        assert machine.server.ranges(page) == ["", "bytes=65536-"]
        assert not part.exists()


def test_wrong_bytes_and_a_pin_that_is_not_met(machine: Machine) -> None:
    machine.server.pages["/assets/yolov8n.pt"].body = b"x" * len(BODY)
    code, told, said = machine.says("yolov8n.pt")
    assert (code, told) == (1, "")
    assert "has a wrong hash, and is deleted" in said[1]
    assert not list(machine.folder.glob("yolov8n.pt*"))
    (machine.folder / "pin.yaml").write_text(
        f"cameras: {{a: {{source: 'rtsp://h/1'}}}}\ndetector: {{sha256: {'0' * 64}}}\nassessor: {{backend: none}}\n"
    )
    code, told, said = machine.says("-c", "pin.yaml")
    assert (code, told) == (1, "")
    assert said[:2] == [
        "assessor: nothing to fetch for backend: none",
        f"yolov8n.pt: detector.sha256 pins another one: what is published has {hashlib.sha256(BODY).hexdigest()}",
    ]


def test_a_token_is_not_shown(machine: Machine) -> None:
    machine.environment["HF_TOKEN"] = "hf_hunter2"
    for page in machine.server.pages.values():
        page.status = 401
    machine.server.pages["/api/models/owner/toy/revision/main?blobs=true"] = Page(status=401)
    code, _, said = machine.says("owner/toy")
    assert code == 1
    assert "refuses, with status 401; look at its spelling, or accept its terms" in said[0]
    assert "hunter2" not in "".join(said)
    assert machine.server.asked[0].headers["authorization"] == "Bearer hf_hunter2"


def test_wrong_usage_and_a_bad_config(machine: Machine) -> None:
    assert machine.says("--colour")[0] == 64
    assert machine.says("-c", "absent.yaml")[0] == 78
    assert machine.says("--help")[0] == 0
    assert machine.server.asked == []
