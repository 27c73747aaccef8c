"""The file that ships with the model: for every training picture its credit, a vector and a small likeness.

A zip of `pictures.jsonl`, `packages.json` and `aliases.json` (credits), `vectors.npz` (int8 principal
components of the picture encoder's vectors, and the map that makes them) and `likenesses.npy` (24 x 24 px
lightness and opacity, 5 and 3 bits a cell).
"""

from __future__ import annotations

import io
import json
import lzma
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from generation.errors import GenerationError
from generation.sticker.sources import ALLOWED_LICENSES

INDEX = Path(__file__).parent / "training.zip"
CELLS = 24
"""Edge of a likeness."""

Floats = npt.NDArray[np.float32]
_EPOCH = (1980, 1, 1, 0, 0, 0)
_LIGHT_LEVELS, _OPACITY_LEVELS = 31, 7
_OPACITY_BITS = 3
_MAX_MEMBER = 32 << 20  # bytes
_MAX_PICTURES = 50_000
_VIEWS = frozenset({"face", "oncoming", "front-facing"})


class TrainingIndexError(GenerationError):
    """The index of training pictures cannot be read."""

    code = "training_index"


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """Where pictures come from."""

    package: str  # with its registry: npm:..., deb:...
    version: str
    license: str  # SPDX id
    license_url: str
    upstream: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingPicture:
    """One picture that the model learned from, with its credit."""

    id: int  # as in the training folder's attribution.jsonl
    title: str
    author: str
    package: Package
    file: str  # inside the package

    @property
    def source(self) -> str:
        """Package and file, resolvable by a stranger; equals `Source.locate` of the reference pack."""
        return f"{self.package.package}@{self.package.version}, {self.file} ({self.package.upstream})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Projection:
    """Maps the picture encoder's vectors to shorter ones."""

    mean: Floats  # (1280,)
    map: Floats  # (1280, d)

    def __call__(self, vectors: Floats) -> Floats:
        """(n, 1280) -> (n, d), rows of unit length."""
        mapped = (vectors - self.mean) @ self.map
        unit: Floats = mapped / np.maximum(np.linalg.norm(mapped, axis=1, keepdims=True), 1e-9)
        return unit.astype(np.float32)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingIndex:
    """Every training picture; all arrays have one row for each."""

    pictures: tuple[TrainingPicture, ...]
    projection: Projection
    vectors: Floats  # (n, d), rows of unit length
    likenesses: npt.NDArray[np.uint8]  # (n, 24, 24): five bits of lightness, three of opacity
    aliases: Mapping[str, int]  # sources whose picture equals a row's, which alone is in the training set

    def drawn(self, rows: npt.NDArray[np.intp] | slice) -> tuple[Floats, Floats]:
        """Lightness and opacity of some rows, (m, 24, 24) each, 0 to 1."""
        packed = self.likenesses[rows]
        light: Floats = (packed >> _OPACITY_BITS).astype(np.float32) / np.float32(_LIGHT_LEVELS)
        opacity: Floats = (packed & _OPACITY_LEVELS).astype(np.float32) / np.float32(_OPACITY_LEVELS)
        return light, opacity


def pack(light: Floats, opacity: Floats) -> npt.NDArray[np.uint8]:
    """Likenesses of lightness and opacity, (n, 24, 24) each, 0 to 1."""
    level = np.rint(opacity * _OPACITY_LEVELS).astype(np.uint8)
    shade = np.where(level > 0, np.rint(light * _LIGHT_LEVELS), 0).astype(np.uint8)
    return ((shade << _OPACITY_BITS) | level).astype(np.uint8)


def subject(title: str) -> str:
    """A title without the words that only say how a thing is seen: "cat face" is a cat."""
    words = title.lower().replace("\u2019", "'").split()
    return " ".join([word for word in words if word not in _VIEWS] or words)


