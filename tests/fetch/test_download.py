"""One file from a real server that cuts, hangs, lies, or knows nothing of parts."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from surveil.fetch import remote
from surveil.fetch.download import Digest, Download, Wanted, ensure_room
from surveil.fetch.remote import FetchError, ForbiddenError, UnknownError
from tests.fetch.servers import Page, Server, git_sha

BODY = bytes(range(256)) * 4000
SHA256 = Digest("sha256", hashlib.sha256(BODY).hexdigest())


class Target:
    """A file to be, and how much of it was told."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.file = folder / "new" / "weights.pt"
        self.part = folder / "new" / "weights.pt.part"
        self.told = 0
        self._url = f"{server.url}/w"

    def fetch(self, client: httpx.Client, digest: Digest = SHA256, size: int = len(BODY)) -> str:
        def tell(count: int) -> None:
            self.told += count

        wanted = Wanted("weights.pt", self._url, size, digest)
        return Download(client, wanted, self.part, tell, pause=0.01).fetch(self.file)

    def begin(self, there: bytes) -> None:
        self.part.parent.mkdir(exist_ok=True)
        self.part.write_bytes(there)

    def check(self) -> None:
        assert self.file.read_bytes() == BODY
        assert not self.part.exists()
        assert self.told == len(BODY)


@pytest.fixture
def target(tmp_path: Path, server: Server) -> Target:
    return Target(tmp_path, server)


@pytest.mark.parametrize("digest", [SHA256, Digest("git", git_sha(BODY)), Digest("sha256", "")])
def test_a_file_comes_whole(server: Server, client: httpx.Client, target: Target, digest: Digest) -> None:
    server.pages["/w"] = Page(BODY)
    assert target.fetch(client, digest) == (digest.hex or SHA256.hex)
    target.check()
    assert server.asked[0].headers["accept-encoding"] == "identity"
    assert digest.fits(target.file, lambda _: None) == bool(digest.hex)


def test_an_empty_file_is_a_file(server: Server, client: httpx.Client, target: Target) -> None:
    target.fetch(client, Digest("git", git_sha(b"")), 0)
    assert target.file.read_bytes() == b""
    assert server.asked == []


def test_what_breaks_off_goes_on_at_once(server: Server, client: httpx.Client, target: Target) -> None:
    server.pages["/w"] = Page(BODY, cut=300_000, times=2)
    target.fetch(client)
    target.check()
    assert server.ranges("/w") == ["", "bytes=300000-", "bytes=600000-"]


def test_what_is_cut_off_goes_on_another_day(server: Server, client: httpx.Client, target: Target) -> None:
    target.begin(BODY[:100_000])
    server.pages["/w"] = Page(status=503)
    with pytest.raises(FetchError, match="fails, with status 503; try again later; what came stays"):
        target.fetch(client)
    assert target.part.read_bytes() == BODY[:100_000]
    assert not target.file.exists()
    server.pages["/w"] = Page(BODY)
    target.told = 0
    target.fetch(client)
    target.check()
    assert server.ranges("/w") == ["bytes=100000-"] * 2
    assert server.sent("/w") == len(BODY) - 100_000


def test_a_server_that_knows_no_parts_sends_all(server: Server, client: httpx.Client, target: Target) -> None:
    server.pages["/w"] = Page(BODY, ranges=False)
    target.begin(BODY[:1000])
    target.fetch(client)
    target.check()
    assert server.ranges("/w") == ["bytes=1000-"]


@pytest.mark.parametrize("there", [b"x" * 1000, b"x" * len(BODY), BODY + b"x"])
def test_a_part_of_something_else_is_thrown_away(
    server: Server, client: httpx.Client, target: Target, there: bytes
) -> None:
    server.pages["/w"] = Page(BODY)
    target.begin(there)
    target.fetch(client)
    target.check()


def test_a_part_that_is_all_is_only_checked(server: Server, client: httpx.Client, target: Target) -> None:
    target.begin(BODY)
    target.fetch(client)
    target.check()
    assert server.asked == []


