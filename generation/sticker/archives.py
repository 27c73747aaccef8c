"""Opens package archives that a stranger may have made: no path leaves its folder, no bomb goes off."""

from __future__ import annotations

import io
import lzma
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from generation.sticker.packages import DatasetError

MAX_UNPACKED = 512 << 20  # bytes of one package; the largest in use holds 170 MB
MAX_FILES = 20_000
MAX_FILE = 64 << 20
_XZ_MEMORY = 256 << 20  # what a hostile header may make the decoder reserve
_CHUNK = 1 << 16

_AR_MAGIC = b"!<arch>\n"
_AR_HEADER = 60


class _Unxz(io.RawIOBase):
    """The decompressed bytes of one member of an archive, at most `MAX_UNPACKED` of them."""

    def __init__(self, compressed: BinaryIO, size: int) -> None:
        self._compressed, self._left = compressed, size
        self._decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
        self._given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._decoder.eof:
            fresh = b""
            if self._decoder.needs_input:
                fresh = self._compressed.read(min(_CHUNK, self._left))
                if not fresh:
                    raise EOFError("the compressed data ends early")
                self._left -= len(fresh)
            data = self._decoder.decompress(fresh, max_length=len(buffer))
            if data:
                self._given += len(data)
                if self._given > MAX_UNPACKED:
                    raise DatasetError(f"a package unpacks to more than {MAX_UNPACKED} bytes")
                buffer[: len(data)] = data
                return len(data)
        return 0


def deb_version(path: Path, *, package: str) -> str:
    """The version a Debian package says it has.

    Raises:
        DatasetError: the file is damaged, or is another package.
    """
    fields = {}
    for name, data in _deb_members(path, "control.tar.xz"):
        if name == "control":
            lines = data.decode("utf-8", "replace").splitlines()
            fields = {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
    if fields.get("Package") != package:
        raise DatasetError(f"{path} is not the Debian package {package}")
    return fields.get("Version", "")


def deb_files(path: Path) -> Iterator[tuple[str, bytes]]:
    """The regular files of a Debian package, as (path without leading "./", content); links are skipped.

    Raises:
        DatasetError: the file is damaged, holds a path that leaves the package, or is too large.
    """
    yield from _deb_members(path, "data.tar.xz")


def _deb_members(path: Path, part: str) -> Iterator[tuple[str, bytes]]:
    # A .deb is an `ar` archive of debian-binary, control.tar.xz and data.tar.xz: deb(5).
    try:
        with path.open("rb") as stream:
            size = _seek_ar(stream, part)
            unpacked = io.BufferedReader(_Unxz(stream, size), _CHUNK)
            with tarfile.open(fileobj=unpacked, mode="r|") as archive:
                yield from _regular_files(archive)
    except (OSError, EOFError, ValueError, lzma.LZMAError, tarfile.TarError) as error:
        raise DatasetError(f"{path} cannot be read as a Debian package: {error}") from error


def _seek_ar(stream: BinaryIO, wanted: str) -> int:
    """Go to the content of a member of an `ar` archive; gives its size in bytes."""
    if stream.read(len(_AR_MAGIC)) != _AR_MAGIC:
        raise ValueError("not an ar archive")
    names = []
    while header := stream.read(_AR_HEADER):
        if len(header) != _AR_HEADER or header[58:] != b"`\n":
            raise ValueError("a damaged ar header")
        name, size = header[:16].decode("ascii").rstrip(" /"), int(header[48:58])
        if size < 0:
            raise ValueError("a negative size")
        if name == wanted:
            return size
        names.append(name)
        stream.seek(size + size % 2, io.SEEK_CUR)
    raise ValueError(f"no {wanted} among {', '.join(names)}")


def _regular_files(archive: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    for member in _checked(archive):
        content = archive.extractfile(member) if member.isreg() else None
        if content is not None:
            yield member.name.removeprefix("./"), content.read()


def _checked(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    total = 0
    for number, member in enumerate(archive):
        total += member.size
        if number >= MAX_FILES or member.size > MAX_FILE or total > MAX_UNPACKED:
            raise DatasetError(f"{member.name}: the package holds more than a package of pictures may")
        if member.name.startswith("/") or ".." in member.name.split("/") or not member.name.isprintable():
            raise DatasetError(f"{member.name!r}: a path of the package leaves it")
        yield member


def unpack_npm(path: Path, into: Path) -> None:
    """Unpack an npm tarball; `into` appears complete or not at all.

    Args:
        path: the .tgz.
        into: folder that is not there yet.

    Raises:
        DatasetError: the file is damaged, holds a path or link that leaves it, or is too large.
    """
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into.parent, prefix=".unpacking-") as folder:
        target = Path(folder) / "package"
        target.mkdir()
        try:
            with tarfile.open(path, "r:gz") as archive:
                for member in _checked(archive):
                    archive.extract(member, target, filter="data")
        except (OSError, EOFError, ValueError, zlib.error, tarfile.TarError) as error:
            raise DatasetError(f"{path} cannot be unpacked: {error}") from error
        shutil.move(target, into)
