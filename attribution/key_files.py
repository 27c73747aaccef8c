"""Key files on the disk: whole or not there, readable by their owner alone."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from attribution.errors import KeyFileError

RESTORE = "restore the file from your backup of the key folder"
_CLOSE = "only its owner may read it: chmod 600 for the files, chmod 700 for the folder"
_MAX_BYTES = 65_536


def prepare(folder: Path) -> None:
    """Make the folder, or check that nobody else can read it.

    Raises:
        KeyFileError: others can, or it cannot be used.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
        if status.st_mode & 0o077 and not any(folder.iterdir()):
            folder.chmod(0o700)  # a fresh volume: nothing was readable yet
            status = folder.stat()
    except OSError as error:
        raise _unusable(folder, error) from error
    if status.st_mode & 0o077:
        raise KeyFileError("the key folder is open to other users", path=folder, advice=_CLOSE)


def ensure(path: Path, make: Callable[[], bytes]) -> None:
    """Create a file with its whole content at once, unless it is there already.

    Raises:
        KeyFileError: it cannot be written.
    """
    if exists(path):
        return
    with _whole(path, make) as temporary:
        try:
            os.link(temporary, path)  # unlike a rename, a link never replaces what another process made
        except FileExistsError:
            return
        _sync(path.parent)


def replace(path: Path, data: bytes) -> None:
    """Put a new content in the place of the old one: after a crash it is one of the two, whole.

    Raises:
        KeyFileError: it cannot be written.
    """
    with _whole(path, lambda: data) as temporary:
        temporary.replace(path)
        _sync(path.parent)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from changing the folder at the same time."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise _unusable(folder, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def exists(path: Path) -> bool:
    """Whether there is anything under this name, a dangling link included."""
    return os.path.lexists(path)


def read(path: Path) -> bytes:
    """The content of a key file.

    Raises:
        KeyFileError: it is missing, no file, too large, or open to others.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_BYTES:
                raise KeyFileError("this is no key file", path=path, advice=RESTORE)
            if status.st_mode & 0o077:
                raise KeyFileError("the key file is open to other users", path=path, advice=_CLOSE)
            return file.read()
    except FileNotFoundError:
        raise KeyFileError("the key file is missing", path=path, advice=RESTORE) from None
    except OSError as error:
        raise _unusable(path, error) from error


def checked(path: Path, digest: str) -> bytes:
    """The content of a key file that has this SHA-256 (hex); errors as `read`, and where it has another."""
    data = read(path)
    if hashlib.sha256(data).hexdigest() != digest:
        raise KeyFileError("the key file is damaged or was replaced", path=path, advice=RESTORE)
    return data


@contextlib.contextmanager
def _whole(path: Path, make: Callable[[], bytes]) -> Iterator[Path]:
    """A temporary file beside `path`, complete and on the disk; gone afterwards."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(make())
                file.flush()
                os.fsync(file.fileno())
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise _unusable(path, error) from error


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unusable(path: Path, error: OSError) -> KeyFileError:
    return KeyFileError(
        f"the key folder cannot be used ({error.strerror or type(error).__name__})",
        path=path,
        advice="put it on a local disk that the operator's account can write, and that knows hard links",
    )