def write_index(index: TrainingIndex, out: Path) -> None:
    """Write an index; equal contents give equal bytes."""
    packages = sorted({picture.package for picture in index.pictures}, key=lambda p: (p.package, p.license))
    numbers = {package: i for i, package in enumerate(packages)}
    rows = [[p.id, p.title, p.author, numbers[p.package], p.file] for p in index.pictures]
    vectors = io.BytesIO()
    np.savez(
        vectors,
        mean=index.projection.mean.astype(np.float16),
        map=index.projection.map.astype(np.float16),
        rows=to_bytes(index.vectors),
    )
    likenesses = io.BytesIO()
    np.save(likenesses, index.likenesses)
    members = {
        "packages.json": json.dumps([asdict(package) for package in packages], indent=1).encode(),
        "pictures.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode(),
        "aliases.json": json.dumps(dict(sorted(index.aliases.items())), indent=1).encode(),
        "vectors.npz": _timeless(vectors.getvalue()),
        "likenesses.npy": likenesses.getvalue(),
    }
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(_info(name, zipfile.ZIP_LZMA), data)


def to_bytes(unit: Floats) -> npt.NDArray[np.int8]:
    """Unit rows as int8, each scaled by its largest component; `open_index` makes them unit rows again."""
    largest = np.maximum(np.abs(unit).max(1, keepdims=True), 1e-9)
    rounded: npt.NDArray[np.int8] = np.rint(unit / largest * 127).astype(np.int8)
    return rounded


def _info(name: str, method: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type, info.create_system, info.external_attr = method, 3, 0o644 << 16
    return info


def _timeless(npz: bytes) -> bytes:
    """The same arrays with fixed times."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(npz)) as given, zipfile.ZipFile(out, "w") as made:
        for name in given.namelist():
            made.writestr(_info(name, zipfile.ZIP_STORED), given.read(name))
    return out.getvalue()


def open_index(path: Path = INDEX) -> TrainingIndex:
    """Read an index.

    Raises:
        TrainingIndexError: the file is missing or damaged, or names a license off the allow-list.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(archive)
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        EOFError,
        NotImplementedError,
        RecursionError,
        lzma.LZMAError,
        zlib.error,
        zipfile.BadZipFile,
    ) as error:
        raise TrainingIndexError(f"the index of training pictures {path} cannot be read: {error}") from error


def _read(archive: zipfile.ZipFile) -> TrainingIndex:
    packages = [Package(**row) for row in json.loads(_member(archive, "packages.json"))]
    if refused := {package.license for package in packages} - ALLOWED_LICENSES:
        raise ValueError(f"license {', '.join(sorted(refused))} is not on the allow-list")
    lines = _member(archive, "pictures.jsonl").decode().split("\n")[:-1]
    pictures = tuple(
        TrainingPicture(id=number, title=title, author=author, package=packages[package], file=file)
        for number, title, author, package, file in map(json.loads, lines)
    )
    with np.load(io.BytesIO(_member(archive, "vectors.npz")), allow_pickle=False) as arrays:
        rows = arrays["rows"].astype(np.float32)
        projection = Projection(mean=arrays["mean"].astype(np.float32), map=arrays["map"].astype(np.float32))
    packed = np.load(io.BytesIO(_member(archive, "likenesses.npy")), allow_pickle=False)
    if packed.dtype != np.uint8 or packed.shape != (len(pictures), CELLS, CELLS) or not pictures:
        raise ValueError("likenesses and pictures differ in number")
    if len(rows) != len(pictures) or projection.map.shape != (len(projection.mean), rows.shape[1]):
        raise ValueError("vectors and pictures differ in number")
    if len(pictures) > _MAX_PICTURES:
        raise ValueError("too many pictures")
    aliases = {str(source): int(row) for source, row in json.loads(_member(archive, "aliases.json")).items()}
    if not all(0 <= row < len(pictures) for row in aliases.values()):
        raise ValueError("an alias names no picture")
    return TrainingIndex(
        pictures=pictures,
        projection=projection,
        vectors=rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9),
        likenesses=packed,
        aliases=aliases,
    )


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > _MAX_MEMBER:
        raise ValueError(f"{name} is too large")
    return archive.read(name)
