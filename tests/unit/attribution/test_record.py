from __future__ import annotations

import hashlib
import hmac
import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from attribution.errors import RecordError, VerificationError
from attribution.record import Entry, EventKind, Opening, canonical, commit, commitment, parse

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
PUBLIC = st.dictionaries(NAMES, TEXTS | INTEGERS, max_size=6)

GOOD = {
    "kind": EventKind.JOB_ACCEPTED,
    "id": "0123456789abcdef",
    "at_ms": 1_750_000_000_000,
    "subject": "00112233445566778899aabbccddeeff",
    "public": {"seed": 7, "job_id": "j1"},
    "commitments": {"prompt": "ab" * 32},
}
# The bytes of version 1, spelled out: should this test ever fail, old ledgers can no longer be verified.
LEAF = (
    b'{"at_ms":1750000000000,"commitments":{"prompt":"' + b"ab" * 32 + b'"},"id":"0123456789abcdef",'
    b'"kind":"job_accepted","public":{"job_id":"j1","seed":7},'
    b'"subject":"00112233445566778899aabbccddeeff","version":1}'
)


def test_the_bytes_of_a_leaf_are_final() -> None:
    assert canonical(Entry(**GOOD)) == LEAF
    assert parse(LEAF) == Entry(**GOOD)


def test_a_commitment_is_an_hmac_over_name_zero_and_value() -> None:
    nonce = bytes(range(32))
    expected = hmac.new(nonce, b"prompt\x00ein \xc3\x84pfel", hashlib.sha256).hexdigest()
    assert commitment("prompt", "ein Äpfel", nonce) == expected
    assert Opening(fields={"prompt": "ein Äpfel"}, nonces={"prompt": nonce}).commitments == {
        "prompt": expected
    }


@given(kind=st.sampled_from(EventKind), public=PUBLIC, at_ms=st.integers(0, 2**53 - 1))
def test_every_entry_survives_its_bytes(kind: EventKind, public: dict[str, str | int], at_ms: int) -> None:
    entry = Entry(kind=kind, id="ab" * 8, at_ms=at_ms, subject="", public=public)
    assert parse(canonical(entry)) == entry


@given(
    public=st.dictionaries(NAMES, st.text(st.characters(max_codepoint=127)) | TEXTS | INTEGERS, max_size=6)
)
def test_leaves_are_what_an_implementation_of_rfc_8785_writes(public: dict[str, str | int]) -> None:
    leaf = canonical(Entry(kind=EventKind.POSTED, id="ab" * 8, at_ms=2**53 - 1, subject="", public=public))
    assert leaf == rfc8785.dumps(json.loads(leaf))


def test_every_character_is_written_as_rfc_8785_writes_it() -> None:
    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF]
    for start in range(0, len(characters), 512):
        text = "".join(characters[start : start + 512])
        leaf = canonical(
            Entry(kind=EventKind.POSTED, id="ab" * 8, at_ms=0, subject="", public={"text": text})
        )
        assert rfc8785.dumps(text) in leaf


@given(fields=st.dictionaries(NAMES, TEXTS, max_size=6))
def test_every_opening_survives_its_bytes_and_opens_its_entry(fields: dict[str, str]) -> None:
    opening = commit(fields)
    again = Opening.from_bytes(opening.to_bytes())
    assert again == opening
    entry = Entry(kind=EventKind.POSTED, id="ab" * 8, at_ms=0, subject="", commitments=opening.commitments)
    again.check(entry)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": True},
        {"kind": "job_accepted"},
        {"id": "0123"},
        {"id": "0123456789ABCDEF"},
        {"at_ms": -1},
        {"at_ms": 1.5},
        {"at_ms": True},
        {"at_ms": 2**53},
        {"subject": "somebody"},
        {"public": {"Name": 1}},
        {"public": {"": 1}},
        {"public": {"a": 2**53}},
        {"public": {"a": -(2**53)}},
        {"public": {"a": 1.0}},
        {"public": {"a": True}},
        {"public": {"a": None}},
        {"public": {"a": "x" * 513}},
        {"public": {"a": "\ud800"}},
        {"public": {1: "a"}},
        {"public": []},
        {"public": {f"f{number}": 1 for number in range(33)}},
        {"public": {"prompt": "also hidden"}},
        {"commitments": {"prompt": "ab"}},
        {"commitments": {"prompt": "AB" * 32}},
        {"commitments": {"Prompt": "ab" * 32}},
    ],
)
def test_a_malformed_entry_cannot_be_built(change: dict[str, object]) -> None:
    with pytest.raises(RecordError):
        Entry(**{**GOOD, **change})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff",
        "text",
        LEAF + b"\n",
        b" " + LEAF,
        LEAF.replace(b'"seed":7', b'"seed":7.0'),
        LEAF.replace(b'"seed":7', b'"seed": 7'),
        LEAF.replace(b'"seed":7', b'"seed":7,"seed":7'),
        LEAF.replace(b'"version":1', b'"version":true'),
        LEAF.replace(b'"version":1', b'"version":2'),
        LEAF.replace(b'"version":1', b'"extra":1,"version":1'),
        LEAF.replace(b"job_accepted", b"job_done"),
        LEAF.replace(b'"kind":"job_accepted"', b'"kind":7'),
        LEAF.replace(b'"j1"', b'"\\ud800"'),
        LEAF.replace(b'"j1"', b'"\\u006a1"'),
        LEAF.replace(b'"job_id":"j1","seed":7', b'"seed":7,"job_id":"j1"'),
        LEAF.replace(b"1750000000000", b"9" * 5000),
        LEAF.replace(b'"seed":7', b'"seed":NaN'),
        b"[" * 16_000,
        b'{"a":' * 3_000,
        b"x" * 16_385,
    ],
)
def test_only_canonical_leaves_are_read(data: bytes) -> None:
    with pytest.raises(RecordError):
        parse(data)


