from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from collections.abc import Callable

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from attribution.acceptance import Acceptances
from attribution.errors import ErasedError
from attribution.ledger import Ledger
from attribution.licenses import LicenseCatalog
from attribution.record import EventKind
from attribution.vault import Vault

MakeLedger = Callable[..., Ledger]
APACHE = LicenseCatalog.load().get("Apache-2.0")
MIT = LicenseCatalog.load().get("MIT")
CHANGED = dataclasses.replace(APACHE, output="Something else.")
ORIGIN = {"platform": "discord", "channel": "#art"}


async def a_person(engine: AsyncEngine, a_vault: Callable[..., Vault]) -> str:
    return await a_vault(engine).subject("t", "t", "1", name="n")


async def test_an_acceptance_is_a_leaf_with_the_digest_of_the_text(
    engine: AsyncEngine, a_ledger: MakeLedger, a_vault: Callable[..., Vault]
) -> None:
    ledger = a_ledger(engine)
    acceptances = Acceptances(engine, ledger=ledger)
    subject = await a_person(engine, a_vault)
    assert await acceptances.of(subject, APACHE.id, APACHE.version) is None
    made = await acceptances.accept(subject, APACHE, origin=ORIGIN)
    assert await acceptances.of(subject, APACHE.id, APACHE.version) == made
    stored = await ledger.entry(made.entry_id)
    assert stored is not None
    assert stored.entry.kind is EventKind.TERMS_ACCEPTED
    assert stored.entry.subject == subject
    assert stored.entry.public == {
        "license_id": "Apache-2.0",
        "version": APACHE.version,
        "text_sha256": APACHE.text_sha256,
    }
    opening = await ledger.opening(made.entry_id)
    assert opening is not None
    assert opening.fields == ORIGIN
    text = await acceptances.text(made.text_sha256)
    assert text is not None
    assert hashlib.sha256(text.encode()).hexdigest() == made.text_sha256
    assert await acceptances.text("0" * 64) is None


async def test_accepting_again_changes_nothing(
    sqlite_engine: AsyncEngine, a_ledger: MakeLedger, a_vault: Callable[..., Vault]
) -> None:
    ledger = a_ledger(sqlite_engine)
    acceptances = Acceptances(sqlite_engine, ledger=ledger)
    subject = await a_person(sqlite_engine, a_vault)
    first = await acceptances.accept(subject, APACHE)
    assert await acceptances.accept(subject, APACHE, origin=ORIGIN) == first
    assert await ledger.size() == 1


async def test_two_clicks_at_once_make_one_acceptance(
    engine: AsyncEngine, a_ledger: MakeLedger, a_vault: Callable[..., Vault]
) -> None:
    ledger = a_ledger(engine)
    subject = await a_person(engine, a_vault)
    found = await asyncio.gather(
        *(Acceptances(engine, ledger=ledger).accept(subject, APACHE, origin=ORIGIN) for _ in range(4))
    )
    assert len({one.entry_id for one in found}) == 1
    assert await ledger.size() == 1
    assert (await ledger.audit()).ok


async def test_other_terms_other_people_and_new_versions_are_asked_anew(
    sqlite_engine: AsyncEngine, a_ledger: MakeLedger, a_vault: Callable[..., Vault]
) -> None:
    acceptances = Acceptances(sqlite_engine, ledger=a_ledger(sqlite_engine))
    subject = await a_person(sqlite_engine, a_vault)
    other = await a_vault(sqlite_engine).subject("t", "t", "2")
    await acceptances.accept(subject, APACHE)
    assert await acceptances.of(subject, MIT.id, MIT.version) is None
    assert await acceptances.of(other, APACHE.id, APACHE.version) is None
    assert await acceptances.of(subject, CHANGED.id, CHANGED.version) is None
    changed = await acceptances.accept(subject, CHANGED)
    assert changed.text_sha256 != APACHE.text_sha256
    assert await acceptances.of(subject, APACHE.id, APACHE.version) is not None


async def test_a_withdrawal_is_recorded_once_and_can_be_undone(
    engine: AsyncEngine, a_ledger: MakeLedger, a_vault: Callable[..., Vault]
) -> None:
    ledger = a_ledger(engine)
    acceptances = Acceptances(engine, ledger=ledger, now_ms=lambda: 77)
    subject = await a_person(engine, a_vault)
    assert await acceptances.withdraw(subject) == 0
    first = await acceptances.accept(subject, APACHE)
    await acceptances.accept(subject, MIT)
    assert await acceptances.withdraw(subject, "Apache-2.0") == 1
    assert await acceptances.withdraw(subject, "Apache-2.0") == 0
    assert await acceptances.of(subject, APACHE.id, APACHE.version) is None
    assert await acceptances.of(subject, MIT.id, MIT.version) is not None
    again = await acceptances.accept(subject, APACHE)
    assert (first.round, again.round) == (1, 2)
    assert await acceptances.withdraw(subject) == 2
    history = await acceptances.history(subject)
    assert [(one.license_id, one.round, one.withdrawn_ms) for one in history] == [
        ("Apache-2.0", 1, 77),
        ("MIT", 1, 77),
        ("Apache-2.0", 2, 77),
    ]
    withdrawal = await ledger.entry(history[0].withdrawn_entry_id or "")
    assert withdrawal is not None
    assert withdrawal.entry.kind is EventKind.TERMS_WITHDRAWN
    assert withdrawal.entry.public["accepted_entry"] == first.entry_id
    assert await ledger.size() == 6
    assert (await ledger.audit()).ok


async def test_two_withdrawals_at_once_make_one_leaf(
    engine: AsyncEngine, a_ledger: MakeLedger, a_vault: Callable[..., Vault]
) -> None:
    ledger = a_ledger(engine)
    acceptances = Acceptances(engine, ledger=ledger)
    subject = await a_person(engine, a_vault)
    await acceptances.accept(subject, APACHE)
    ended = await asyncio.gather(*(acceptances.withdraw(subject) for _ in range(3)))
    assert sorted(ended) == [0, 0, 1]
    assert await ledger.size() == 2


async def test_an_erased_person_accepts_nothing(
    sqlite_engine: AsyncEngine, a_ledger: MakeLedger, a_vault: Callable[..., Vault]
) -> None:
    vault = a_vault(sqlite_engine)
    acceptances = Acceptances(sqlite_engine, ledger=a_ledger(sqlite_engine, vault=vault))
    subject = await vault.subject("t", "t", "1")
    await vault.erase(subject)
    with pytest.raises(ErasedError):
        await acceptances.accept(subject, APACHE, origin=ORIGIN)
