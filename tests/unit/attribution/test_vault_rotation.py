"""The vault's key is replaced under living people; a key service may guard it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from attribution.errors import KeyFileError, VaultError
from attribution.key_index import drop_retired
from attribution.key_service import CommandService, PlainFile, service_of
from attribution.keys import KeyRing
from attribution.renewal import VaultKeys, add_vault_key, rotate_image_signer
from attribution.tables import subjects
from attribution.vault import Vault

PROGRAM = """
import base64, sys
data = base64.b64decode(sys.stdin.read())
pad = bytes(b ^ 0x5A for b in data)
assert sys.argv[1] in ("wrap", "unwrap")
print(base64.b64encode(pad).decode())
"""


def vault_in(folder: Path, engine: AsyncEngine, service: PlainFile | CommandService | None = None) -> Vault:
    service = service or PlainFile()
    ring = KeyRing.open(folder, service=service)
    return Vault(
        engine,
        vault_key=ring.vault_key,
        lookup_key=ring.lookup_key,
        reload_keys=VaultKeys(folder, service),
    )


async def test_everybody_is_wrapped_anew_and_other_processes_follow(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    folder = tmp_path / "keys"
    vault, running = vault_in(folder, engine), vault_in(folder, engine)
    ada = await vault.subject("t", "t", "ada", name="Ada")
    sealed = await vault.seal(ada, b"words")
    before = await _wrapped(engine, ada)

    add_vault_key(folder, PlainFile())
    assert len(KeyRing.open(folder).vault_keys) == 2
    bob = await running.subject("t", "t", "bob", name="Bob")  # made while it is under way
    assert await vault.rewrap() == 1  # Bob's key is under the new one already
    assert await vault.rewrap() == 0
    assert await _wrapped(engine, ada) != before
    (old,) = drop_retired(folder, "vault")
    assert not old.exists()

    fresh = vault_in(folder, engine)
    assert await fresh.unseal(ada, sealed) == b"words"
    assert (await fresh.identity(bob)).name == "Bob"
    assert (await running.identity(ada)).name == "Ada"  # with a key ring from before the rotation


async def test_a_rotation_that_was_cut_off_loses_nobody_and_is_finished(
    sqlite_engine: AsyncEngine, tmp_path: Path
) -> None:
    folder = tmp_path / "keys"
    vault = vault_in(folder, sqlite_engine)
    ada = await vault.subject("t", "t", "ada", name="Ada")
    add_vault_key(folder, PlainFile())  # and then the power fails
    again = vault_in(folder, sqlite_engine)
    assert (await again.identity(ada)).name == "Ada"
    assert await again.rewrap() == 1
    drop_retired(folder, "vault")
    drop_retired(folder, "vault")
    assert (await vault_in(folder, sqlite_engine).identity(ada)).name == "Ada"
    (folder / "vault-2.key").unlink()
    with pytest.raises(KeyFileError):
        KeyRing.open(folder)


async def test_a_key_of_a_stranger_changes_nothing(sqlite_engine: AsyncEngine, tmp_path: Path) -> None:
    ada = await vault_in(tmp_path / "keys", sqlite_engine).subject("t", "t", "ada")
    before = await _wrapped(sqlite_engine, ada)
    stranger = vault_in(tmp_path / "other", sqlite_engine)
    with pytest.raises(VaultError, match="none of the vault's keys"):
        await stranger.rewrap()
    assert await _wrapped(sqlite_engine, ada) == before


async def test_a_program_guards_the_key(sqlite_engine: AsyncEngine, tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    ada = await vault_in(folder, sqlite_engine).subject("t", "t", "ada", name="Ada")
    (tmp_path / "kms.py").write_text(PROGRAM)
    service = service_of(shlex.join([sys.executable, str(tmp_path / "kms.py")]))
    add_vault_key(folder, service)
    behind = vault_in(folder, sqlite_engine, service)
    assert await behind.rewrap() == 1
    drop_retired(folder, "vault")

    content = (folder / "vault-2.key").read_bytes()
    assert content.startswith(b"sealed ")
    assert PlainFile().wrap(KeyRing.open(folder, service=service).vault_key).strip() not in content
    assert (await vault_in(folder, sqlite_engine, service).identity(ada)).name == "Ada"
    with pytest.raises(VaultError, match="VERSO_KEYS__COMMAND"):
        KeyRing.open(folder)


@pytest.mark.parametrize(
    "program", ["import sys; sys.exit(3)", "print('no base64!')", "print('')", "print('QUJD')"]
)
def test_a_program_that_fails_stops_the_start(tmp_path: Path, program: str) -> None:
    (tmp_path / "kms.py").write_text(PROGRAM)
    good = CommandService(command=shlex.join([sys.executable, str(tmp_path / "kms.py")]))
    KeyRing.open(tmp_path / "keys", service=good)
    bad = CommandService(command=shlex.join([sys.executable, "-c", program]))
    with pytest.raises((VaultError, KeyFileError)):
        KeyRing.open(tmp_path / "keys", service=bad)
    with pytest.raises(VaultError, match="cannot be asked"):
        CommandService(command=str(tmp_path / "missing")).wrap(bytes(32))


def test_a_new_image_signer_comes_from_the_same_root(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    old = KeyRing.open(folder, organisation="Zorblex")
    path = rotate_image_signer(folder, "Zorblex")
    new = KeyRing.open(folder)
    assert path.name == "c2pa-2.pem"
    assert path.stat().st_mode & 0o077 == 0
    assert new.c2pa_key != old.c2pa_key
    end = b"-----END CERTIFICATE-----"
    assert new.c2pa_chain.strip().split(end)[1].strip() == old.c2pa_chain.strip().split(end)[1].strip()
    retired = [info for info in new.describe() if info.name == "c2pa (retired)"]
    assert [info.path.name for info in retired] == ["c2pa-1.pem"]
    retired[0].path.unlink()
    assert KeyRing.open(folder).c2pa_key == new.c2pa_key


async def _wrapped(engine: AsyncEngine, subject: str) -> bytes:
    async with engine.connect() as connection:
        return await connection.scalar(select(subjects.c.wrapped_key).where(subjects.c.subject == subject))
