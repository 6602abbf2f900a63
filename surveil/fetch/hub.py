"""A VLM's files from the Hugging Face hub.

The library's own download begins each file anew when it was cut off (since its version 1.18), and a file of Qwen's has
4 GB. So the files come by ours, and the library is asked only for where the hub is, the cache, and the token.
"""

from __future__ import annotations

import re
from urllib.parse import quote

import httpx
from pydantic import BaseModel, Field, ValidationError

from surveil.assess import weights
from surveil.fetch import remote
from surveil.fetch.cache import BRANCH, Cache, Listing, is_needed
from surveil.fetch.download import Digest, Download, Wanted, ensure_room
from surveil.fetch.errand import Listener, Outcome, readable
from surveil.fetch.remote import FetchError, ForbiddenError, UnknownError
from surveil.redaction import register

_TOKEN = re.compile(r"[!-~]+")


class _Lfs(BaseModel):
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class _File(BaseModel):
    rfilename: str
    size: int | None = None
    blob: str | None = Field(None, alias="blobId", pattern=r"^[0-9a-f]{40}$")
    lfs: _Lfs | None = None


class _Model(BaseModel):
    sha: str = Field(pattern=r"^[0-9a-f]{40}$")
    siblings: list[_File]


class Hub:
    """Knows what a model on the hub consists of. The token is the library's: HF_TOKEN, or what `hf auth login` left."""

    def __init__(self, client: httpx.Client) -> None:
        from huggingface_hub import constants

        self._client = client
        self._endpoint = constants.ENDPOINT
        self._offline = bool(constants.HF_HUB_OFFLINE)

    def listing(self, name: str, commit: str | None) -> Listing:
        """Return a model's files at a commit, or at its newest where the hub has forgotten that. Raises FetchError."""
        if self._offline:
            raise FetchError("HF_HUB_OFFLINE is set, so the hub is not asked; unset it")
        headers = self._headers()
        model = self._asked(name, commit, headers)
        needed = [file for file in model.siblings if is_needed(file.rfilename)]
        files = tuple(self._wanted(name, model.sha, file, headers) for file in needed)
        if not any(file.name.endswith(".safetensors") for file in files):
            raise FetchError(f"{remote.host(self._endpoint)} has no safetensors weights of it; name another model")
        return Listing(model.sha, files)

    def _asked(self, name: str, commit: str | None, headers: dict[str, str]) -> _Model:
        for revision in (commit, BRANCH):
            if revision is None:
                continue
            url = f"{self._endpoint}/api/models/{name}/revision/{revision}?blobs=true"
            try:
                return _Model.model_validate_json(remote.document(self._client, url, headers))
            except UnknownError:
                continue
            except ForbiddenError as error:  # what is private, and without a token what is not there at all
                raise _closed(error) from None
            except ValidationError:
                told = f"{remote.host(url)} does not answer as the hub does; look at HF_ENDPOINT"
                raise FetchError(told) from None
        raise FetchError(f"{remote.host(self._endpoint)} has no such model; look at its spelling")

    def _headers(self) -> dict[str, str]:
        from huggingface_hub import constants, get_token

        token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
        if token is None:
            return {}
        register(token)
        if not _TOKEN.fullmatch(token):
            raise FetchError("HF_TOKEN holds characters that HTTP cannot carry; set it anew")
        return {"Authorization": f"Bearer {token}"}

    def _wanted(self, name: str, commit: str, file: _File, headers: dict[str, str]) -> Wanted:
        digest = Digest("sha256", file.lfs.sha256) if file.lfs else Digest("git", file.blob) if file.blob else None
        if digest is None or file.size is None:
            raise FetchError(f"{remote.host(self._endpoint)} tells no hash of {file.rfilename}; try again later")
        url = f"{self._endpoint}/{name}/resolve/{commit}/{quote(file.rfilename)}"
        return Wanted(file.rfilename, url, file.size, digest, headers)


def _closed(error: ForbiddenError) -> FetchError:
    return FetchError(f"{error}; look at its spelling, or accept its terms on its page there and set HF_TOKEN")


def fetch(model: str, client: httpx.Client, listener: Listener) -> Outcome:
    """Fetch what is missing of a model into the hub's cache; what is there is checked. Raises FetchError."""
    if weights.is_research_only(model):
        listener.say(f"note: {model}: {weights.RESEARCH_NOTE}")
    cache = Cache(model)
    try:
        listing, fault = _listing(model, cache, client, listener)
        with listener.bar(f"checking {model}", listing.size) as tell:
            missing = [file for file in listing.files if not cache.holds(file, listing.commit, tell, listener.say)]
        if missing and fault is not None:
            raise fault
        if missing:
            _download(model, missing, cache, client, listener)
        where = cache.link(listing)
    except OSError as error:
        raise FetchError(f"{cache.folder} cannot be used: {(error.strerror or str(error)).lower()}") from None
    if not missing:
        listener.say(f"{model} is here, and its hashes are right")
    return Outcome(model, "fetched" if missing else "ready", where, listing.size)


def _listing(model: str, cache: Cache, client: httpx.Client, listener: Listener) -> tuple[Listing, FetchError | None]:
    """Return what there should be: at the commit that is here, if any, so that a model does not change by itself.

    Without the hub it is what lies here, if that is a whole model, and why the hub was not asked.
    """
    try:
        return Hub(client).listing(model, cache.commit()), None
    except FetchError as error:
        here = cache.listing()
        if here is None:
            raise
        listener.say(f"note: {error}; {model} is checked by the names of its files, which are their hashes")
        return here, error


def _download(model: str, missing: list[Wanted], cache: Cache, client: httpx.Client, listener: Listener) -> None:
    """Fetch files into the cache, the small ones first: what is wrong with the way shows in them."""
    size = sum(file.size for file in missing)
    begun = sum(part.stat().st_size for part in map(cache.part, missing) if part.exists())
    ensure_room(cache.folder, size - begun)
    files = f"{len(missing)} files" if len(missing) > 1 else missing[0].name
    listener.say(f"fetching {model}, {files}, {readable(size)}, from {remote.host(missing[0].url)}")
    with listener.bar(model, size) as tell:
        for file in sorted(missing, key=lambda file: file.size):
            try:
                Download(client, file, cache.part(file), tell).fetch(cache.blob(file))
            except ForbiddenError as error:
                raise _closed(error) from None
