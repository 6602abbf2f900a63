"""A VLM from a server that plays the hub: resumed, checked, mended, and told apart from what is not to be had."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from huggingface_hub import constants

from surveil.assess import weights
from surveil.fetch import hub, remote
from surveil.fetch.cache import Cache
from surveil.fetch.errand import Outcome
from surveil.fetch.remote import FetchError
from surveil.redaction import redact
from tests.fetch.conftest import Ear
from tests.fetch.servers import COMMIT, Page, Server
from tests.real.components import free_port

MODEL = "owner/toy"
SHARDS = [bytes([number]) * 50_000 for number in range(2)]
FILES = {
    ".gitattributes": b"*.safetensors filter=lfs",
    "README.md": b"# A toy",
    "config.json": b'{"model_type": "toy"}',
    "merges.txt": b"a b",
    "model.safetensors.index.json": json.dumps(
        {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}, "metadata": {"total_size": 100_000}}
    ).encode(),
    "model-1.safetensors": SHARDS[0],
    "model-2.safetensors": SHARDS[1],
    "pytorch_model.bin": b"pickle",
    "modeling_toy.py": b"print('code')",
    "onnx/config.json": b"{}",
}
NEEDED = {name for name in FILES if name.startswith(("config", "merges", "model-", "model."))}


class Errand:
    """Fetches the toy from one hub, whose weights lie on another server, into a cache of its own."""

    def __init__(self, hub_server: Server, cdn: Server, client: httpx.Client, ear: Ear) -> None:
        self.hub, self.cdn, self.ear = hub_server, cdn, ear
        self._client = client
        self.hub.host(MODEL, FILES, cdn)
        self.folder = Cache(MODEL).folder

    def run(self) -> Outcome:
        return hub.fetch(MODEL, self._client, self.ear)

    def shard(self, number: int) -> tuple[str, Page]:
        path = f"/{hashlib.sha256(SHARDS[number]).hexdigest()}?signature=abc"
        return path, self.cdn.pages[path]

    def check(self, outcome: Outcome) -> None:
        where = self.folder / "snapshots" / COMMIT
        assert (outcome.where, outcome.size) == (where, sum(len(FILES[name]) for name in NEEDED))
        assert {file.name for file in where.iterdir()} == NEEDED
        assert all((where / name).read_bytes() == FILES[name] for name in NEEDED)
        assert not list(self.folder.rglob("*.incomplete"))


@pytest.fixture
def errand(
    serve: Callable[[], Server], client: httpx.Client, ear: Ear, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Errand:
    here = serve()
    # Read from the environment when the library is imported, which it is for long.
    for name, value in {
        "ENDPOINT": here.url, "HF_HUB_CACHE": str(tmp_path / "hub"), "HF_TOKEN_PATH": str(tmp_path / "token"),
        "HF_STORED_TOKENS_PATH": str(tmp_path / "stored"), "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": False,
    }.items():  # fmt: skip
        monkeypatch.setattr(constants, name, value)
    return Errand(here, serve(), client, ear)


def test_fetched_once_and_checked_ever_after(errand: Errand) -> None:
    outcome = errand.run()
    errand.check(outcome)
    assert outcome.state == "fetched"
    assert weights.folder(MODEL) == outcome.where
    again = errand.run()
    errand.check(again)
    assert again.state == "ready"
    assert errand.cdn.sent(errand.shard(0)[0]) == len(SHARDS[0])
    host = errand.hub.url.removeprefix("http://")
    assert errand.ear.lines == [
        f"fetching owner/toy, 5 files, 100.1 kB, from {host}",
        "owner/toy is here, and its hashes are right",
    ]


def test_what_is_cut_off_goes_on_another_day(errand: Errand) -> None:
    path, shard = errand.shard(1)
    shard.hang = 20_000
    with remote.client(0.2) as impatient, pytest.raises(FetchError, match=r"does not answer; .*; what came stays"):
        hub.fetch(MODEL, impatient, errand.ear)
    assert weights.folder(MODEL) is None
    assert not (errand.folder / "refs").exists()
    shard.hang = None
    errand.cdn.asked.clear()
    errand.check(errand.run())
    assert errand.cdn.ranges(path) == ["bytes=20000-"]
    assert errand.cdn.sent(errand.shard(0)[0]) == 0


def test_what_is_damaged_is_named_and_fetched_anew(errand: Errand) -> None:
    where = errand.run().where
    assert where is not None
    (where / "model-2.safetensors").write_bytes(b"x" * len(SHARDS[1]))
    outcome = errand.run()
    errand.check(outcome)
    assert outcome.state == "fetched"
    assert errand.cdn.sent(errand.shard(0)[0]) == len(SHARDS[0])
    assert f"{where / 'model-2.safetensors'} is damaged, and removed" in errand.ear.lines


def test_wrong_bytes_are_no_model(errand: Errand) -> None:
    errand.shard(0)[1].body = b"x" * len(SHARDS[0])
    with pytest.raises(FetchError, match=r"sends for model-1\.safetensors has a wrong hash, and is deleted"):
        errand.run()
    assert weights.folder(MODEL) is None


def test_without_the_hub_what_is_here_is_checked(errand: Errand, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as offline:
        offline.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{free_port()}")
        with pytest.raises(FetchError, match="cannot be reached"):
            errand.run()
    where = errand.run().where
    assert where is not None
    asked = len(errand.hub.asked)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert errand.run().state == "ready"
    assert "note: HF_HUB_OFFLINE is set" in errand.ear.lines[-2]
    (where / "config.json").write_bytes(b"{}")
    with pytest.raises(FetchError, match="HF_HUB_OFFLINE is set"):
        errand.run()
    assert errand.ear.lines[-1] == f"{where / 'config.json'} is damaged, and removed"
    assert not (where / "config.json").exists()
    assert len(errand.hub.asked) == asked


def test_a_model_does_not_change_by_itself(errand: Errand, serve: Callable[[], Server]) -> None:
    errand.run()
    moved = serve()
    moved.host(MODEL, FILES | {"config.json": b"{}"}, commit="d" * 40)
    main = f"/api/models/{MODEL}/revision/main?blobs=true"
    errand.hub.pages[main] = moved.pages[main]
    outcome = errand.run()
    errand.check(outcome)
    assert outcome.state == "ready"
    # A commit that the hub has forgotten gives way to its newest.
    del errand.hub.pages[f"/api/models/{MODEL}/revision/{COMMIT}?blobs=true"]
    errand.hub.pages[f"/{MODEL}/resolve/{'d' * 40}/config.json"] = Page(b"{}")
    assert errand.run().where == errand.folder / "snapshots" / ("d" * 40)
    assert errand.cdn.sent(errand.shard(0)[0]) == len(SHARDS[0])


def test_the_token_goes_to_the_hub_alone_and_is_not_shown(
    errand: Errand, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_hunter2")
    errand.run()
    assert {asked.headers.get("authorization") for asked in errand.hub.asked} == {"Bearer hf_hunter2"}
    assert not any("authorization" in asked.headers for asked in errand.cdn.asked)
    assert "hunter2" not in "".join(errand.ear.lines)
    assert redact("hf_hunter2") == "***"
    monkeypatch.setenv("HF_TOKEN", "hf hunter2")
    with pytest.raises(FetchError, match="HF_TOKEN holds characters that HTTP cannot carry; set it anew"):
        hub.Hub(client).listing(MODEL, None)


@pytest.mark.parametrize("closed", ["listing", "files"])
def test_a_model_behind_terms_says_what_to_do(errand: Errand, closed: str) -> None:
    for path, page in errand.hub.pages.items():
        if (closed == "listing") == path.startswith("/api/"):
            page.status = 403
    with pytest.raises(FetchError, match="refuses, with status 403; look at its spelling, or accept its terms"):
        errand.run()


def test_what_the_hub_does_not_have_is_told(errand: Errand, client: httpx.Client) -> None:
    with pytest.raises(FetchError, match="has no such model; look at its spelling"):
        hub.fetch("owner/tyo", client, errand.ear)
    errand.hub.host("owner/pickle", {"config.json": b"{}", "pytorch_model.bin": b"pickle"})
    with pytest.raises(FetchError, match="has no safetensors weights of it"):
        hub.fetch("owner/pickle", client, errand.ear)
    listing = f"/api/models/{MODEL}/revision/main?blobs=true"
    errand.hub.pages[listing].body = b'{"sha": "../../x", "siblings": []}'
    with pytest.raises(FetchError, match="does not answer as the hub does; look at HF_ENDPOINT"):
        errand.run()


def test_weights_for_research_are_called_so(errand: Errand, client: httpx.Client) -> None:
    model = "Qwen/Qwen2.5-VL-3B-Instruct"
    errand.hub.host(model, FILES)
    hub.fetch(model, client, errand.ear)
    assert errand.ear.lines[0] == f"note: {model}: {weights.RESEARCH_NOTE}"


def test_a_cache_that_cannot_be_written_is_told(errand: Errand) -> None:
    errand.folder.parent.parent.mkdir(exist_ok=True)
    errand.folder.parent.write_text("a file where a folder should be")
    with pytest.raises(FetchError, match=r"cannot be (used|written): not a directory"):
        errand.run()


def test_room_is_looked_for_before(errand: Errand) -> None:
    listing = errand.hub.pages[f"/api/models/{MODEL}/revision/main?blobs=true"]
    listing.body = listing.body.replace(b'"size": 50000', b'"size": 50000000000000000')
    with pytest.raises(FetchError, match="has too little room: 100000000"):
        errand.run()
    assert errand.cdn.asked == []
