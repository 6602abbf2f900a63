"""Detector weights as ultralytics publishes them: assets of a release on GitHub, with their hashes."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from surveil.fetch import remote
from surveil.fetch.download import Digest, Download, Wanted, ensure_room
from surveil.fetch.errand import Listener, Order, Outcome, readable
from surveil.fetch.remote import FetchError, UnknownError

REPOSITORY = "ultralytics/assets"
_NAME = re.compile(r"yolov?\d{1,2}[a-z]\d?u?(-[a-z0-9]+)*\.pt")
_SHA256 = re.compile(r"sha256:([0-9a-f]{64})")


def api() -> str:
    """Return the base URL of GitHub's API: a GitHub of one's own names itself in GITHUB_API_URL."""
    return os.environ.get("GITHUB_API_URL", "https://api.github.com").rstrip("/")


def weights(model: str) -> Path | None:
    """Return the file that a model's name or path stands for, if its name is one that may be published."""
    file = Path(model if model.endswith(".pt") else f"{model}.pt")
    return file if _NAME.fullmatch(file.name) else None


class _Asset(BaseModel):
    name: str
    size: int
    browser_download_url: str
    digest: str | None = None


class _Release(BaseModel):
    assets: list[_Asset]


def published(client: httpx.Client, name: str, base: str) -> Wanted:
    """Return the newest published weights of this name.

    Raises UnknownError where there are none, FetchError where that cannot be found out.
    """
    releases = f"{base}/repos/{REPOSITORY}/releases"
    # The newest release most often has them all, and the list of all is long.
    for url in (f"{releases}/latest", f"{releases}?per_page=100"):
        for release in _asked(client, url):
            for asset in release.assets:
                if asset.name == name:
                    return _wanted(asset)
    raise UnknownError(f"is not among the releases of {REPOSITORY} on {remote.host(base)}; look at its spelling")


def _asked(client: httpx.Client, url: str) -> list[_Release]:
    try:
        said = remote.document(client, url, {})
    except UnknownError:  # so says GitHub of the latest where there is none
        return []
    try:
        if url.endswith("/latest"):
            return [_Release.model_validate_json(said)]
        return TypeAdapter(list[_Release]).validate_json(said)
    except ValidationError:
        raise FetchError(f"{remote.host(url)} does not answer as GitHub's API does; look at GITHUB_API_URL") from None


def _wanted(asset: _Asset) -> Wanted:
    known = _SHA256.fullmatch(asset.digest or "")  # what was uploaded before June 2025 has none
    return Wanted(asset.name, asset.browser_download_url, asset.size, Digest("sha256", known[1] if known else ""))


def fetch(order: Order, file: Path, base: str, client: httpx.Client, listener: Listener) -> Outcome:
    """Leave published weights in `file`; what is there already is checked, and never replaced. Raises FetchError."""
    pin = Digest("sha256", order.pin or "")
    if _is_file(file):
        return checked(order, file, pin if pin.hex else _known(client, file, base, listener), listener)
    wanted = published(client, file.name, base)
    if pin.hex and wanted.digest.hex not in {"", pin.hex}:
        raise FetchError(f"detector.sha256 pins another one: what is published has {wanted.digest.hex}")
    wanted = replace(wanted, digest=wanted.digest if wanted.digest.hex else pin)
    part = file.with_name(f"{file.name}.part")
    ensure_room(file.parent, wanted.size - _size(part))
    listener.say(f"fetching {file.name}, {readable(wanted.size)}, from {remote.host(wanted.url)}")
    with listener.bar(file.name, wanted.size) as tell:
        digest = Download(client, wanted, part, tell).fetch(file)
    if not wanted.digest.hex:
        listener.say(f"note: GitHub tells no hash of {file.name}; what came has {digest}, for detector.sha256")
    return Outcome(order.model, "fetched", file, wanted.size)


def _known(client: httpx.Client, file: Path, base: str, listener: Listener) -> Digest:
    """Return the published hash of weights that are here; an empty one, and why, where there is none."""
    try:
        digest = published(client, file.name, base).digest
        why = "GitHub tells no hash of it"
    except UnknownError:
        digest, why = Digest("sha256", ""), "nobody publishes it"
    except FetchError as error:
        raise FetchError(f"it is here, but cannot be checked: {error}, or pin it with detector.sha256") from None
    if not digest.hex:
        listener.say(f"{file} is here; it was not checked, because {why}")
    return digest


def checked(order: Order, file: Path, known: Digest, listener: Listener) -> Outcome:
    """Return that a file which is here is right. Raises FetchError where it is not."""
    size = _size(file)
    if not known.hex:
        return Outcome(order.model, "here, not checked", file, size)
    try:
        with listener.bar(f"checking {file.name}", size) as tell:
            right = known.fits(file, tell)
    except OSError as error:
        raise FetchError(f"it cannot be read: {(error.strerror or str(error)).lower()}") from None
    if not right:
        other = "the one that detector.sha256 pins" if order.pin else "the published one"
        raise FetchError(f"{file} is here, but is not {other}; move it away, and fetch again")
    listener.say(f"{file} is here, and its hash is right")
    return Outcome(order.model, "ready", file, size)


def _is_file(file: Path) -> bool:
    return os.path.isfile(file)  # noqa: PTH113 - Path raises over a folder that is closed


def _size(file: Path) -> int:
    return os.path.getsize(file) if _is_file(file) else 0  # noqa: PTH202
