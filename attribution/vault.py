"""Personal data under one key per person: erasing somebody destroys their key.

A person's key is wrapped by the operator's vault key and stored in the database. Pseudonyms are random: they
can be found from a platform identity only through a keyed hash, and not at all once the row is erased.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from attribution.erasing import destroy
from attribution.errors import ErasedError, LegalHoldError, RecordError, VaultError
from attribution.person_keys import PersonKeys, kept_of
from attribution.record import Opening
from attribution.sealing import bound, decrypt, encrypt
from attribution.tables import holds, openings, subjects

_KEY_BYTES = 32
_MAX_IDENTITY_CHARS = 512
_AT_ONCE = 500  # openings read by one statement


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
        self._lookup_key = lookup_key
        self._now_ms = now_ms
        self._new_id = new_id
        self._keys = PersonKeys(engine, vault_key=vault_key, reload_keys=reload_keys, clock=clock)
        self.rewrap = self._keys.rewrap  # wraps every key by the newest vault key

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
        sealed = await kept_of(self._reader, subject, subjects.c.identity)
        return Identity(**json.loads(await self.unseal(subject, sealed)))

    async def seal(self, subject: str, data: bytes) -> bytes:
        """Encrypt under the person's key; the result opens for this person only.

        Raises:
            ErasedError, VaultError: as `identity`.
        """
        return encrypt(await self._keys.of(subject), data, bound("data", subject))

    async def unseal(self, subject: str, sealed: bytes) -> bytes:
        """Open what `seal` gave.

        Raises:
            ErasedError: the key was destroyed.
            VaultError: the bytes are damaged, or another person's.
        """
        return decrypt(await self._keys.of(subject), sealed, bound("data", subject))

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
        self._keys.forget(subject)
        await destroy(connection, subject, now_ms=self._now_ms())

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

    def opening_rows(self, sealed: Sequence[SealedOpening]) -> list[dict[str, object]]:
        """Sealed openings as rows of `openings`, to be stored with the leaves that commit to them."""
        now = self._now_ms()
        return [
            {"entry_id": one.entry_id, "subject": one.subject, "sealed": one.sealed, "created_ms": now}
            for one in sealed
        ]

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
            values["wrapped_key"] = await self._keys.wrap(subject, key)
            # Two first messages at once: one row wins, both read it.
            await connection.execute(
                dialect.insert(subjects).values(values).on_conflict_do_nothing(index_elements=["lookup"])
            )
            found = await connection.scalar(select(subjects.c.subject).where(subjects.c.lookup == lookup))
        if found is None:
            raise VaultError("the person's row was erased while it was made")
        return str(found)


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