def test_without_a_hash_no_part_is_believed(server: Server, client: httpx.Client, target: Target) -> None:
    server.pages["/w"] = Page(BODY)
    target.begin(b"x" * 1000)
    assert target.fetch(client, Digest("sha256", "")) == SHA256.hex
    target.check()


def test_another_part_than_was_asked_for_is_not_taken(server: Server, client: httpx.Client, target: Target) -> None:
    server.pages["/w"] = Page(BODY, cut=1000, times=1, shift=-10)
    target.fetch(client)
    target.check()


def test_wrong_bytes_leave_nothing(server: Server, client: httpx.Client, target: Target) -> None:
    server.pages["/w"] = Page(BODY[:-1] + b"x")
    with pytest.raises(FetchError, match=r"sends for weights.pt has a wrong hash, and is deleted"):
        target.fetch(client)
    assert list(target.file.parent.iterdir()) == []


def test_more_than_there_is_is_not_taken(server: Server, client: httpx.Client, target: Target) -> None:
    server.pages["/w"] = Page(BODY)
    with pytest.raises(FetchError, match=r"sends more of weights.pt than there is"):
        target.fetch(client, size=1000)
    assert not target.file.exists()


@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        (404, UnknownError, "has no such thing, with status 404"),
        (401, ForbiddenError, "refuses, with status 401"),
        (403, ForbiddenError, "refuses, with status 403"),
        (429, FetchError, "too often; try again in an hour"),
        (500, FetchError, "fails, with status 500; try again later"),
    ],
)
def test_a_refusal_is_told(
    server: Server, client: httpx.Client, target: Target, status: int, kind: type[FetchError], told: str
) -> None:
    server.pages["/w"] = Page(b"<html>", status=status)
    with pytest.raises(kind, match=told):
        target.fetch(client)
    assert len(server.asked) == 1
    assert list(target.file.parent.iterdir()) == []


def test_a_server_that_falls_silent_is_given_up(server: Server, target: Target) -> None:
    server.pages["/w"] = Page(BODY, hang=5000)
    with remote.client(0.2) as client, pytest.raises(FetchError, match=r"does not answer; .*; what came stays"):
        target.fetch(client)
    assert target.part.read_bytes() == BODY[:5000]


def test_two_do_not_fill_the_same_part(server: Server, client: httpx.Client, target: Target) -> None:
    target.begin(b"")
    with target.part.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(FetchError, match="is being filled by another"):
            target.fetch(client)
    assert server.asked == []


def test_what_cannot_be_written_is_told(server: Server, client: httpx.Client, target: Target, tmp_path: Path) -> None:
    (tmp_path / "new").write_text("a file where a folder should be")
    with pytest.raises(FetchError, match=r"weights.pt.part cannot be written: "):
        target.fetch(client)


def test_a_disk_that_takes_no_more_keeps_what_came(server: Server, tmp_path: Path) -> None:
    server.pages["/w"] = Page(BODY)
    code = (
        "import resource, sys; from pathlib import Path; from surveil.fetch import remote\n"
        "from surveil.fetch.download import Digest, Download, Wanted\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "wanted = Wanted('w', sys.argv[1], int(sys.argv[2]), Digest('sha256', sys.argv[3]))\n"
        "with remote.client() as client:\n"
        "    try: Download(client, wanted, Path('w.part'), lambda _: None).fetch(Path('w'))\n"
        "    except remote.FetchError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, f"{server.url}/w", str(len(BODY)), SHA256.hex],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.stdout == "w.part cannot be written: file too large\n"
    kept = (tmp_path / "w.part").read_bytes()
    assert 0 < len(kept) <= 200_000
    assert BODY.startswith(kept)


def test_room_is_looked_for_before(tmp_path: Path) -> None:
    ensure_room(tmp_path / "not" / "there" / "yet", 1)
    with pytest.raises(FetchError, match=r"has too little room: 1000000000.0 GB are needed and .* are free"):
        ensure_room(tmp_path, 10**18)