@given(st.binary(max_size=200))
def test_random_bytes_never_crash_the_parser(data: bytes) -> None:
    with pytest.raises(RecordError):
        parse(data)


def test_a_leaf_stays_below_sixteen_kibibytes() -> None:
    public = {f"f{number}": "x" * 512 for number in range(32)}
    with pytest.raises(RecordError, match="16384 bytes"):
        canonical(Entry(**{**GOOD, "public": public}))


def test_an_entry_does_not_change_with_the_callers_mapping() -> None:
    public: dict[str, str | int] = {"a": 1}
    entry = Entry(**{**GOOD, "public": public})
    public["a"] = 2
    assert entry.public == {"a": 1}


def test_an_opening_that_is_not_the_entrys_is_refused() -> None:
    opening = commit({"prompt": "a", "name": "b"})
    entry = Entry(**{**GOOD, "public": {}, "commitments": opening.commitments})
    opening.check(entry)
    for fields in ({"prompt": "x", "name": "b"}, {"prompt": "a"}, {"prompt": "a", "name": "b", "more": ""}):
        forged = Opening(fields=fields, nonces={name: opening.nonces.get(name, bytes(32)) for name in fields})
        with pytest.raises(VerificationError):
            forged.check(entry)
    swapped = Opening(
        fields=opening.fields,
        nonces={"prompt": opening.nonces["name"], "name": opening.nonces["prompt"]},
    )
    with pytest.raises(VerificationError):
        swapped.check(entry)


def test_the_same_words_give_other_commitments_each_time() -> None:
    assert commit({"prompt": "a"}).commitments != commit({"prompt": "a"}).commitments
    assert "secret" not in repr(Opening(fields={"a": "b"}, nonces={"a": b"secret".ljust(32)}))


@pytest.mark.parametrize(
    ("fields", "nonces"),
    [
        ({"a": "x"}, {}),
        ({}, {"a": bytes(32)}),
        ({"a": "x"}, {"a": bytes(31)}),
        ({"a": "x"}, {"a": "0" * 32}),
        ({"A": "x"}, {"A": bytes(32)}),
        ({"a": 7}, {"a": bytes(32)}),
        ({"a": "\ud800"}, {"a": bytes(32)}),
        ({"a": "x" * 65_537}, {"a": bytes(32)}),
        ([], []),
    ],
)
def test_a_malformed_opening_cannot_be_built(fields: object, nonces: object) -> None:
    with pytest.raises(RecordError):
        Opening(fields=fields, nonces=nonces)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"fields": {}, "nonces": {}, "more": 1},
        {"fields": {"a": "x"}, "nonces": {"a": "zz" * 32}},
        {"fields": {"a": "x"}, "nonces": {"a": 7}},
        {"fields": {"a": 7}, "nonces": {"a": "00" * 32}},
        {"fields": "x", "nonces": {}},
    ],
)
def test_malformed_bytes_are_no_opening(value: object) -> None:
    with pytest.raises(RecordError):
        Opening.from_bytes(json.dumps(value).encode())
