from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from attribution.erasing import after_erase
from attribution.errors import ErasedError, LegalHoldError, VaultError
from attribution.ledger import Ledger
from attribution.record import EventKind
from attribution.tables import openings, subjects
from attribution.vault import Identity, Vault

MakeVault = Callable[..., Vault]
NAME = "Wilhelmina Quatermain"
PROMPT = "a lighthouse of glass above a violet sea, in the style of nobody"


async def test_a_person_keeps_one_pseudonym_and_identity(engine: AsyncEngine, a_vault: MakeVault) -> None:
    vault = a_vault(engine)
    subject = await vault.subject("discord", "discord:1", "42", name=NAME)
    assert len(subject) == 32
    assert await vault.subject("discord", "discord:1", "42") == subject
    assert await a_vault(engine).find("discord", "discord:1", "42") == subject
    assert await vault.identity(subject) == Identity(
        platform="discord", workspace_id="discord:1", user_id="42", name=NAME
    )


async def test_a_new_display_name_is_kept_and_an_empty_one_changes_nothing(
    sqlite_engine: AsyncEngine, a_vault: MakeVault
) -> None:
    vault = a_vault(sqlite_engine)
    subject = await vault.subject("slack", "slack:T1", "U1", name="old")
    await vault.subject("slack", "slack:T1", "U1", name="new")
    await vault.subject("slack", "slack:T1", "U1")
    assert (await vault.identity(subject)).name == "new"


async def test_identities_that_join_to_the_same_text_are_different_people(
    sqlite_engine: AsyncEngine, a_vault: MakeVault
) -> None:
    vault = a_vault(sqlite_engine)
    first = await vault.subject("discord", "1", "23")
    second = await vault.subject("discord", "12", "3")
    assert first != second
    assert await vault.find("discor", "d1", "23") is None


async def test_two_first_messages_at_once_make_one_person(engine: AsyncEngine, a_vault: MakeVault) -> None:
    vaults = [a_vault(engine) for _ in range(4)]
    found = await asyncio.gather(*(vault.subject("discord", "1", "42", name="x") for vault in vaults))
    assert len(set(found)) == 1


async def test_sealed_data_opens_for_its_owner_only(sqlite_engine: AsyncEngine, a_vault: MakeVault) -> None:
    vault = a_vault(sqlite_engine)
    one, two = [await vault.subject("t", "t", user) for user in ("1", "2")]
    sealed = await vault.seal(one, b"secret")
    assert await a_vault(sqlite_engine).unseal(one, sealed) == b"secret"
    with pytest.raises(VaultError):
        await vault.unseal(two, sealed)
    assert await vault.seal(one, b"secret") != sealed  # a fresh nonce each time


@pytest.mark.parametrize("place", [0, 1, 13, -1])
async def test_a_flipped_bit_is_refused(sqlite_engine: AsyncEngine, a_vault: MakeVault, place: int) -> None:
    vault = a_vault(sqlite_engine)
    subject = await vault.subject("t", "t", "1")
    sealed = bytearray(await vault.seal(subject, b"secret"))
    sealed[place] ^= 1
    with pytest.raises(VaultError):
        await vault.unseal(subject, bytes(sealed))
    for short in (b"", b"\x01", b"\x01" + bytes(12)):
        with pytest.raises(VaultError):
            await vault.unseal(subject, short)


async def test_a_wrapped_key_moved_to_another_person_does_not_open(
    sqlite_engine: AsyncEngine, a_vault: MakeVault
) -> None:
    vault = a_vault(sqlite_engine)
    one, two = [await vault.subject("t", "t", user) for user in ("1", "2")]
    async with sqlite_engine.begin() as connection:
        key = await connection.scalar(select(subjects.c.wrapped_key).where(subjects.c.subject == one))
        await connection.execute(update(subjects).where(subjects.c.subject == two).values(wrapped_key=key))
    with pytest.raises(VaultError):
        await a_vault(sqlite_engine).seal(two, b"x")


