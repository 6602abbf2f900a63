"""Detector weights from a server that plays GitHub: fetched once, checked always, never replaced."""

from __future__ import annotations

import hashlib
from pathlib import Path

import httpx
import pytest

from surveil.fetch import release
from surveil.fetch.errand import Order, Outcome
from surveil.fetch.remote import FetchError, UnknownError
from tests.fetch.conftest import Ear
from tests.fetch.servers import Page, Server
from tests.real.components import free_port

BODY = b"weights of a detector" * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()
LATEST = "/repos/ultralytics/assets/releases/latest"
ALL = "/repos/ultralytics/assets/releases?per_page=100"


@pytest.mark.parametrize("name", ["yolov8n.pt", "yolov8x-oiv7.pt", "yolo11s.pt", "yolov5n6u.pt", "/a/b/yolo26m.pt"])
def test_published_names(name: str) -> None:
    assert release.weights(name) == Path(name)
    assert release.weights(name.removesuffix(".pt")) == Path(name)


@pytest.mark.parametrize(
    "name", ["mine.pt", "yolo", "yolov8n.onnx", "yolov8n_openvino_model", "Qwen/Qwen2.5-VL-7B", ""]
)
def test_other_names(name: str) -> None:
    assert release.weights(name) is None


@pytest.mark.parametrize("where", ["/releases/latest", "/releases?per_page=100"])
def test_the_newest_that_has_it_is_taken(server: Server, client: httpx.Client, where: str) -> None:
    server.publish("yolov8n.pt", BODY, where=where)
    wanted = release.published(client, "yolov8n.pt", server.url)
    assert (wanted.url, wanted.size, wanted.digest.hex) == (f"{server.url}/assets/yolov8n.pt", len(BODY), SHA256)
    with pytest.raises(UnknownError, match=r"is not among the releases of ultralytics/assets on 127\.0\.0\.1"):
        release.published(client, "yolov8q.pt", server.url)


def test_what_is_not_githubs_answer_is_told(server: Server, client: httpx.Client) -> None:
    server.pages[LATEST] = Page(b"<html>welcome to the hotel</html>")
    with pytest.raises(FetchError, match="does not answer as GitHub's API does"):
        release.published(client, "yolov8n.pt", server.url)


class Errand:
    """Fetches yolov8n.pt from one server into one folder."""

    def __init__(self, server: Server, client: httpx.Client, folder: Path, ear: Ear) -> None:
        self.file = folder / "yolov8n.pt"
        self.server = server
        self._client = client
        self._ear = ear

    def run(self, pin: str | None = None, base: str | None = None) -> Outcome:
        order = Order(str(self.file), pin)
        return release.fetch(order, self.file, base or self.server.url, self._client, self._ear)


@pytest.fixture
def errand(server: Server, client: httpx.Client, tmp_path: Path, ear: Ear) -> Errand:
    return Errand(server, client, tmp_path, ear)


def test_fetched_once_and_checked_ever_after(errand: Errand, ear: Ear) -> None:
    errand.server.publish("yolov8n.pt", BODY)
    assert errand.run() == Outcome(str(errand.file), "fetched", errand.file, len(BODY))
    assert errand.file.read_bytes() == BODY
    assert errand.run().state == "ready"
    assert errand.server.ranges("/assets/yolov8n.pt") == [""]
    assert ear.lines == [
        f"fetching yolov8n.pt, 21.0 kB, from {errand.server.url.removeprefix('http://')}",
        f"{errand.file} is here, and its hash is right",
    ]


def test_what_lies_there_is_never_replaced(errand: Errand) -> None:
    page = errand.server.publish("yolov8n.pt", BODY)
    errand.file.write_bytes(b"my own")
    with pytest.raises(FetchError, match="is here, but is not the published one; move it away, and fetch again"):
        errand.run()
    with pytest.raises(FetchError, match=r"is not the one that detector.sha256 pins"):
        errand.run(SHA256)
    assert errand.file.read_bytes() == b"my own"
    assert errand.server.sent("/assets/yolov8n.pt") == 0
    assert page.body == BODY


def test_a_pin_needs_no_network_for_what_is_here(errand: Errand) -> None:
    errand.file.write_bytes(BODY)
    assert errand.run(SHA256, f"http://127.0.0.1:{free_port()}").state == "ready"
    with pytest.raises(FetchError, match=r"it is here, but cannot be checked: .* cannot be reached"):
        errand.run(base=f"http://127.0.0.1:{free_port()}")


def test_a_pin_of_something_else_fetches_nothing(errand: Errand) -> None:
    errand.server.publish("yolov8n.pt", BODY)
    with pytest.raises(FetchError, match=f"pins another one: what is published has {SHA256}"):
        errand.run("0" * 64)
    assert errand.server.sent("/assets/yolov8n.pt") == 0


def test_where_github_tells_no_hash_the_pin_counts(errand: Errand, ear: Ear) -> None:
    errand.server.publish("yolov8n.pt", BODY, hashed=False)
    with pytest.raises(FetchError, match="has a wrong hash"):
        errand.run("0" * 64)
    assert errand.run(SHA256).state == "fetched"


def test_without_any_hash_it_is_told_for_the_pin(errand: Errand, ear: Ear) -> None:
    errand.server.publish("yolov8n.pt", BODY, hashed=False)
    assert errand.run().state == "fetched"
    assert ear.lines[-1] == f"note: GitHub tells no hash of yolov8n.pt; what came has {SHA256}, for detector.sha256"
    assert errand.run().state == "here, not checked"


def test_weights_that_nobody_publishes_are_the_users(errand: Errand, ear: Ear) -> None:
    errand.server.pages[LATEST] = Page(status=404)
    errand.server.pages[ALL] = Page(b"[]")
    errand.file.write_bytes(b"my own")
    assert errand.run().state == "here, not checked"
    assert ear.lines == [f"{errand.file} is here; it was not checked, because nobody publishes it"]


def test_room_is_looked_for_before(errand: Errand) -> None:
    errand.server.publish("yolov8n.pt", BODY)
    page = errand.server.pages[LATEST]
    page.body = page.body.replace(b'"size": 21000', b'"size": 21000000000000000')
    with pytest.raises(FetchError, match=r"has too little room: 21000000.0 GB are needed"):
        errand.run()
    assert not list(errand.file.parent.glob("*.part"))
