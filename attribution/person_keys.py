"""Each person's own key, wrapped by the vault's: opened, kept in memory for a minute, wrapped anew."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import ColumnElement, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from attribution.errors import ErasedError, VaultError
from attribution.sealing import bound, decrypt, encrypt
from attribution.tables import subjects

_CACHED_KEYS = 1024
_CACHED_SECONDS = 60.0  # so long may another process still read what this one erased


class PersonKeys:
    """Finds and opens the keys; several vault keys are in force while they are rotated."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        vault_key: bytes,
        reload_keys: Callable[[], Sequence[bytes]] | None,
        clock: Callable[[], float],
    ) -> None:
        """As `Vault`; `clock` is monotonic, in seconds."""
        self._engine = engine
        self._reader = engine.execution_options(read_only=True)
        self._wrappers: tuple[AESGCM, ...] = (AESGCM(vault_key),)  # newest first
        self._reload_keys = reload_keys
        self._clock = clock
        self._keys: OrderedDict[str, tuple[AESGCM, float]] = OrderedDict()
        self._never_cache: set[str] = set()  # erased by this process: always ask the database

    async def of(self, subject: str) -> AESGCM:
        """The person's key.

        Raises:
            ErasedError: it was destroyed.
            VaultError: nobody ever had this pseudonym, or the key opens with none of the vault's keys.
        """
        cached = self._keys.get(subject)
        if cached is not None and self._clock() < cached[1]:
            self._keys.move_to_end(subject)
            return cached[0]
        wrapped = await kept_of(self._reader, subject, subjects.c.wrapped_key)
        key = AESGCM(await self._unwrap(subject, wrapped))
        if subject not in self._never_cache:
            self._keys[subject] = (key, self._clock() + _CACHED_SECONDS)
            if len(self._keys) > _CACHED_KEYS:
                self._keys.popitem(last=False)
        return key

    def forget(self, subject: str) -> None:
        """Drop an erased person's key from memory for good."""
        self._never_cache.add(subject)
        self._keys.pop(subject, None)

    async def wrap(self, subject: str, key: bytes) -> bytes:
        """Wrap a new person's key by the vault's newest key, which is read anew."""
        await self._reload()
        return encrypt(self._wrappers[0], key, bound("key", subject))

    async def rewrap(self) -> int:
        """Wrap every person's key by the vault's newest key, all in one transaction; gives how many changed.

        Raises:
            VaultError: a key opens with none of the vault's keys; nothing has changed.
        """
        changed = 0
        async with self._engine.begin() as connection:
            if connection.dialect.name == "postgresql":  # SQLite's write transactions exclude each other
                await connection.execute(text("LOCK TABLE subjects IN SHARE ROW EXCLUSIVE MODE"))
            await self._reload()
            newest = self._wrappers[0]
            people = select(subjects.c.subject, subjects.c.wrapped_key).where(
                subjects.c.wrapped_key.is_not(None)
            )
            for row in (await connection.execute(people)).all():
                context = bound("key", row.subject)
                if _opened(newest, row.wrapped_key, context) is not None:
                    continue
                wrapped = encrypt(newest, await self._unwrap(row.subject, row.wrapped_key), context)
                await connection.execute(
                    update(subjects).where(subjects.c.subject == row.subject).values(wrapped_key=wrapped)
                )
                changed += 1
        return changed

    async def _unwrap(self, subject: str, wrapped: bytes) -> bytes:
        context = bound("key", subject)
        for reloaded in (False, True):
            if reloaded:
                await self._reload()
            for wrapper in self._wrappers:
                key = _opened(wrapper, wrapped, context)
                if key is not None:
                    return key
        raise VaultError("a person's key opens with none of the vault's keys")

    async def _reload(self) -> None:
        if self._reload_keys is not None:
            self._wrappers = tuple(map(AESGCM, await asyncio.to_thread(self._reload_keys)))


def _opened(wrapper: AESGCM, wrapped: bytes, context: bytes) -> bytes | None:
    try:
        return decrypt(wrapper, wrapped, context)
    except VaultError:
        return None


async def kept_of(reader: AsyncEngine, subject: str, column: ColumnElement[bytes | None]) -> bytes:
    """What the vault keeps of a person in one of its columns.

    Raises:
        ErasedError: it was destroyed.
        VaultError: nobody ever had this pseudonym.
    """
    async with reader.connect() as connection:
        row = (await connection.execute(select(column).where(subjects.c.subject == subject))).one_or_none()
    if row is None:
        raise VaultError("no such person")
    if row[0] is None:  # an erasure empties every column
        raise ErasedError(subject)
    return bytes(row[0])
