"""AES-256-GCM with a version byte and bound context: the form of everything the vault encrypts; pure."""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from attribution.errors import VaultError

_VERSION = b"\x01"
_NONCE_BYTES = 12  # NIST SP 800-38D section 8.2.2; random, as each key seals far fewer than 2^32 messages


def encrypt(key: AESGCM, data: bytes, context: bytes) -> bytes:
    """Version byte, random nonce, ciphertext with tag; opens only with the same context."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return _VERSION + nonce + key.encrypt(nonce, data, context)


def decrypt(key: AESGCM, sealed: bytes, context: bytes) -> bytes:
    """Open what `encrypt` gave.

    Raises:
        VaultError: the bytes are damaged, or of another key or context.
    """
    start = len(_VERSION) + _NONCE_BYTES
    if sealed[:1] != _VERSION or len(sealed) < start:
        raise VaultError("sealed bytes of an unknown form")
    try:
        return key.decrypt(sealed[1:start], sealed[start:], context)
    except InvalidTag:
        raise VaultError("sealed bytes that are damaged, or another person's") from None


def bound(what: str, subject: str) -> bytes:
    """The context that binds sealed bytes to their use and their owner."""
    return f"verso/{what}/1/{subject}".encode()
