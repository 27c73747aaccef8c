"""One entry of the record: its canonical bytes, and the commitments inside it.

The format is described for outsiders in `docs/leaf-format.md`. It is final: version 1 never changes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from attribution.errors import RecordError, VerificationError

VERSION = 1
NONCE_BYTES = 32
MAX_LEAF_BYTES = 16_384
MAX_FIELDS = 32
MAX_PUBLIC_CHARS = 512
MAX_PRIVATE_CHARS = 65_536
MAX_INTEGER = 2**53 - 1  # RFC 8785 numbers are IEEE doubles: larger integers are not exact

_ID = re.compile(r"[0-9a-f]{16}")
_SUBJECT = re.compile(r"[0-9a-f]{32}|")  # empty: an event of the house, not of a person
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_KEYS = {"version", "kind", "id", "at_ms", "subject", "public", "commitments"}


class EventKind(StrEnum):
    """What can be recorded."""

    TERMS_ACCEPTED = "terms_accepted"
    TERMS_WITHDRAWN = "terms_withdrawn"
    PROMPT_SUBMITTED = "prompt_submitted"
    PROMPT_HELD = "prompt_held"
    PROMPT_BLOCKED = "prompt_blocked"
    APPEAL_OPENED = "appeal_opened"
    APPEAL_DECIDED = "appeal_decided"
    JOB_ACCEPTED = "job_accepted"
    IMAGE_RELEASED = "image_released"
    CANDIDATE_SHOWN = "candidate_shown"
    CANDIDATE_CHOSEN = "candidate_chosen"
    EDIT_APPLIED = "edit_applied"
    POSTED = "posted"
    DELETED = "deleted"
    LOOKED_UP = "looked_up"
    EVIDENCE_EXPORTED = "evidence_exported"
    ERASED = "erased"
    TAKE_DOWN = "take_down"
    JOBS_CANCELLED = "jobs_cancelled"
    POLICY_CHANGED = "policy_changed"
    KEY_ROTATED = "key_rotated"
    LEDGER_RESTORED = "ledger_restored"


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One recorded event; an instance is always well-formed.

    `public` holds facts that anybody may read, `commitments` hides the others: name -> 64 hex digits.

    Raises:
        RecordError: a field has the wrong type, size or form.
    """

    version: int = VERSION
    kind: EventKind
    id: str  # 16 hex digits
    at_ms: int  # Unix milliseconds, as the operator's clock told them
    subject: str  # 32 hex digits: the pseudonym; empty for an event of the house
    public: Mapping[str, str | int] = field(default_factory=dict)
    commitments: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what is malformed, and keep copies that the caller cannot change."""
        if not _is_integer(self.version) or self.version != VERSION:
            raise RecordError(f"unknown entry version {self.version!r}")
        if not isinstance(self.kind, EventKind):
            raise RecordError("the kind of an entry must be one of EventKind")
        if not _is_integer(self.at_ms) or not 0 <= self.at_ms <= MAX_INTEGER:
            raise RecordError("the time of an entry must be Unix milliseconds")
        _require(self.id, _ID, "the id of an entry must be 16 hex digits")
        _require(self.subject, _SUBJECT, "the subject of an entry must be 32 hex digits")
        object.__setattr__(self, "public", _checked_public(self.public))
        object.__setattr__(self, "commitments", _checked_commitments(self.commitments))
        if self.public.keys() & self.commitments.keys():
            raise RecordError("a field is public or hidden, not both")


@dataclass(frozen=True, kw_only=True, slots=True)
class Opening:
    """The hidden fields of one entry with the nonces that open their commitments.

    Raises:
        RecordError: a field is malformed or has no nonce of 32 bytes.
    """

    fields: Mapping[str, str]
    nonces: Mapping[str, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what is malformed."""
        fields, nonces = _mapping(self.fields), _mapping(self.nonces)
        if fields.keys() != nonces.keys():
            raise RecordError("every hidden field needs exactly one nonce")
        for name, value in fields.items():
            _require(name, _NAME, "a field's name must be lower-case letters, digits and underscores")
            _encoded(value, MAX_PRIVATE_CHARS)
            nonce = nonces[name]
            if not isinstance(nonce, bytes) or len(nonce) != NONCE_BYTES:
                raise RecordError("a nonce must be 32 bytes")
        object.__setattr__(self, "fields", fields)
        object.__setattr__(self, "nonces", nonces)

    @property
    def commitments(self) -> dict[str, str]:
        """Name -> hex of HMAC-SHA256(nonce, name, 0x00, UTF-8 value)."""
        return {name: commitment(name, value, self.nonces[name]) for name, value in self.fields.items()}

    def check(self, entry: Entry) -> None:
        """Check that these fields are what the entry committed to.

        Raises:
            VerificationError: a field is missing, added or altered.
        """
        mine, theirs = self.commitments, entry.commitments
        for name in sorted(mine.keys() | theirs.keys()):
            if name not in mine or name not in theirs:
                raise VerificationError(f"the hidden field {name!r} is on one side only")
            if not hmac.compare_digest(mine[name], theirs[name]):
                raise VerificationError(f"the hidden field {name!r} is not what was committed to")

    def to_bytes(self) -> bytes:
        """Serialize as JSON; nothing is hashed here, so any spelling would do."""
        nonces = {name: nonce.hex() for name, nonce in self.nonces.items()}
        value = {"fields": dict(self.fields), "nonces": nonces}
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Opening:
        """Read what `to_bytes` wrote.

        Raises:
            RecordError: the bytes are no opening.
        """
        value = _json_object(data, limit=MAX_FIELDS * (6 * MAX_PRIVATE_CHARS + 200))
        if value.keys() != {"fields", "nonces"}:
            raise RecordError("an opening has exactly fields and nonces")
        fields, nonces = _mapping(value["fields"]), _mapping(value["nonces"])
        for nonce in nonces.values():
            _require(nonce, _DIGEST, "a nonce must be 64 hex digits")
        return cls(
            fields={name: _text(text) for name, text in fields.items()},
            nonces={name: bytes.fromhex(_text(nonce)) for name, nonce in nonces.items()},
        )