async def test_another_operators_key_opens_nothing(sqlite_engine: AsyncEngine, a_vault: MakeVault) -> None:
    subject = await a_vault(sqlite_engine).subject("t", "t", "1")
    with pytest.raises(VaultError):
        await a_vault(sqlite_engine, vault_key=bytes(32)).identity(subject)
    with pytest.raises(VaultError):
        a_vault(sqlite_engine, vault_key=b"short")


async def test_unknown_people_and_malformed_texts_are_vault_errors(
    sqlite_engine: AsyncEngine, a_vault: MakeVault
) -> None:
    vault = a_vault(sqlite_engine)
    for attempt in (
        vault.seal("0" * 32, b""),
        vault.identity("0" * 32),
        vault.erase("0" * 32),
        vault.hold("0" * 32, "because"),
        vault.subject("t", "t", "\ud800"),
        vault.subject("t", "t", "x" * 513),
        vault.subject("t", "t", "1", name="x" * 513),
    ):
        with pytest.raises(VaultError):
            await attempt


async def test_an_erased_person_is_gone_at_once_and_comes_back_as_somebody_new(
    engine: AsyncEngine, a_vault: MakeVault
) -> None:
    vault, other_process = a_vault(engine), a_vault(engine)
    subject = await vault.subject("discord", "1", "42", name=NAME)
    sealed = await vault.seal(subject, b"secret")
    assert not await vault.erased(subject)
    await vault.erase(subject)
    await vault.erase(subject)
    assert await vault.erased(subject)
    for one in (vault, other_process):
        for attempt in (one.seal(subject, b""), one.unseal(subject, sealed), one.identity(subject)):
            with pytest.raises(ErasedError):
                await attempt
    with pytest.raises(ErasedError):
        await vault.hold(subject, "too late")
    assert await vault.find("discord", "1", "42") is None
    assert await vault.subject("discord", "1", "42") != subject


async def test_another_process_forgets_a_cached_key_within_a_minute(
    sqlite_engine: AsyncEngine, a_vault: MakeVault
) -> None:
    now = [0.0]
    vault, other_process = a_vault(sqlite_engine), a_vault(sqlite_engine, clock=lambda: now[0])
    subject = await vault.subject("t", "t", "1")
    sealed = await other_process.seal(subject, b"secret")
    await vault.erase(subject)
    assert await other_process.unseal(subject, sealed) == b"secret"
    now[0] = 60.0
    with pytest.raises(ErasedError):
        await other_process.unseal(subject, sealed)


async def test_an_erasure_that_is_rolled_back_erases_nothing(engine: AsyncEngine, a_vault: MakeVault) -> None:
    vault = a_vault(engine)
    subject = await vault.subject("t", "t", "1", name=NAME)
    sealed = await vault.seal(subject, b"secret")
    async with engine.connect() as connection:
        await vault.erase(subject, connection=connection)
        # Another task of this process reads, and so loads the key again, before the erasure is committed.
        assert await vault.unseal(subject, sealed) == b"secret"
        await connection.rollback()
    assert await vault.unseal(subject, sealed) == b"secret"
    async with engine.begin() as connection:
        await vault.erase(subject, connection=connection)
        assert await vault.unseal(subject, sealed) == b"secret"
    with pytest.raises(ErasedError):
        await vault.unseal(subject, sealed)


async def test_a_legal_hold_stops_the_erasure_and_says_why(engine: AsyncEngine, a_vault: MakeVault) -> None:
    vault = a_vault(engine)
    subject = await vault.subject("t", "t", "1")
    assert await vault.held(subject) is None
    await vault.hold(subject, "first")
    await vault.hold(subject, "image 12 is disputed in court")
    assert await vault.held(subject) == "image 12 is disputed in court"
    with pytest.raises(LegalHoldError, match="image 12 is disputed") as caught:
        await vault.erase(subject)
    assert caught.value.reason == "image 12 is disputed in court"
    assert not await vault.erased(subject)
    assert await vault.release_hold(subject)
    assert not await vault.release_hold(subject)
    await vault.erase(subject)
    assert await vault.erased(subject)
    with pytest.raises(VaultError):
        await vault.hold(subject, " ")


