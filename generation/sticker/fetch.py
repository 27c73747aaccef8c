"""Downloads the packages that the pictures come from; each must have the digest that is pinned here."""

from __future__ import annotations

import hashlib
import http.client
import shutil
import subprocess
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from generation.sticker.archives import unpack_npm
from generation.sticker.packages import DatasetError

NPM_REGISTRY = "https://registry.npmjs.org"
DEBIAN_MIRROR = "https://deb.debian.org/debian"
_CHUNK = 1 << 16
_PATIENCE_S = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """A file of a registry."""

    name: str
    version: str
    size: int  # bytes
    sha256: str
    path: str | None = None  # on a Debian mirror; None: it is npm's

    @property
    def file(self) -> str:
        """What it is called on disk: as `npm pack` and the Debian mirrors call it."""
        if self.path:
            return self.path.rpartition("/")[2]
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"

    @property
    def shipped(self) -> bool:
        """Whether the reference pack is built from it, too."""
        return self.path is None

    def url(self, *, registry: str, mirror: str) -> str:
        """Where it is."""
        if self.path:
            return f"{mirror.rstrip('/')}/{self.path}"
        return f"{registry.rstrip('/')}/{self.name}/-/{self.name.rpartition('/')[2]}-{self.version}.tgz"


PACKAGES: tuple[Package, ...] = (
    Package(
        name="emojibase-data",
        version="17.0.0",
        size=6_711_091,
        sha256="d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a",
    ),
    Package(
        name="@lobehub/fluent-emoji-3d",
        version="1.1.0",
        size=15_792_027,
        sha256="c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
    ),
    Package(
        name="@iconify-json/fluent-emoji-flat",
        version="1.2.6",
        size=1_172_438,
        sha256="7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175",
    ),
    Package(
        name="@iconify-json/noto",
        version="1.2.9",
        size=3_102_958,
        sha256="3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad",
    ),
    Package(
        name="@iconify-json/twemoji",
        version="1.2.5",
        size=1_555_888,
        sha256="19046dff7d8707ce96212ec86468b36ac5f8e60409629dd13f809265c6d0ebb7",
    ),
    Package(
        name="openclipart-svg",
        version="1:0.18+dfsg-19",
        size=24_919_068,
        sha256="989712d90d57dfa3230049f553bb43b76c30ee4d4b8c5f6e106e33f7db5cbdc5",
        path="pool/main/o/openclipart/openclipart-svg_0.18+dfsg-19_all.deb",
    ),
)


def fetch(
    folder: Path,
    packages: Sequence[Package] = PACKAGES,
    *,
    registry: str | None = None,
    mirror: str = DEBIAN_MIRROR,
) -> None:
    """Bring all packages into a folder and unpack npm's there; what is there with the right digest stays.

    Args:
        folder: created if missing; may already hold some of the files.
        packages: what to bring.
        registry: npm registry; default: the one npm is set to.
        mirror: Debian mirror.

    Raises:
        DatasetError: a file cannot be had or has another digest; tells which files to put where.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [package for package in packages if not _is_there(folder / package.file, package)]
    if wanted:
        _fetch(wanted, folder, registry=registry or npm_registry(), mirror=mirror)
    for package in packages:
        unpacked = folder / package.file.removesuffix(".tgz")
        if package.path is None and not unpacked.exists():
            unpack_npm(folder / package.file, unpacked)


def _fetch(wanted: Sequence[Package], folder: Path, *, registry: str, mirror: str) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns) as progress:
        for package in wanted:
            task = progress.add_task(package.file, total=package.size)
            try:
                url = package.url(registry=registry, mirror=mirror)
                _download(url, folder / package.file, package, progress, task)
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise DatasetError(_help(error, folder, wanted, registry=registry, mirror=mirror)) from error


def npm_registry() -> str:
    """The registry npm is set to (`npm_config_registry`, .npmrc); the public one where there is no npm."""
    npm = shutil.which("npm")
    if npm is None:
        return NPM_REGISTRY
    command = [npm, "config", "get", "registry"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return NPM_REGISTRY
    answer = asked.stdout.strip()
    return answer if answer.startswith(("https://", "http://")) else NPM_REGISTRY


def _is_there(path: Path, package: Package) -> bool:
    if not path.is_file() or path.stat().st_size != package.size:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == package.sha256


def _download(url: str, path: Path, package: Package, progress: Progress, task: TaskID) -> None:
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"{url} is no http address")
    request = urllib.request.Request(url, headers={"User-Agent": "verso-dataset"})  # noqa: S310 - checked above
    part = path.with_name(f"{path.name}.part")
    digest, size = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE_S) as answer, part.open("wb") as stream:  # noqa: S310
            while chunk := answer.read(_CHUNK):
                size += len(chunk)
                if size > package.size:
                    raise ValueError(f"{url} gives more than {package.size} bytes")
                digest.update(chunk)
                stream.write(chunk)
                progress.update(task, completed=size)
        if digest.hexdigest() != package.sha256:
            raise ValueError(f"{url} gives another file: {size} bytes, SHA-256 {digest.hexdigest()}")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _help(error: Exception, folder: Path, missing: Sequence[Package], *, registry: str, mirror: str) -> str:
    lines = [f"a package cannot be fetched: {error}", f"Put these files into {folder} and run this again:"]
    for package in missing:
        if not _is_there(folder / package.file, package):
            url = package.url(registry=registry, mirror=mirror)
            lines.append(
                f"  {package.file}  ({package.size:,} bytes, SHA-256 {package.sha256})\n    from {url}"
            )
    return "\n".join(lines)
