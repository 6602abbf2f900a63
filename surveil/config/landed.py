"""What the config may already say but this version cannot do yet: refused by name, never silently ignored."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from surveil.config.document import Key
from surveil.config.settings import Camera, Config

Path = tuple[Key, ...]
_LATER = "is not in this version yet"


def _is(*allowed: Any) -> Callable[[Any], bool]:
    return lambda value: value in allowed


# Path of the key → whether this version can do what it says.
_NODE: dict[Path, Callable[[Any], bool]] = {
    ("web", "listen"): _is(None),
    ("web", "tokens"): _is({}),
    ("web", "public_url"): _is(None),
}
_CAMERA: dict[str, Callable[[Any], bool]] = {
    "source": lambda source: urlsplit(source).scheme in {"", "rtsp", "rtsps"} and not source.startswith("/dev/"),
    "detail": lambda detail: detail is None or urlsplit(detail).scheme in {"rtsp", "rtsps"},
}
_KINDS = {"source", "detail"}


def not_landed(config: Config) -> Iterator[tuple[Path, str]]:
    """Yield the path of every value whose feature is not there yet, and what to say of it."""
    for (room, key), can in _NODE.items():
        value = getattr(getattr(config, str(room)), str(key))
        if not can(value):
            yield (room, key), _say(value)
    for name, camera in config.cameras.items():
        yield from _of_camera(("cameras", name), camera)


def _of_camera(path: Path, camera: Camera) -> Iterator[tuple[Path, str]]:
    for key, can in _CAMERA.items():
        value = getattr(camera, key)
        if not can(value):
            yield (*path, key), _say(value) if key not in _KINDS else f"this kind of {key} {_LATER}"


def _say(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[\w.]{1,40}", value):  # never a URL, which may hold a secret
        return f"{value} {_LATER}"
    return f"this {_LATER}; leave it out"
