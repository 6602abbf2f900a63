from __future__ import annotations

import os
from pathlib import Path

import pytest

from surveil.demo.daemon import Daemon, DaemonEnded
from surveil.interfaces import StorageError
from tests.real.components import wait_for


def children() -> list[str]:
    return Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()


def test_a_daemon_that_ends_by_itself_is_told_with_its_last_word(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("cameras: {}\n")
    daemon = Daemon(config, tmp_path / "daemon.log")
    daemon.start()

    process = daemon._process
    assert process is not None
    wait_for(lambda: process.poll() is not None, 30, "it ends over its config")
    with pytest.raises(DaemonEnded, match=r"cameras.*daemon\.log") as caught:
        daemon.check()
    assert "\n" not in str(caught.value)
    daemon.stop()


def test_a_stopped_daemon_leaves_nothing_running(tmp_path: Path, yolo_folder: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        f"cameras: {{a: {{source: 'rtsp://127.0.0.1:9/x'}}}}\ndetector: {{model: {yolo_folder}}}\n"
        f"assessor: {{backend: none}}\nstorage: {{path: {tmp_path / 'data'}}}\n"
    )
    before = children()
    daemon = Daemon(config, tmp_path / "daemon.log")
    daemon.start()
    assert len(children()) == len(before) + 1
    wait_for(lambda: "ready" in (tmp_path / "daemon.log").read_text(), 60, "it is ready")
    daemon.check()
    daemon.stop()
    daemon.stop()
    assert children() == before
    assert "stopped" in (tmp_path / "daemon.log").read_text()


def test_a_log_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written: no such file or directory"):
        Daemon(tmp_path / "c.yaml", tmp_path / "nowhere" / "daemon.log").start()
