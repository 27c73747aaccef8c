"""A locked file opens with its passphrase, by the rules of `openssl enc`."""

from __future__ import annotations

import contextlib

import pytest
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from bot.locked_file import ITERATIONS, OPEN_WITH, lock


def unlock(data: bytes, passphrase: str) -> bytes:
    assert data[:8] == b"Salted__"
    derived = PBKDF2HMAC(hashes.SHA256(), 48, data[8:16], ITERATIONS).derive(passphrase.encode())
    decryptor = Cipher(algorithms.AES(derived[:32]), modes.CBC(derived[32:])).decryptor()
    unpadder = padding.PKCS7(128).unpadder()
    return unpadder.update(decryptor.update(data[16:]) + decryptor.finalize()) + unpadder.finalize()


@pytest.mark.parametrize("data", [b"", b"x", b"16 bytes exactly", bytes(1000)])
def test_it_opens(data):
    assert unlock(lock(data, "correct horse"), "correct horse") == data


def test_it_does_not_open_otherwise_and_never_looks_the_same():
    one, two = lock(bytes(100), "correct horse"), lock(bytes(100), "correct horse")
    assert one != two
    with contextlib.suppress(ValueError):  # a wrong key gives a valid padding once in 256 times
        assert unlock(one, "battery staple") != bytes(100)
    assert f"-iter {ITERATIONS}" in OPEN_WITH