def commitment(name: str, value: str, nonce: bytes) -> str:
    """Hex of HMAC-SHA256(key=nonce, name || 0x00 || UTF-8 value): hides the value, binds to it."""
    data = name.encode() + b"\x00" + _encoded(value, MAX_PRIVATE_CHARS)
    return hmac.new(nonce, data, hashlib.sha256).hexdigest()


def commit(fields: Mapping[str, str]) -> Opening:
    """Draw a fresh nonce for each field.

    Raises:
        RecordError: a field is malformed.
    """
    return Opening(fields=fields, nonces={name: secrets.token_bytes(NONCE_BYTES) for name in fields})


def canonical(entry: Entry) -> bytes:
    """The bytes of the leaf: RFC 8785 JSON.

    Raises:
        RecordError: the leaf would be larger than 16 KiB.
    """
    value = {
        "version": entry.version,
        "kind": entry.kind.value,
        "id": entry.id,
        "at_ms": entry.at_ms,
        "subject": entry.subject,
        "public": entry.public,
        "commitments": entry.commitments,
    }
    # With ASCII names, texts and integers below 2^53, the standard library writes RFC 8785, and ten times
    # as fast as a general implementation; a property test compares the two.
    data = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    if len(data) > MAX_LEAF_BYTES:
        raise RecordError(f"a leaf may have {MAX_LEAF_BYTES} bytes, this one has {len(data)}")
    return data


def parse(data: bytes) -> Entry:
    """Read a leaf; only the canonical bytes of a well-formed entry are accepted.

    Raises:
        RecordError: anything else.
    """
    value = _json_object(data, limit=MAX_LEAF_BYTES)
    if value.keys() != _KEYS:
        raise RecordError("a leaf has exactly " + ", ".join(sorted(_KEYS)))
    try:
        kind = EventKind(_text(value["kind"]))
    except ValueError:
        raise RecordError("unknown kind of entry") from None
    entry = Entry(
        version=_integer(value["version"]),
        kind=kind,
        id=_text(value["id"]),
        at_ms=_integer(value["at_ms"]),
        subject=_text(value["subject"]),
        public=_checked_public(_mapping(value["public"])),
        commitments=_checked_commitments(_mapping(value["commitments"])),
    )
    if canonical(entry) != data:
        raise RecordError("a leaf must be canonical JSON (RFC 8785)")
    return entry


def _json_object(data: bytes, *, limit: int) -> dict[str, object]:
    if not isinstance(data, bytes) or len(data) > limit:
        raise RecordError(f"expected at most {limit} bytes")
    try:
        value = json.loads(data.decode())
    except (ValueError, RecursionError):
        raise RecordError("not JSON in UTF-8") from None
    return _mapping(value)


def _mapping(value: object) -> dict[str, object]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise RecordError("expected an object with text keys")
    if len(value) > MAX_FIELDS:
        raise RecordError(f"at most {MAX_FIELDS} fields")
    return dict(value)


def _checked_public(value: object) -> dict[str, str | int]:
    checked: dict[str, str | int] = {}
    for name, fact in _mapping(value).items():
        _require(name, _NAME, "a field's name must be lower-case letters, digits and underscores")
        if _is_integer(fact):
            number = _integer(fact)
            if abs(number) > MAX_INTEGER:
                raise RecordError(f"the public field {name!r} is too large a number")
            checked[name] = number
        else:
            _encoded(fact, MAX_PUBLIC_CHARS)
            checked[name] = _text(fact)
    return checked


def _checked_commitments(value: object) -> dict[str, str]:
    checked: dict[str, str] = {}
    for name, digest in _mapping(value).items():
        _require(name, _NAME, "a field's name must be lower-case letters, digits and underscores")
        _require(digest, _DIGEST, "a commitment must be 64 hex digits")
        checked[name] = _text(digest)
    return checked


def _encoded(value: object, limit: int) -> bytes:
    text = _text(value)
    if len(text) > limit:
        raise RecordError(f"a text may have {limit} characters here, this one has {len(text)}")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise RecordError("a text holds half of a surrogate pair") from None


def _require(value: object, pattern: re.Pattern[str], message: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise RecordError(message)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise RecordError("expected text")
    return value


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise RecordError("expected a whole number")
    return value
