"""Builders for the record's tests."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.ext.asyncio import AsyncEngine

from attribution.ledger import Ledger
from attribution.signing import LedgerKeys
from attribution.vault import Vault

VAULT_KEY = bytes(range(32))
LOOKUP_KEY = bytes(range(32, 64))
ORIGIN = "verso/0123456789abcdef"
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(64, 96)))


@pytest.fixture
def a_vault() -> Callable[..., Vault]:
    def build(engine: AsyncEngine, **changes: object) -> Vault:
        return Vault(engine, **{"vault_key": VAULT_KEY, "lookup_key": LOOKUP_KEY, **changes})

    return build


@pytest.fixture
def a_ledger(a_vault: Callable[..., Vault]) -> Callable[..., Ledger]:
    def build(engine: AsyncEngine, **changes: object) -> Ledger:
        clock = itertools.count(1_750_000_000_000)
        keys = LedgerKeys(origin=ORIGIN, signer=SIGNER)
        arguments = {"keys": keys, "vault": None, "now_ms": lambda: next(clock)}
        arguments.update(changes)
        arguments["vault"] = arguments["vault"] or a_vault(engine)
        return Ledger(engine, **arguments)

    return build
