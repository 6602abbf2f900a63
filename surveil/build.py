"""From what the config says to the objects that do it: detector, sources, broker."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from surveil import registry
from surveil.clock import Clock
from surveil.config import Camera, Config, SecretError
from surveil.interfaces import Detector, FrameSource, ModelError
from surveil.logs import Fold
from surveil.metrics import Metrics

if TYPE_CHECKING:  # they bring libraries along that `surveil check` can do without
    from surveil.capture.decoding import Decoding
    from surveil.capture.detail import DetailStream
    from surveil.capture.packets import PacketRing
    from surveil.capture.rtsp import RtspAddress
    from surveil.deliver.broker import Broker
    from surveil.store.habits import HabitsFile
    from surveil.trigger.habits import Habits

_log = logging.getLogger(__name__)
_fold = Fold(_log)


def detector(config: Config) -> Detector:
    """Return the loaded detector; raises ModelError, also when it does not know what a rule is about."""
    wanted = config.detector
    loaded: Detector = registry.resolve(registry.DETECTOR)(
        wanted.model,
        imgsz=wanted.imgsz,
        confidence=wanted.confidence,
        device=wanted.device,
        sha256=wanted.sha256,
    )
    asked = frozenset[str]().union(*(rule.about for camera in config.cameras.values() for rule in camera.rules))
    missing = sorted(asked - set(loaded.labels))
    if missing:
        known = ", ".join(loaded.labels[:80])
        raise ModelError(f"a rule needs {', '.join(missing)}, which {loaded.name} does not know; it knows {known}")
    return loaded


def passwords(config: Config) -> None:
    """Read every secret once; raises SecretError that names all that are not where the config says."""
    secrets = {f"cameras.{name}.password": camera.password for name, camera in config.cameras.items()}
    secrets["mqtt.password"] = config.mqtt.password
    secrets["assessor.api_key"] = config.assessor.api_key
    missing = []
    for path, secret in secrets.items():
        try:
            if secret is not None:
                secret.reveal()
        except SecretError as error:
            missing.append(f"{path}: {error}")
    if missing:
        raise SecretError("\n".join(missing))


def broker(config: Config) -> Broker:
    """Return where the broker is and who we are to it. Raises SecretError."""
    from surveil.deliver.broker import Broker, Tls
    from surveil.deliver.embedded import HOST

    mqtt = config.mqtt
    # In the config 5 may be a number or text. The built-in broker knows one protocol only, and we know which.
    version: Literal["auto", "5", "3.1.1"] = "5" if mqtt.version in {5, "5"} else "auto"
    if mqtt.embedded or mqtt.version == "3.1.1":
        version = "3.1.1"
    return Broker(
        host=HOST if mqtt.embedded else mqtt.host,
        port=mqtt.port,
        username=mqtt.username,
        password=mqtt.password.reveal() if mqtt.password else None,
        client_id=f"surveil-{config.node}",
        root=f"{mqtt.base_topic}/{config.node}",
        version=version,
        tls=None if mqtt.tls is None else Tls(mqtt.tls.ca, mqtt.tls.cert, mqtt.tls.key),
    )


@dataclass(frozen=True, slots=True)
class SourceMaker:
    """Makes a camera's source anew for each try; the event tells one that waits to stop.

    `ring` holds the packets that the camera's clips are made of. A camera with masks has none: a clip is what it sent,
    and would show what they hide.
    """

    make: Callable[[threading.Event], FrameSource]
    ring: PacketRing | None

    def __call__(self, stop: threading.Event) -> FrameSource:
        """Return a new source."""
        return self.make(stop)


def decoder() -> str:
    """Return, for people, what decodes the cameras' streams here and why; the hardware is asked once a process."""
    from surveil.capture import acceleration

    return acceleration.found().line


def source(
    name: str,
    camera: Camera,
    input_size: tuple[int, int],
    clock: Clock,
    metrics: Metrics,
    detail: DetailStream | None = None,
) -> SourceMaker:
    """Return what makes the camera's source; its full pictures come from `detail` where there is one.

    `metrics` counts the pictures that are left out because they are damaged, and the time that decoding takes. Raises
    SecretError when the password is not where the config says.
    """
    ring = _ring(camera, detail)
    kept = ring if detail is None else None  # else its own packets are of no use
    make = _source(name, camera, input_size, clock, _decoding(name, metrics, kept))
    return SourceMaker(lambda stop: masked(camera, _detailed(make(stop), detail)), ring)


def _ring(camera: Camera, detail: DetailStream | None) -> PacketRing | None:
    if camera.masks:
        return None
    from surveil.capture.packets import PacketRing

    return PacketRing() if detail is None else detail.ring


def masked(camera: Camera, source: FrameSource) -> FrameSource:
    """Return the source with what the camera's masks hide blacked out."""
    if not camera.masks:
        return source
    from surveil.capture.masks import MaskedSource, Masks

    return MaskedSource(source, Masks(camera.masks))


def _detailed(source: FrameSource, detail: DetailStream | None) -> FrameSource:
    if detail is None:
        return source
    from surveil.capture.detail import DetailedSource

    return DetailedSource(source, detail.ring)


def detail(name: str, camera: Camera, clock: Clock) -> DetailStream | None:
    """Return the camera's main stream, not yet started; None where the config names none."""
    if camera.detail is None:
        return None
    from surveil.capture.detail import DetailSource, DetailStream

    address = _address(camera, camera.detail)
    return DetailStream(name, lambda _stop: DetailSource(address, clock), clock)


def _decoding(name: str, metrics: Metrics, ring: PacketRing | None) -> Decoding:
    from surveil.capture.acceleration import Hardware, found
    from surveil.capture.decoding import Decoding

    def damaged() -> None:
        metrics.count("frames_damaged", name)
        _fold.warn(f"camera={name} a damaged picture was left out")

    def cut() -> None:
        _fold.warn(f"camera={name} no key picture for too long: clips lack the rest up to the next one")

    device = found().device
    hardware = None if device is None else Hardware(name, device)
    return Decoding(hardware, damaged, lambda seconds: metrics.spend("decode_seconds", name, seconds), ring, cut)


def _source(
    name: str, camera: Camera, input_size: tuple[int, int], clock: Clock, decoding: Decoding
) -> Callable[[threading.Event], FrameSource]:
    if "://" not in camera.source:
        from surveil.capture.video_file import Pace, VideoFile

        return lambda stop: VideoFile(name, camera.source, input_size, Pace(clock, stop), camera.loop, decoding)
    kind = registry.resolve(registry.SOURCES[urlsplit(camera.source).scheme])
    address = _address(camera, camera.source)
    return lambda _stop: kind(name, address, input_size, clock, decoding)


def _address(camera: Camera, url: str) -> RtspAddress:
    from surveil.capture.rtsp import RtspAddress

    password = camera.password.reveal() if camera.password else ""
    return RtspAddress(url, (camera.username, password) if camera.username else None, camera.transport)


def habits(config: Config, kept: HabitsFile) -> dict[str, Habits]:
    """Return what each camera with an `unusual` rule has learnt so far; one whose file is damaged learns anew."""
    learnt = {}
    for name, camera in config.cameras.items():
        if any(rule.when == "unusual" for rule in camera.rules):
            learnt[name] = _habits(name, kept)
    return learnt


def _habits(camera: str, kept: HabitsFile) -> Habits:
    from surveil.trigger.habits import Habits

    data = kept.load(camera)
    if data is None:
        return Habits()
    try:
        return Habits.from_dict(data)
    except ValueError as error:
        kept.set_aside(camera, str(error))
        return Habits()
