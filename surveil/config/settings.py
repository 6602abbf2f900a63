"""Every key of the config file (CONTRACT section 3), with its default and its bounds."""

from __future__ import annotations

import hashlib
import re
import socket
import uuid
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from surveil.config.network import NOT_PRIVATE, is_remote
from surveil.config.rules import Fraction, Name, PersonSettings, RuleSettings, Seconds, Strict, TamperSettings
from surveil.config.secret import Secret

Point = tuple[Fraction, Fraction]
Labels = dict[Annotated[str, StringConstraints(min_length=1, max_length=64)], str]
Title = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


def _fault(text: str) -> PydanticCustomError:
    return PydanticCustomError("value", "{text}", {"text": text})


def _polygon(corners: tuple[Point, ...]) -> tuple[Point, ...]:
    import shapely  # only for those who have polygons: `check` answers at once

    shape = shapely.Polygon(corners)
    if not shape.is_valid:
        why = shapely.is_valid_reason(shape)
        place = re.search(r"\[([^\]]+)\]", why)
        where = f" near {place[1]}" if place else ""
        raise _fault(f"its edges cross{where}: name the corners in their order around it")
    if shape.area < _SMALLEST:
        raise _fault("it has no area: its corners lie on a line or at one place")
    return corners


def _source(text: str) -> str:
    parts = urlsplit(text) if "://" in text else None
    if parts is None:
        return text
    if parts.scheme not in {"rtsp", "rtsps", "http", "https"}:
        raise _fault(f"{parts.scheme}:// is no camera; use rtsp[s]://, http[s]://, /dev/videoN, a file or folder:/path")
    if "@" in text:
        # Also behind the first slash: `rtsp://user:pass/word@host` has its host there.
        raise _fault(
            "a password inside a URL ends up in logs; write username: and password: as keys of their own "
            "(and %40 for an @ in a path)"
        )
    if not parts.hostname:
        raise _fault("the URL names no host")
    try:
        _ = parts.port
    except ValueError:
        raise _fault("the URL's port is no number from 0 to 65535") from None
    return text


def _base_url(text: str, info: ValidationInfo) -> str:
    parts = urlsplit(text)
    if "@" in text or parts.query:
        raise _fault("a key inside a URL ends up in logs; write api_key: beside urls:")
    if parts.scheme not in {"http", "https"} or not parts.hostname or not parts.path.rstrip("/").endswith("/v1"):
        raise _fault("is no base URL such as http://192.0.2.30:8000/v1")
    try:
        _ = parts.port
    except ValueError:
        raise _fault("the URL's port is no number from 0 to 65535") from None
    if not info.data.get("allow_remote") and is_remote(text):
        raise _fault(f"is {NOT_PRIVATE} allow_remote: true")
    return text


