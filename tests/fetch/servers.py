"""Servers of this machine that play GitHub's API, the Hugging Face hub and what their files lie on, with manners."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "c" * 40


@dataclass
class Page:
    """What lies under an address, and how it is given."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    shift: int = 0
    """How far beside the part that is asked for the one lies that is given."""
    cut: int | None = None
    """After so many bytes of an answer the connection breaks off."""
    hang: int | None = None
    """After so many bytes of the page nothing comes any more, whatever part of it is asked for."""
    times: int = 1000
    """How often it behaves so before it behaves well."""

    def plan(self, asked: str) -> tuple[int, dict[str, str], bytes, bytes]:
        """Return status, headers and body for a Range header, and what of the body is sent."""
        status, headers, body = self._part(asked)
        if self.times <= 0 or (self.cut is None and self.hang is None):
            return status, headers, body, body
        first = len(self.body) - len(body)
        return status, headers, body, body[: self.cut if self.hang is None else max(0, self.hang - first)]

    def _part(self, asked: str) -> tuple[int, dict[str, str], bytes]:
        part = re.fullmatch(r"bytes=(\d+)-", asked)
        if self.status != 200 or not self.ranges or part is None:
            return self.status, self.headers, self.body
        first = int(part[1]) + self.shift
        if first >= len(self.body):
            return 416, {}, b""
        given = {"Content-Range": f"bytes {first}-{len(self.body) - 1}/{len(self.body)}"}
        return 206, self.headers | given, self.body[first:]


@dataclass(frozen=True)
class Asked:
    """One request; header names are in lower case. `sent` is how many bytes of body it got."""

    path: str
    headers: dict[str, str]
    sent: int


class Server:
    """Pages on a port of this machine, and what was asked of them."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[Asked] = []
        self.halfway = threading.Event()
        """Set when a page begins to hang."""
        self._closing = threading.Event()
        pages, asked, closing, halfway = self.pages, self.asked, self._closing, self.halfway

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = pages.get(self.path, Page(status=404))
                status, headers, body, some = page.plan(self.headers.get("Range", ""))
                bad = some is not body
                page.times -= bad
                asked.append(Asked(self.path, {name.lower(): value for name, value in self.headers.items()}, len(some)))
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(some)
                if bad and page.hang is not None:
                    halfway.set()
                    closing.wait(60)
                self.close_connection = True

            def do_CONNECT(self) -> None:
                self.send_error(403)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def ranges(self, path: str) -> list[str]:
        """Return the Range headers that came for a page, one empty where there was none."""
        return [asked.headers.get("range", "") for asked in self.asked if asked.path == path]

    def sent(self, path: str) -> int:
        """Return how many bytes of a page were sent in all."""
        return sum(asked.sent for asked in self.asked if asked.path == path)

    def publish(self, name: str, body: bytes, *, hashed: bool = True, where: str = "/releases/latest") -> Page:
        """Publish an asset as GitHub does, and return its page."""
        asset = {
            "name": name,
            "size": len(body),
            "browser_download_url": f"{self.url}/assets/{name}",
            "digest": f"sha256:{hashlib.sha256(body).hexdigest()}" if hashed else None,
        }
        release: Any = {"tag_name": "v1", "assets": [{**asset, "name": "other.pt"}, asset]}
        said = release if where == "/releases/latest" else [{"tag_name": "v2", "assets": []}, release]
        self.pages[f"/repos/ultralytics/assets{where}"] = Page(json.dumps(said).encode())
        self.pages[f"/assets/{name}"] = Page(body)
        return self.pages[f"/assets/{name}"]

    def host(self, model: str, files: dict[str, bytes], cdn: Server | None = None, commit: str = COMMIT) -> None:
        """Host a model as the hub does; its weights are redirected to another server, if there is one."""
        siblings = []
        for name, body in files.items():
            about: dict[str, Any] = {"rfilename": name, "size": len(body), "blobId": git_sha(body)}
            page = Page(body)
            if name.endswith((".safetensors", ".bin")):
                sha256 = hashlib.sha256(body).hexdigest()
                about |= {"blobId": "0" * 40, "lfs": {"sha256": sha256, "size": len(body), "pointerSize": 135}}
                if cdn is not None:
                    cdn.pages[f"/{sha256}?signature=abc"] = page
                    page = Page(status=302, headers={"Location": f"{cdn.url}/{sha256}?signature=abc"})
            self.pages[f"/{model}/resolve/{commit}/{name}"] = page
            siblings.append(about)
        listing = Page(json.dumps({"id": model, "sha": commit, "siblings": siblings}).encode())
        for revision in ("main", commit):
            self.pages[f"/api/models/{model}/revision/{revision}?blobs=true"] = listing

    @contextlib.contextmanager
    def running(self) -> Iterator[Server]:
        """Serve as long as this lasts."""
        thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            self._closing.set()
            self._http.shutdown()
            thread.join()
            self._http.server_close()


def git_sha(body: bytes) -> str:
    """Return what git names a blob."""
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
