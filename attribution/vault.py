"""Personal data under one key per person: erasing somebody destroys their key.

A person's key is wrapped by the operator's vault key and stored in the database. Pseudonyms are random: they
can be found from a platform identity only through a keyed hash, and not at all once the row is erased.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from attribution.errors import ErasedError, LegalHoldError, RecordError, VaultError
from attribution.record import Opening
from attribution.sealing import bound, decrypt, encrypt
from attribution.statements import insert_rows
from attribution.tables import holds, openings, subjects

_KEY_BYTES = 32
_MAX_IDENTITY_CHARS = 512
_CACHED_KEYS = 1024
_AT_ONCE = 500  # openings read by one statement
_CACHED_SECONDS = 60.0  # so long may another process still read what this one erased


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Who a pseudonym is."""

    platform: str
    workspace_id: str
    user_id: str  # the platform's own id
    name: str  # display name as last seen; may be empty


@dataclass(frozen=True, kw_only=True, slots=True)
class SealedOpening:
    """The hidden fields of one entry: `Vault.seal` of `Opening.to_bytes`."""

    entry_id: str
    subject: str
    sealed: bytes


class Vault:
    """Seals and opens personal data; knows who a pseudonym is."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        vault_key: bytes,
        lookup_key: bytes,
        reload_keys: Callable[[], Sequence[bytes]] | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        new_id: Callable[[], str] = lambda: secrets.token_hex(16),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`reload_keys` reads the vault's keys anew, newest first: another process may have rotated them."""
        if len(vault_key) != _KEY_BYTES or len(lookup_key) != _KEY_BYTES:
            raise VaultError("the vault's keys have 32 bytes")
        self._engine = engine
        self._reader = engine.execution_options(read_only=True)
        self._wrappers: tuple[AESGCM, ...] = (AESGCM(vault_key),)  # newest first
        self._reload_keys = reload_keys
        self._lookup_key = lookup_key
        self._now_ms = now_ms
        self._new_id = new_id
        self._clock = clock
        self._keys: OrderedDict[str, tuple[AESGCM, float]] = OrderedDict()
        self._never_cache: set[str] = set()  # erased by this process: always ask the database

    async def subject(self, platform: str, workspace_id: str, user_id: str, *, name: str = "") -> str:
        """The pseudonym of a person, made at the first meeting; keeps the display name up to date.

        Raises:
            VaultError: an identity is too long or no valid text.
        """
        identity = Identity(platform=platform, workspace_id=workspace_id, user_id=user_id, name=name)
        lookup = self._lookup(identity)
        known = await self._find(lookup)
        if known is None:
            known = await self._create(lookup, identity)
        if name and (await self.identity(known)).name != name:
            sealed = await self.seal(known, _identity_bytes(identity))
            async with self._engine.begin() as connection:
                await connection.execute(
                    update(subjects)
                    .where(subjects.c.subject == known, subjects.c.erased_ms.is_(None))
                    .values(identity=sealed)
                )
        return known

    async def find(self, platform: str, workspace_id: str, user_id: str) -> str | None:
        """The pseudonym of a person who was met before and not erased."""
        identity = Identity(platform=platform, workspace_id=workspace_id, user_id=user_id, name="")
        return await self._find(self._lookup(identity))

    async def identity(self, subject: str) -> Identity:
        """Who a pseudonym is.

        Raises:
            ErasedError: nobody knows any more.
            VaultError: nobody ever had this pseudonym.
        """
        async with self._reader.connect() as connection:
            row = (
                await connection.execute(
                    select(subjects.c.identity, subjects.c.erased_ms).where(subjects.c.subject == subject)
                )
            ).one_or_none()
        if row is None:
            raise VaultError("no such person")
        if row.erased_ms is not None or row.identity is None:
            raise ErasedError(subject)
        return Identity(**json.loads(await self.unseal(subject, row.identity)))

    async def seal(self, subject: str, data: bytes) -> bytes:
        """Encrypt under the person's key; the result opens for this person only.

        Raises:
            ErasedError, VaultError: as `identity`.
        """
        return encrypt(await self._key(subject), data, bound("data", subject))

    async def unseal(self, subject: str, sealed: bytes) -> bytes:
        """Open what `seal` gave.

        Raises:
            ErasedError: the key was destroyed.
            VaultError: the bytes are damaged, or another person's.
        """
        return decrypt(await self._key(subject), sealed, bound("data", subject))

    async def erased(self, subject: str) -> bool:
        """Whether this person was erased."""
        async with self._reader.connect() as connection:
            found = await connection.scalar(select(subjects.c.erased_ms).where(subjects.c.subject == subject))
        return found is not None

    async def people(self) -> tuple[str, ...]:
        """The pseudonyms of everybody who was not erased."""
        async with self._reader.connect() as connection:
            known = (
                select(subjects.c.subject).where(subjects.c.erased_ms.is_(None)).order_by(subjects.c.subject)
            )
            return tuple(await connection.scalars(known))

    async def erase(self, subject: str, *, connection: AsyncConnection | None = None) -> None:
        """Destroy the person's key, look-up, identity and openings; a second time does nothing.

        On SQLite call `after_erase` once the transaction is committed. Another process may keep the key in
        its memory for up to 60 seconds.

        Raises:
            LegalHoldError: a legal hold forbids it.
            VaultError: nobody ever had this pseudonym.
        """
        if connection is None:
            async with self._engine.begin() as own:
                await self.erase(subject, connection=own)
            return
        row = (
            await connection.execute(
                select(subjects.c.erased_ms).where(subjects.c.subject == subject).with_for_update()
            )
        ).one_or_none()
        if row is None:
            raise VaultError("no such person")
        reason = await connection.scalar(select(holds.c.reason).where(holds.c.subject == subject))
        if reason is not None:
            raise LegalHoldError(subject, (await self.unseal(subject, reason)).decode())
        self._never_cache.add(subject)
        self._keys.pop(subject, None)
        await connection.execute(delete(openings).where(openings.c.subject == subject))
        await connection.execute(
            update(subjects)
            .where(subjects.c.subject == subject, subjects.c.erased_ms.is_(None))
            .values(lookup=None, wrapped_key=None, identity=None, erased_ms=self._now_ms())
        )

    async def hold(self, subject: str, reason: str) -> None:
        """Forbid the erasure until `release_hold`; a newer reason replaces an older one.

        Raises:
            ErasedError, VaultError: as `identity`; or the reason is empty.
        """
        if not reason.strip():
            raise VaultError("a legal hold needs a reason: the person will read it")
        sealed = await self.seal(subject, _utf8(reason))
        async with self._engine.begin() as connection:
            # The person's row is locked first, as `erase` does: a hold never slips past an erasure.
            erased = await connection.scalar(
                select(subjects.c.erased_ms).where(subjects.c.subject == subject).with_for_update()
            )
            if erased is not None:
                raise ErasedError(subject)
            await connection.execute(delete(holds).where(holds.c.subject == subject))
            await connection.execute(
                insert(holds).values(subject=subject, reason=sealed, since_ms=self._now_ms())
            )

    async def held(self, subject: str) -> str | None:
        """The reason of a legal hold, if there is one."""
        async with self._reader.connect() as connection:
            reason = await connection.scalar(select(holds.c.reason).where(holds.c.subject == subject))
        return None if reason is None else (await self.unseal(subject, reason)).decode()

    async def release_hold(self, subject: str) -> bool:
        """End a legal hold; False where there was none."""
        async with self._engine.begin() as connection:
            done = await connection.execute(delete(holds).where(holds.c.subject == subject))
        return done.rowcount > 0

    async def keep(self, connection: AsyncConnection, sealed: Sequence[SealedOpening]) -> None:
        """Store sealed openings inside the caller's transaction."""
        now = self._now_ms()
        rows = [
            {"entry_id": one.entry_id, "subject": one.subject, "sealed": one.sealed, "created_ms": now}
            for one in sealed
        ]
        await insert_rows(connection, openings, rows)

    async def opening(self, entry_id: str) -> Opening | None:
        """The hidden fields and nonces of an entry; None where it has none (any more).

        Raises:
            ErasedError, VaultError: as `unseal`.
        """
        return (await self.openings([entry_id])).get(entry_id)

    async def openings(self, entry_ids: Sequence[str]) -> dict[str, Opening]:
        """The openings of many entries, by entry id; those that have none (any more) are left out.

        Raises:
            ErasedError, VaultError: as `unseal`.
        """
        found: dict[str, Opening] = {}
        for start in range(0, len(entry_ids), _AT_ONCE):
            wanted = openings.c.entry_id.in_(entry_ids[start : start + _AT_ONCE])
            async with self._reader.connect() as connection:
                rows = (await connection.execute(select(openings).where(wanted))).all()
            for row in rows:
                try:
                    found[row.entry_id] = Opening.from_bytes(await self.unseal(row.subject, row.sealed))
                except RecordError:
                    raise VaultError("a stored opening is damaged") from None
        return found

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

    def _lookup(self, identity: Identity) -> str:
        parts = [_utf8(part) for part in (identity.platform, identity.workspace_id, identity.user_id)]
        # Each part with its length: no two identities give the same bytes.
        data = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.new(self._lookup_key, data, hashlib.sha256).hexdigest()

    async def _find(self, lookup: str) -> str | None:
        async with self._reader.connect() as connection:
            found: str | None = await connection.scalar(
                select(subjects.c.subject).where(subjects.c.lookup == lookup)
            )
        return found

    async def _create(self, lookup: str, identity: Identity) -> str:
        subject = self._new_id()
        key = secrets.token_bytes(_KEY_BYTES)
        values = {
            "subject": subject,
            "lookup": lookup,
            "identity": encrypt(AESGCM(key), _identity_bytes(identity), bound("data", subject)),
            "created_ms": self._now_ms(),
        }
        async with self._engine.begin() as connection:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            if dialect is postgresql:
                await connection.execute(text("LOCK TABLE subjects IN ROW EXCLUSIVE MODE"))
            # Only now: whoever wraps all keys anew either waits for this row, or is seen here.
            await self._reload()
            values["wrapped_key"] = encrypt(self._wrappers[0], key, bound("key", subject))
            # Two first messages at once: one row wins, both read it.
            await connection.execute(
                dialect.insert(subjects).values(values).on_conflict_do_nothing(index_elements=["lookup"])
            )
            found = await connection.scalar(select(subjects.c.subject).where(subjects.c.lookup == lookup))
        if found is None:
            raise VaultError("the person's row was erased while it was made")
        return str(found)

    async def _key(self, subject: str) -> AESGCM:
        cached = self._keys.get(subject)
        if cached is not None and self._clock() < cached[1]:
            self._keys.move_to_end(subject)
            return cached[0]
        async with self._reader.connect() as connection:
            row = (
                await connection.execute(
                    select(subjects.c.wrapped_key, subjects.c.erased_ms).where(subjects.c.subject == subject)
                )
            ).one_or_none()
        if row is None:
            raise VaultError("no such person")
        if row.erased_ms is not None or row.wrapped_key is None:
            raise ErasedError(subject)
        key = AESGCM(await self._unwrap(subject, row.wrapped_key))
        if subject not in self._never_cache:
            self._keys[subject] = (key, self._clock() + _CACHED_SECONDS)
            if len(self._keys) > _CACHED_KEYS:
                self._keys.popitem(last=False)
        return key