def _zone_name(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _fault("is no IANA time zone, such as Europe/Vienna") from None
    return text


def _language(text: str) -> str:
    if not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", text):
        raise _fault("must be a language's code, such as en, de or pt-BR")
    return text


def _device(text: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda:\d+", text):
        raise _fault("must be auto, cpu or cuda:0")
    return text


def _memory(value: Any) -> Any:
    if value == "auto":
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1024:
        raise _fault("must be auto or a number of gigabytes")
    return float(value)


def _machine_id() -> str:
    try:
        return Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def machine_name() -> str:
    """Return what tells this machine from others; its id itself is nobody's business (machine-id(5))."""
    return hashlib.sha256(f"surveil {_machine_id() or uuid.getnode()}".encode()).hexdigest()[:12]


def default_node() -> str:
    """Return the host name, made safe, plus four hex digits of the machine id."""
    host = re.sub(r"[^a-z0-9]+", "-", socket.gethostname().split(".", 1)[0].lower()).strip("-")
    digits = _machine_id()[:4] or f"{uuid.getnode():012x}"[-4:]
    return f"{host or 'box'}-{digits}"


Zone = Annotated[str, AfterValidator(_zone_name)]
_SMALLEST = 1e-6
"""The area of a pixel in a picture of a thousand by a thousand."""
Polygon = Annotated[tuple[Point, ...], Field(min_length=3, max_length=100), AfterValidator(_polygon)]


class ZoneSettings(Strict):
    """A part of the picture that rules name; fractions of its width and height."""

    polygon: Polygon


class LineEnds(Strict):
    """A line across the picture that rules name."""

    from_: Point = Field(alias="from")
    to: Point

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        if self.from_ == self.to:
            raise _fault("it begins where it ends")
        return self


class Camera(Strict):
    """One camera."""

    source: Annotated[str, StringConstraints(min_length=1, max_length=2000), AfterValidator(_source)]
    detail: Annotated[str, AfterValidator(_source)] | None = None
    name: Title | None = None
    labels: Labels = Field(default_factory=dict)
    timezone: Zone | None = None
    username: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    password: Secret | None = None
    transport: Literal["tcp", "udp"] = "tcp"
    loop: bool = False
    zones: dict[Name, ZoneSettings] = Field(default_factory=dict)
    lines: dict[Name, LineEnds] = Field(default_factory=dict)
    masks: tuple[Polygon, ...] = ()
    ignore: tuple[Polygon, ...] = ()
    rules: tuple[RuleSettings, ...] = (PersonSettings(), TamperSettings(when="tamper"))
    context: Text | None = None


class Detector(Strict):
    """The model that sees every frame."""

    model: Annotated[str, StringConstraints(min_length=1, max_length=1000)] = "yolov8n.pt"
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$")] | None = None
    imgsz: Annotated[int, Field(ge=32, le=4096, multiple_of=32)] = 640
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.25
    device: Annotated[str, AfterValidator(_device)] = "auto"
    every: Annotated[int, Field(ge=1, le=100)] = 1


class Assessor(Strict):
    """The VLM that is asked about keyframes."""

    backend: Literal["auto", "qwen", "openai", "none"] = "auto"
    model: Annotated[str, StringConstraints(min_length=1, max_length=1000)] = "Qwen/Qwen2.5-VL-7B-Instruct"
    quantize: Literal["auto", "none", "nf4"] = "auto"
    memory_gb: Annotated[Literal["auto"] | float, BeforeValidator(_memory)] = "auto"
    allow_remote: bool = False  # before urls, which are judged by it
    urls: Annotated[tuple[Annotated[str, AfterValidator(_base_url)], ...], Field(max_length=100)] = ()
    api_key: Secret | None = None
    deadline: Annotated[float, Field(ge=1, le=600)] = 20.0
    per_minute: Annotated[int, Field(ge=1, le=600)] | None = 3
    reassess_after: Annotated[float, Field(ge=10, le=86_400)] | None = 120.0
    language: Annotated[str, AfterValidator(_language)] = "en"
    prompt: Annotated[str, StringConstraints(min_length=1, max_length=1000)] | None = None
    views: Literal["auto", "always", "never"] = "auto"


class Alerts(Strict):
    """How findings become incidents."""

    linger: Annotated[float, Field(gt=0, le=3600)] = 30.0
    max_length: Annotated[float, Field(ge=10, le=86_400)] = 600.0
    min_risk: Literal["none", "low", "medium", "high", "critical"] = "none"
    notify_risk: Literal["none", "low", "medium", "high", "critical"] = "medium"


class Tls(Strict):
    """Files for a broker over TLS."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None


class Mqtt(Strict):
    """The broker."""

    host: Annotated[str, StringConstraints(min_length=1, max_length=255)] = "localhost"
    port: Annotated[int, Field(ge=1, le=65_535)] = 1883
    embedded: bool = False
    username: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    password: Secret | None = None
    version: Literal["auto", 5, "5", "3.1.1"] = "auto"
    tls: Tls | None = None
    base_topic: Annotated[str, StringConstraints(pattern=r"^[^+#$/\s]([^+#\s]{0,198}[^+#/\s])?$")] = "surveil"
    discovery: Name | None = "homeassistant"


class Storage(Strict):
    """Where alerts and evidence lie, and for how long; null is no limit."""

    path: Annotated[str, StringConstraints(min_length=1, max_length=1000)] = "data"
    keep_days: Annotated[int, Field(ge=1, le=36_500)] | None = 14
    keep_days_low: Annotated[int, Field(ge=1, le=36_500)] | None = 3
    keep_gb: Annotated[float, Field(gt=0, le=1_000_000)] | None = 20.0


class Token(Strict):
    """One user of the web pages."""

    token: Secret
    role: Literal["view", "admin"]


class Web(Strict):
    """The HTTP server."""

    listen: Annotated[str, StringConstraints(pattern=r"^\S+:\d{1,5}$")] | None = None
    tokens: dict[Name, Token] = Field(default_factory=dict)
    public_url: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")] | None = None


class Config(Strict):
    """The whole file."""

    node: Name = Field(default_factory=default_node)
    name: Title | None = None
    labels: Labels = Field(default_factory=dict)
    timezone: Zone | None = None
    cameras: Annotated[dict[Name, Camera], Field(min_length=1, max_length=1000)]
    detector: Detector = Detector()
    assessor: Assessor = Assessor()
    alerts: Alerts = Alerts()
    mqtt: Mqtt = Mqtt()
    storage: Storage = Storage()
    web: Web = Web()

    def local_zone(self, camera: str) -> str:
        """Return the IANA name of a camera's time zone: its own, the node's, or the host's."""
        known = self.cameras.get(camera)
        return (known.timezone if known else None) or self.timezone or host_zone()


def host_zone() -> str:
    """Return the host's IANA time zone, or UTC where it does not say."""
    try:
        target = str(Path("/etc/localtime").resolve(strict=True))
    except OSError:
        return "UTC"
    name = target.rsplit("/zoneinfo/", maxsplit=1)[-1]
    try:
        return _zone_name(name)
    except PydanticCustomError:
        return "UTC"


__all__ = ["Alerts", "Assessor", "Camera", "Config", "Detector", "Mqtt", "Seconds", "Storage", "Web", "host_zone"]
