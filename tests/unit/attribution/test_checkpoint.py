from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from attribution.checkpoint import (
    Checkpoint,
    VerifierKey,
    open_checkpoint,
    open_note,
    parse_checkpoint,
    parse_note,
    sign_checkpoint,
    sign_note,
)
from attribution.errors import VerificationError

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
ORIGIN = "verso/0123456789abcdef"
VERIFIER = VerifierKey.of(ORIGIN, KEY)
HEAD = Checkpoint(origin=ORIGIN, tree_size=7, root_hash=bytes(range(32)))

# The example in the documentation of Go's golang.org/x/mod/sumdb/note, made by that implementation.
GO_VERIFIER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def test_a_note_that_go_signed_is_accepted() -> None:
    verifier = VerifierKey.parse(GO_VERIFIER)
    assert str(verifier) == GO_VERIFIER
    text, signer = open_note(GO_NOTE, [verifier])
    assert text == GO_NOTE.partition("\n\n")[0] + "\n"
    assert signer == verifier


def test_the_key_of_the_go_checksum_database_is_read() -> None:
    text = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
    assert str(VerifierKey.parse(text)) == text


def test_a_checkpoint_spelled_out_by_hand() -> None:
    public = KEY.public_key().public_bytes_raw()
    key_hash = hashlib.sha256(ORIGIN.encode() + b"\n\x01" + public).digest()[:4]
    body = f"{ORIGIN}\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
    signature = base64.b64encode(key_hash + KEY.sign(body.encode())).decode()
    assert HEAD.body == body
    assert sign_checkpoint(HEAD, KEY) == f"{body}\n— {ORIGIN} {signature}\n"
    encoded = base64.b64encode(b"\x01" + public).decode()
    assert str(VERIFIER) == f"{ORIGIN}+{key_hash.hex()}+{encoded}"


@given(size=st.integers(0, 2**63 - 1), root=st.binary(min_size=32, max_size=32))
def test_every_checkpoint_survives_its_note(size: int, root: bytes) -> None:
    head = Checkpoint(origin=ORIGIN, tree_size=size, root_hash=root, extensions=("more",))
    assert open_checkpoint(sign_checkpoint(head, KEY), [VERIFIER]) == head


@given(data=st.data())
def test_a_note_with_any_character_changed_is_refused(data: st.DataObject) -> None:
    note = sign_checkpoint(HEAD, KEY)
    place = data.draw(st.integers(0, len(note) - 1))
    new = data.draw(st.characters(exclude_characters=note[place]))
    with pytest.raises(VerificationError):
        open_checkpoint(note[:place] + new + note[place + 1 :], [VERIFIER])


@given(st.text(max_size=300))
def test_random_text_never_crashes_the_parsers(text: str) -> None:
    with pytest.raises(VerificationError):
        open_note(text, [VERIFIER])
    with pytest.raises(VerificationError):
        VerifierKey.parse(text)


def test_signers_nobody_asked_for_are_ignored() -> None:
    witness = sign_note(HEAD.body, OTHER, name="witness.example").removeprefix(HEAD.body + "\n")
    note = sign_checkpoint(HEAD, KEY) + witness
    assert len(parse_note(note).signatures) == 2
    assert open_checkpoint(note, [VERIFIER]) == HEAD
    with pytest.raises(VerificationError, match="is of"):
        open_checkpoint(note, [VerifierKey.of("witness.example", OTHER)])
    with pytest.raises(VerificationError, match="no trusted key"):
        open_checkpoint(note, [])


def test_a_wrong_signature_of_a_trusted_key_is_refused_even_beside_a_good_one() -> None:
    bad = sign_note("other\n", KEY, name=ORIGIN).removeprefix("other\n\n")
    with pytest.raises(VerificationError, match="does not hold"):
        open_checkpoint(sign_checkpoint(HEAD, KEY) + bad, [VERIFIER])