async def after_erase(engine: AsyncEngine) -> bool:
    """Remove what an erased row leaves in the database's files; False: readers are in the way, call again.

    On SQLite the write-ahead log still holds old pages: it is written back and cut to nothing (the erased
    cells themselves are overwritten by `secure_delete`). On PostgreSQL the table of keys is rewritten; its
    own write-ahead log expires by the server's settings.
    """
    if engine.dialect.name == "postgresql":
        async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            await connection.execute(text("VACUUM (FULL) subjects"))
        return True
    async with engine.connect() as connection:
        # Through the driver: a transaction, which SQLAlchemy would begin, must not be open here.
        driver = (await connection.get_raw_connection()).driver_connection
        if driver is None:
            raise VaultError("the database connection is closed")
        rows = await driver.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
    return not next(iter(rows))[0]


def _opened(wrapper: AESGCM, wrapped: bytes, context: bytes) -> bytes | None:
    try:
        return decrypt(wrapper, wrapped, context)
    except VaultError:
        return None


def _identity_bytes(identity: Identity) -> bytes:
    for part in asdict(identity).values():
        _utf8(part)
    return json.dumps(asdict(identity)).encode()


def _utf8(text_: str) -> bytes:
    if not isinstance(text_, str) or len(text_) > _MAX_IDENTITY_CHARS:
        raise VaultError(f"a text of at most {_MAX_IDENTITY_CHARS} characters was expected")
    try:
        return text_.encode()
    except UnicodeEncodeError:
        raise VaultError("a text holds half of a surrogate pair") from None
