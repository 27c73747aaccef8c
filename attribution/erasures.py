"""Who was erased, in a list beside the database: an older backup that comes back must not bring them back.

The list holds pseudonyms and times only. A pseudonym is random, and once its person is erased nobody knows
whose it was, so the list may lie beside the backups that it guards.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import re
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from attribution.errors import ErasureListError
from attribution.ledger import Ledger
from attribution.record import EventKind
from attribution.tables import leaves, subjects

log = logging.getLogger(__name__)

_MAX_BYTES = 1 << 30
_SUBJECT = re.compile(r"[0-9a-f]{32}", re.ASCII)


def file_name(origin: str) -> str:
    """The name of a house's list; `origin` is the ledger's."""
    return f"erasures-{origin.rpartition('/')[2]}.jsonl"


class Erasures:
    """Keeps the list, and the ledger's entries, in step with the database."""

    def __init__(self, engine: AsyncEngine, *, ledger: Ledger, origin: str, folders: Sequence[Path]) -> None:
        """`folders`: where a copy of the list is kept; one that is not there is passed over."""
        self._reader = engine.execution_options(read_only=True)
        self._ledger, self._origin, self._folders = ledger, origin, folders

    async def settle(self) -> None:
        """Enter every erasure that the ledger or a copy of the list lacks; a repeat changes nothing.

        A copy that cannot be written is logged, and tried again with the next call.
        """
        said = select(leaves.c.subject).where(leaves.c.kind == EventKind.ERASED.value)
        unsaid = subjects.c.erased_ms.is_not(None) & subjects.c.subject.not_in(said)
        async with self._reader.connect() as connection:
            silent = (await connection.scalars(select(subjects.c.subject).where(unsaid))).all()
            erased = await erased_people(connection)
        for subject in silent:  # after a restore: the entry lay beyond the backup
            await self._ledger.append(EventKind.ERASED, subject=subject)
        for folder in self._folders:
            await asyncio.to_thread(self._list, folder, erased)

    def _list(self, folder: Path, erased: Mapping[str, int]) -> None:
        if not folder.is_dir():
            return
        file = folder / file_name(self._origin)
        try:
            with _locked(folder):
                listed = read(file, origin=self._origin) if file.exists() else None
                if listed is None or not erased.keys() <= listed.keys():
                    _replace(file, {**erased, **(listed or {})}, origin=self._origin)
        except (OSError, ErasureListError) as error:
            log.error("the list of erasures in %s is not up to date: %s", folder, error)  # noqa: TRY400


async def erased_people(connection: AsyncConnection) -> dict[str, int]:
    """The pseudonyms of everybody who was erased, and when (Unix ms)."""
    statement = select(subjects.c.subject, subjects.c.erased_ms).where(subjects.c.erased_ms.is_not(None))
    return {row.subject: row.erased_ms for row in await connection.execute(statement)}


async def living(connection: AsyncConnection, among: Collection[str]) -> tuple[str, ...]:
    """Those of these pseudonyms who are known and not erased."""
    statement = select(subjects.c.subject).where(subjects.c.erased_ms.is_(None))
    return tuple(one for one in await connection.scalars(statement) if one in among)


def read(file: Path, *, origin: str) -> dict[str, int]:
    """A list: pseudonyms, and when each was erased (Unix ms).

    Raises:
        ErasureListError: it is damaged, or of another house's ledger.
    """
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise ErasureListError(f"{file} is too large for a list of erasures")
        head, *lines = file.read_text(encoding="ascii").splitlines()
        about = json.loads(head)
        listed = {str(one["subject"]): int(one["erased_ms"]) for one in map(json.loads, lines)}
        known = about["version"] == 1 and len(listed) == about["count"]
        whose = str(about["origin"])
    except (OSError, ValueError, TypeError, LookupError, RecursionError) as error:
        raise ErasureListError(f"{file} is no list of erasures, or a damaged one") from error
    if not known or not all(map(_SUBJECT.fullmatch, listed)):
        raise ErasureListError(f"{file} is no list of erasures, or a damaged one")
    if whose != origin:
        raise ErasureListError(f"{file} is the list of erasures of another Verso")
    return listed


def _replace(file: Path, listed: Mapping[str, int], *, origin: str) -> None:
    rows = sorted(listed.items(), key=lambda one: (one[1], one[0]))
    lines = [
        json.dumps({"version": 1, "origin": origin, "count": len(rows)}),
        *(json.dumps({"subject": subject, "erased_ms": at}) for subject, at in rows),
    ]
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("x", encoding="ascii") as out:
            out.write("\n".join(lines) + "\n")
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes from writing the list at the same time."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
