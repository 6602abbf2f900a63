"""Engines that were exported on this machine: a folder each, found again by what they were made from."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, get_args

from surveil.interfaces import ModelError

Format = Literal["openvino", "onnx", "engine"]
Precision = Literal["fp32", "fp16", "int8"]
FORMATS: tuple[Format, ...] = get_args(Format)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
TITLES: dict[Format, str] = {"openvino": "OpenVINO", "onnx": "ONNX Runtime", "engine": "TensorRT"}

_LIBRARIES: dict[Format, tuple[str, ...]] = {
    "openvino": ("ultralytics", "openvino"),
    "onnx": ("ultralytics", "onnxruntime"),
    "engine": ("ultralytics", "tensorrt"),
}
_ABOUT = "engine.json"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an engine is made from. The same recipe gives the same engine, so it is made once.

    `weights` and `calibration` are SHA-256 hex digests, `size` height and width in pixels, `machine` what it is bound
    to: the versions of the libraries that wrote it, and the GPU where it is for one.
    """

    weights: str
    format: Format
    precision: Precision
    size: tuple[int, int]
    batch: int
    calibration: str | None
    machine: tuple[str, ...]

    @property
    def key(self) -> str:
        """Its name in the cache: twelve hex digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]

    @property
    def title(self) -> str:
        """What it makes, for people."""
        height, width = self.size
        return f"{TITLES[self.format]} {self.precision} {width}x{height}"


@dataclass(frozen=True, slots=True)
class Engine:
    """One exported engine: where it lies, what it was made from, and the digests of its files."""

    folder: Path
    source: str
    recipe: Recipe
    model: Path
    files: dict[str, str]
    made: datetime

    def verify(self) -> None:
        """Raise ModelError unless every file is as it was written."""
        for name, digest in self.files.items():
            if digest_of(self.folder / name) != digest:
                raise ModelError(f"the exported engine {self.folder} is damaged ({name})")

    @property
    def current(self) -> bool:
        """Whether it was made with what this machine has now."""
        return self.recipe.machine == machine(self.recipe.format)


class EngineCache:
    """The folder of exported engines. Any process may add to it: a folder appears whole or not at all."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or cache_folder()) / "engines"

    def all(self) -> list[Engine]:
        """Return every engine whose description can be read, the newest first."""
        return sorted(self._read(), key=lambda engine: engine.made, reverse=True)

    def find(self, weights: str, imgsz: int, formats: tuple[Format, ...]) -> list[Engine]:
        """Return what was exported here from these weights (a digest) for this input, the best first.

        `formats` are those that can run, the fastest first; of one format the newest comes first, since it is what the
        user last asked for. Engines of other library versions or another GPU are among them: see `current`.
        """
        fit = [
            engine
            for engine in self.all()
            if engine.recipe.weights == weights and max(engine.recipe.size) == imgsz and engine.recipe.format in formats
        ]
        return sorted(fit, key=lambda engine: formats.index(engine.recipe.format))

    def get(self, recipe: Recipe) -> Engine | None:
        """Return the engine of this recipe; None where there is none, or one that is damaged."""
        for engine in self.all():
            if engine.recipe == recipe:
                try:
                    engine.verify()
                except ModelError:
                    return None
                return engine
        return None

    def add(self, source: str, recipe: Recipe, built: Path) -> Engine:
        """Move what an exporter wrote, a file or folder, into the cache. Raises OSError."""
        folder = self.root / f"{Path(source).stem}-{recipe.key}"
        part = folder.with_name(f".{folder.name}-{os.getpid()}")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        shutil.move(built, part / built.name)
        files = {str(file.relative_to(part)): digest_of(file) for file in sorted(part.rglob("*")) if file.is_file()}
        about = {
            "source": source,
            "recipe": asdict(recipe),
            "model": built.name,
            "files": files,
            "made": datetime.now(UTC).isoformat(),
        }
        (part / _ABOUT).write_text(json.dumps(about, indent=2), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
        return _engine(folder)

    def _read(self) -> Iterator[Engine]:
        for about in self.root.glob(f"[!.]*/{_ABOUT}"):
            try:
                yield _engine(about.parent)
            except (OSError, ValueError, KeyError, TypeError):
                continue  # no engine of ours, or half of one: it is made anew when somebody asks for it


def _engine(folder: Path) -> Engine:
    about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
    recipe = about["recipe"]
    recipe["size"], recipe["machine"] = tuple(recipe["size"]), tuple(recipe["machine"])
    return Engine(
        folder=folder,
        source=str(about["source"]),
        recipe=Recipe(**recipe),
        model=folder / about["model"],
        files=dict(about["files"]),
        made=datetime.fromisoformat(about["made"]),
    )


def machine(format: Format) -> tuple[str, ...]:  # noqa: A002 - the field's own word
    """Return what an engine of this format is bound to, as it is here."""
    bound = [f"{name} {_version(name)}" for name in _LIBRARIES[format]]
    if format == "engine":
        bound.append(_gpu())
    return tuple(bound)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _gpu() -> str:
    import torch

    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else "no GPU"


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex. Raises ModelError."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from None


def cache_folder() -> Path:
    """Return where surveil keeps what it can make anew: systemd names it in CACHE_DIRECTORY."""
    own = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("CACHE_DIRECTORY", f"{own}/surveil"))
