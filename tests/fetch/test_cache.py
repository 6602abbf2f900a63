"""The hub's cache as we write it, and as the hub's own library reads it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from surveil.fetch.cache import Cache, Listing, is_needed
from surveil.fetch.download import Digest, Wanted
from tests.fetch.conftest import Ear
from tests.fetch.servers import COMMIT, git_sha

FILES = {"config.json": b"{}", "model.safetensors": b"weights" * 100}


def wanted(name: str, body: bytes) -> Wanted:
    small = Digest("git", git_sha(body))
    digest = small if name.endswith(".json") else Digest("sha256", hashlib.sha256(body).hexdigest())
    return Wanted(name, "", len(body), digest)


LISTING = Listing(COMMIT, tuple(wanted(name, body) for name, body in FILES.items()))


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """A cache with one whole model."""
    made = Cache("owner/toy", tmp_path)
    for file in LISTING.files:
        made.blob(file).parent.mkdir(parents=True, exist_ok=True)
        made.blob(file).write_bytes(FILES[file.name])
    made.link(LISTING)
    return made


def holds(cache: Cache, ear: Ear) -> list[bool]:
    return [cache.holds(file, COMMIT, lambda _: None, ear.say) for file in LISTING.files]


def test_only_what_a_model_is_loaded_from_is_needed() -> None:
    needed = ["config.json", "model-00001-of-00005.safetensors", "merges.txt", "chat_template.jinja", "LICENSE"]
    assert all(map(is_needed, needed))
    others = [
        "pytorch_model.bin",
        "model.gguf",
        "modeling.py",
        "onnx/config.json",
        "../config.json",
        "a b.json",
        ".txt/",
    ]
    assert not any(map(is_needed, others))


def test_the_library_finds_what_we_link(cache: Cache, tmp_path: Path) -> None:
    import huggingface_hub

    found = huggingface_hub.snapshot_download("owner/toy", cache_dir=tmp_path, local_files_only=True)
    assert Path(found) == cache.snapshot(COMMIT)
    config = huggingface_hub.try_to_load_from_cache("owner/toy", "config.json", cache_dir=tmp_path)
    assert config == str(cache.snapshot(COMMIT) / "config.json")
    (repository,) = huggingface_hub.scan_cache_dir(tmp_path).repos
    assert repository.size_on_disk == sum(map(len, FILES.values()))
    assert cache.link(LISTING) == cache.snapshot(COMMIT)


def test_what_is_whole_is_known_by_its_names(cache: Cache) -> None:
    assert cache.listing() == LISTING
    assert LISTING.size == 702


@pytest.mark.parametrize(
    "lost", ["snapshots/COMMIT/config.json", "snapshots/COMMIT/model.safetensors", "refs/main", "blobs/SHA"]
)
def test_what_is_not_whole_is_no_model(cache: Cache, lost: str) -> None:
    (cache.folder / lost.replace("COMMIT", COMMIT).replace("SHA", LISTING.files[0].digest.hex)).unlink()
    assert cache.listing() is None


def test_a_shard_that_is_not_here_shows(cache: Cache) -> None:
    index = b'{"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}'
    (cache.folder / "blobs" / git_sha(index)).write_bytes(index)
    (cache.snapshot(COMMIT) / "model.safetensors.index.json").symlink_to(f"../../blobs/{git_sha(index)}")
    assert cache.listing() is None


def test_files_of_other_names_than_hashes_are_not_judged(cache: Cache) -> None:
    (cache.snapshot(COMMIT) / "extra.json").write_text("{}")
    assert cache.listing() is None


def test_a_damaged_file_is_told_and_removed(cache: Cache, ear: Ear) -> None:
    assert holds(cache, ear) == [True, True]
    assert ear.lines == []
    file = LISTING.files[1]
    cache.blob(file).write_bytes(b"x" * file.size)
    assert holds(cache, ear) == [True, False]
    assert ear.lines == [f"{cache.snapshot(COMMIT) / file.name} is damaged, and removed"]
    assert not cache.blob(file).exists()
    cache.blob(file).write_bytes(FILES[file.name])
    assert holds(cache, ear) == [True, True]
    cache.link(LISTING)
    assert (cache.snapshot(COMMIT) / file.name).read_bytes() == FILES[file.name]


def test_of_a_blob_that_others_share_the_bytes_go_too(cache: Cache, tmp_path: Path, ear: Ear) -> None:
    shared, blob = tmp_path / "blobs" / "xx" / "yy", cache.blob(LISTING.files[1])
    shared.parent.mkdir(parents=True)
    shared.write_bytes(b"damaged")
    blob.unlink()
    blob.symlink_to("../../blobs/xx/yy")
    assert holds(cache, ear) == [True, False]
    assert not shared.exists()
    assert not blob.is_symlink()


def test_nothing_outside_the_cache_is_removed(tmp_path: Path, ear: Ear) -> None:
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(b"my own")
    cache = Cache("owner/toy", tmp_path / "hub")
    link = cache.snapshot(COMMIT) / "model.safetensors"
    link.parent.mkdir(parents=True)
    link.symlink_to(mine)
    assert holds(cache, ear) == [False, False]
    assert mine.read_bytes() == b"my own"
    assert not link.is_symlink()
