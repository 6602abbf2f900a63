"""The hub's own cache, where transformers and its kind look for models: a folder for each.

Its layout is documented for all who want to write it (huggingface.co/docs/hub/local-cache): a blob for each file, named
by its hash, and for each commit a folder of links. A model appears in it whole or not at all.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from surveil.fetch.download import Digest, Wanted
from surveil.fetch.errand import Tell

BRANCH = "main"
_INDEX = "model.safetensors.index.json"
# What transformers loads: no other framework's weights, no pickles, no code, nothing in sub-folders.
_NEEDED = re.compile(r"[\w.-]+\.(safetensors|json|jinja|model|tiktoken|txt)|LICENSE")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HEX = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a model at one commit, as far as surveil needs them."""

    commit: str
    files: tuple[Wanted, ...]

    @property
    def size(self) -> int:
        """All of it, in bytes."""
        return sum(file.size for file in self.files)


def is_needed(name: str) -> bool:
    """Return whether a file of a model is one that it is loaded from."""
    return _NEEDED.fullmatch(name) is not None


class Cache:
    """One model's folder in the hub's cache."""

    def __init__(self, name: str, root: Path | None = None) -> None:
        from huggingface_hub import constants

        self._root = root or Path(constants.HF_HUB_CACHE)
        self.folder = self._root / f"models--{name.replace('/', '--')}"

    def commit(self) -> str | None:
        """Return the commit that is here, or was begun; None where none is."""
        try:
            said = (self.folder / "refs" / BRANCH).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
        return said if _COMMIT.fullmatch(said) else None

    def snapshot(self, commit: str) -> Path:
        """Return the folder of a commit's files."""
        return self.folder / "snapshots" / commit

    def blob(self, file: Wanted) -> Path:
        """Return where a file's bytes lie."""
        return self.folder / "blobs" / file.digest.hex

    def part(self, file: Wanted) -> Path:
        """Return where a file's bytes lie until they are all there."""
        return self.blob(file).with_name(f"{self.blob(file).name}.incomplete")

    def listing(self) -> Listing | None:
        """Return what is here, by the names of its blobs; None where that is no whole model."""
        commit = self.commit()
        if commit is None:
            return None
        try:
            files = tuple(self._here(commit))
            there = {file.name for file in files}
            index = self.snapshot(commit) / _INDEX
            shards = set(json.loads(index.read_bytes())["weight_map"].values()) if _INDEX in there else set()
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        weights = any(name.endswith(".safetensors") for name in there)
        return Listing(commit, files) if "config.json" in there and weights and shards <= there else None

    def _here(self, commit: str) -> Iterator[Wanted]:
        for link in sorted(self.snapshot(commit).iterdir()):
            if is_needed(link.name):
                digest = link.readlink().name
                if not _HEX.fullmatch(digest):
                    raise ValueError(digest)
                # The library names a blob by its ETag, which the hub makes from these (file_download.py, 2.4.0).
                kind: Literal["git", "sha256"] = "git" if len(digest) == 40 else "sha256"
                yield Wanted(link.name, "", link.stat().st_size, Digest(kind, digest))

    def holds(self, file: Wanted, commit: str, tell: Tell, say: Callable[[str], None]) -> bool:
        """Return whether a file is here and its bytes are right; a damaged one is told and removed. Raises OSError."""
        for path in (self.snapshot(commit) / file.name, self.blob(file)):
            if not path.exists():
                continue
            if path.stat().st_size == file.size and file.digest.fits(path, tell):
                return True
            say(f"{path} is damaged, and removed")
            self._remove(path)
        return False

    def _remove(self, path: Path) -> None:
        """Remove a file with all links that lead to it, as far as they lie in the cache."""
        root = self._root.resolve()
        while path.parent.resolve().is_relative_to(root):
            target = path.parent / path.readlink() if path.is_symlink() else None
            path.unlink(missing_ok=True)
            if target is None:
                return
            path = target

    def link(self, listing: Listing) -> Path:
        """Make the folder of a commit whose files are all here, and return it. Raises OSError."""
        snapshot = self.snapshot(listing.commit)
        snapshot.mkdir(parents=True, exist_ok=True)
        for file in listing.files:
            pointer, blob = snapshot / file.name, self.blob(file)
            if pointer.exists():
                continue
            pointer.unlink(missing_ok=True)  # one that leads nowhere
            try:
                pointer.symlink_to(os.path.relpath(blob, snapshot))
            except FileExistsError:  # another one was quicker
                continue
            except OSError:  # a disk without links
                blob.rename(pointer)
        ref = self.folder / "refs" / BRANCH
        ref.parent.mkdir(exist_ok=True)
        fresh = ref.with_name(f".{BRANCH}-{os.getpid()}")
        fresh.write_text(listing.commit, encoding="ascii")
        fresh.replace(ref)
        return snapshot