def test_a_key_of_the_same_name_does_not_count() -> None:
    with pytest.raises(VerificationError, match="no trusted key"):
        open_checkpoint(sign_checkpoint(HEAD, OTHER), [VERIFIER])


def test_a_rotated_key_verifies_beside_the_old_one() -> None:
    verifiers = [VerifierKey.of(ORIGIN, OTHER), VERIFIER]
    assert open_checkpoint(sign_checkpoint(HEAD, KEY), verifiers) == HEAD
    assert open_checkpoint(sign_checkpoint(HEAD, OTHER), verifiers) == HEAD


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        f"{ORIGIN}\n7\n",
        f"{ORIGIN}\n7\nAAEC\n",
        f"{ORIGIN}\n07\n{'A' * 43}=\n",
        f"{ORIGIN}\n+7\n{'A' * 43}=\n",
        f"{ORIGIN}\n-7\n{'A' * 43}=\n",
        f"{ORIGIN}\n\u0667\n{'A' * 43}=\n",
        f"{ORIGIN}\n{2**63}\n{'A' * 43}=\n",
        f"{ORIGIN}\n{'9' * 5000}\n{'A' * 43}=\n",
        f"{ORIGIN}\n7\n{'A' * 42}B=\n",
        f"{ORIGIN}\n7\n{'A' * 43}=",
        f"\n7\n{'A' * 43}=\n",
        f"{ORIGIN}\n7\n{'A' * 43}=\n\n",
        f"{ORIGIN}\r\n7\n{'A' * 43}=\n",
    ],
)
def test_malformed_checkpoints_are_refused(text: str) -> None:
    with pytest.raises(VerificationError):
        parse_checkpoint(text)


@pytest.mark.parametrize(
    "note",
    [
        "text\n",
        "text\n\n",
        "text\n\n- name AAAAAAAA\n",
        "text\n\n— name\n",
        "text\n\n— na+me AAAAAAAA\n",
        "text\n\n—  AAAAAAAA\n",
        "text\n\n— name AAAA\n",
        "text\n\n— name AAAAAAAA extra\n",
        "text\n\n— name !!!!\n",
        "text\n\n— name AAAAAAAA",
        "te\txt\n\n— name AAAAAAAA\n",
        "te\ud800xt\n\n— name AAAAAAAA\n",
        "text\n\n" + "— name AAAAAAAA\n" * 65,
        "x" * 70_000,
        None,
    ],
)
def test_malformed_notes_are_refused(note: str) -> None:
    with pytest.raises(VerificationError):
        parse_note(note)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+00000000",
        "name+00000000+",
        str(VERIFIER).replace(ORIGIN, "verso/other"),
        str(VERIFIER)[:-4],
        f"{ORIGIN}+{VERIFIER.key_hash.hex().upper()}+" + str(VERIFIER).rpartition("+")[2],
        "x" * 2000,
        "na me+00000000+" + base64.b64encode(b"\x01" + bytes(32)).decode(),
        "name+00000000+" + base64.b64encode(b"\x02" + bytes(32)).decode(),
        None,
    ],
)
def test_malformed_verifier_keys_are_refused(text: str) -> None:
    with pytest.raises(VerificationError):
        VerifierKey.parse(text)


def test_what_a_note_could_not_carry_cannot_be_signed() -> None:
    for build in (
        lambda: sign_note("no newline", KEY, name=ORIGIN),
        lambda: sign_note("text\n", KEY, name="na me"),
        lambda: sign_note("te\x00xt\n", KEY, name=ORIGIN),
        lambda: Checkpoint(origin="", tree_size=0, root_hash=bytes(32)),
        lambda: Checkpoint(origin="a\nb", tree_size=0, root_hash=bytes(32)),
        lambda: Checkpoint(origin="a", tree_size=-1, root_hash=bytes(32)),
        lambda: Checkpoint(origin="a", tree_size=0, root_hash=b""),
        lambda: VerifierKey(name="a", public=b""),
    ):
        with pytest.raises(VerificationError):
            build()