async def test_the_cache_of_keys_stays_small(
    sqlite_engine: AsyncEngine, a_vault: MakeVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attribution.person_keys._CACHED_KEYS", 2)
    vault = a_vault(sqlite_engine)
    people = [await vault.subject("t", "t", str(number)) for number in range(4)]
    sealed = [await vault.seal(person, b"x") for person in people]
    assert len(vault._keys._keys) == 2
    assert [await vault.unseal(*pair) for pair in zip(people, sealed, strict=True)] == [b"x"] * 4


async def test_after_erasure_the_files_hold_nothing_of_the_person(
    sqlite_engine: AsyncEngine, tmp_path: Path, a_vault: MakeVault, a_ledger: Callable[..., Ledger]
) -> None:
    vault = a_vault(sqlite_engine)
    ledger = a_ledger(sqlite_engine, vault=vault)
    subject = await vault.subject("discord", "discord:777", "user-id-31337", name=NAME)
    other = await vault.subject("discord", "discord:777", "somebody-else")
    receipt = await ledger.append(
        EventKind.PROMPT_SUBMITTED, subject=subject, private={"prompt": PROMPT, "name": NAME}
    )
    kept = await ledger.append(EventKind.PROMPT_SUBMITTED, subject=other, private={"prompt": PROMPT})
    async with sqlite_engine.connect() as connection:
        wrapped, lookup, identity = (
            await connection.execute(
                select(subjects.c.wrapped_key, subjects.c.lookup, subjects.c.identity).where(
                    subjects.c.subject == subject
                )
            )
        ).one()
        opening = await connection.scalar(
            select(openings.c.sealed).where(openings.c.entry_id == receipt.entry_id)
        )
    key = vault._keys._keys[subject]
    raw_traces = [wrapped, wrapped[13:29], lookup.encode(), identity, opening, opening[20:60]]
    assert all(any(trace in data for data in _files(tmp_path)) for trace in raw_traces)  # the probe works

    await vault.erase(subject)
    assert await after_erase(sqlite_engine)

    del key
    personal = [NAME.encode(), PROMPT.encode(), b"user-id-31337", NAME.encode("utf-16-le")]
    for data in _files(tmp_path):
        for trace in [*raw_traces, *personal]:
            assert trace not in data
    assert (await ledger.audit()).ok
    assert await ledger.opening(receipt.entry_id) is None
    remaining = await ledger.opening(kept.entry_id)
    assert remaining is not None
    assert remaining.fields == {"prompt": PROMPT}


async def test_after_erase_says_when_a_reader_is_in_the_way(
    tmp_path: Path, sqlite_engine: AsyncEngine, a_vault: MakeVault
) -> None:
    vault = a_vault(sqlite_engine)
    subject = await vault.subject("t", "t", "1")
    async with sqlite_engine.execution_options(read_only=True).connect() as reader:
        await reader.execute(select(subjects))
        await vault.erase(subject)
        async with sqlite_engine.connect() as waiting:
            driver = (await waiting.get_raw_connection()).driver_connection
            assert driver is not None
            await driver.execute("PRAGMA busy_timeout = 0")
        assert not await after_erase(sqlite_engine)
    assert await after_erase(sqlite_engine)
    assert (tmp_path / "verso.db-wal").stat().st_size == 0


async def test_after_erase_works_on_each_database(engine: AsyncEngine, a_vault: MakeVault) -> None:
    vault = a_vault(engine)
    kept = await vault.subject("t", "t", "1", name=NAME)
    await vault.erase(await vault.subject("t", "t", secrets.token_hex(4)))
    assert await after_erase(engine)
    assert (await vault.identity(kept)).name == NAME


def _files(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.glob("verso.db*")]
