"""A file that opens with a passphrase in any OpenSSL, years from now and without Verso.

The format is that of `openssl enc`: "Salted__", 8 bytes of salt, AES-256-CBC with PKCS #7 padding; key and
IV by PBKDF2-HMAC-SHA256. It keeps a secret and does not prove who wrote it: compare the digests inside.
"""

from __future__ import annotations

import secrets

from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

ITERATIONS = 600_000
OPEN_WITH = f"openssl enc -d -aes-256-cbc -md sha256 -pbkdf2 -iter {ITERATIONS} -in FILE -out case.zip"
_SALT, _KEY, _IV = 8, 32, 16


def lock(data: bytes, passphrase: str) -> bytes:
    """Encrypt `data`; `OPEN_WITH` is the command that opens the result."""
    salt = secrets.token_bytes(_SALT)
    derived = PBKDF2HMAC(hashes.SHA256(), _KEY + _IV, salt, ITERATIONS).derive(passphrase.encode())
    padder = padding.PKCS7(algorithms.AES.block_size).padder()
    encryptor = Cipher(algorithms.AES(derived[:_KEY]), modes.CBC(derived[_KEY:])).encryptor()
    padded = padder.update(data) + padder.finalize()
    return b"Salted__" + salt + encryptor.update(padded) + encryptor.finalize()
