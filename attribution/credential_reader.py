"""Reads content credentials (C2PA) and says how far they can be relied on; nothing is ever fetched.

A file may name a URL for its manifest, and a reader that follows it lets strangers choose what a server
connects to. A valid signature proves that the file is as its signer left it; who the signer is, only a root
that the reader already trusts can say.

Source: C2PA Technical Specification 2.2. Every call builds its own context, so threads share nothing.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from attribution.errors import CredentialError
from attribution.images import DEFAULT_LIMITS, sniff

OFFLINE = {"remote_manifest_fetch": False, "ocsp_fetch": False}
"""Settings of the library: it connects to nothing."""
JOB_LEAF_HASH = "org.versobot.job_leaf_hash"
RECORD_ID = "org.versobot.record_id"  # parameters of our action
_UNTRUSTED = "signingCredential.untrusted"  # the signature holds, its root is not among the reader's
_BOUND = "assertion.dataHash.match"
_SIGNED = "claimSignature.validated"
_REMOTE = "the file names a remote manifest; it is not fetched"
_MAX_INGREDIENTS = 64
_MAX_ISSUES = 16
_RECORD = re.compile(r"[0-9a-f]{16}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class CredentialReport:
    """What a file's credentials say, and how far that can be relied on."""

    present: bool
    valid: bool = False  # the signature and the hard binding hold, and nothing contradicts them
    trusted: bool = False  # and the signer's certificate leads to a root that the reader named
    signer: str = ""  # as the certificate names itself: nobody has checked it unless `trusted`
    record_id: str = ""
    job_leaf_hash: str = ""
    ingredients: tuple[str, ...] = ()
    issues: tuple[str, ...] = ()  # status codes of the specification, or a sentence


def read(data: bytes, *, trusted_roots: bytes = b"") -> CredentialReport:
    """Read the credentials of a PNG, JPEG, WebP or GIF; nothing is ever fetched.

    Args:
        data: the bytes of the file.
        trusted_roots: PEM certificates; a chain that leads to one of them is `trusted`.

    Raises:
        CredentialError: the file is too large, of no known kind, or its manifest cannot be parsed.
    """
    import c2pa  # noqa: PLC0415 - a native library of 23 MB, for those who read

    media_type = sniff(data)
    if media_type is None or len(data) > DEFAULT_LIMITS.max_bytes:
        raise CredentialError("the file is no PNG, JPEG, WebP or GIF of a size that is read")
    settings: dict[str, object] = {"verify": {**OFFLINE, "verify_trust": True}}
    if trusted_roots:
        settings["trust"] = {"user_anchors": trusted_roots.decode("ascii", "replace")}
    try:
        with (
            c2pa.Context.from_dict(settings) as context,
            c2pa.Reader(media_type, io.BytesIO(data), context=context) as reader,
        ):
            document = json.loads(reader.json())
    except c2pa.C2paError.ManifestNotFound:
        return CredentialReport(present=False)
    except (c2pa.C2paError, ValueError, RecursionError) as error:
        if str(error).startswith("Remote"):  # the library has no class for "would have to fetch"
            return CredentialReport(present=False, issues=(_REMOTE,))
        raise CredentialError(f"the credentials cannot be read: {short(error)}") from error
    return _report(document)


def _report(document: object) -> CredentialReport:
    """Translate the library's answer; everything in it may come from a stranger's file."""
    store = _object(document)
    manifest = _object(_object(store.get("manifests")).get(_string(store.get("active_manifest"))))
    results = _object(_object(store.get("validation_results")).get("activeManifest"))
    success = _codes(results.get("success"))
    failure = _codes(results.get("failure"))
    valid = _BOUND in success and _SIGNED in success and not failure - {_UNTRUSTED}
    parameters = _parameters(manifest)
    record_id, leaf_hash = parameters.get(RECORD_ID, ""), parameters.get(JOB_LEAF_HASH, "")
    signature = _object(manifest.get("signature_info"))
    return CredentialReport(
        present=True,
        valid=valid,
        trusted=valid and "signingCredential.trusted" in success,
        signer=_string(signature.get("common_name")) or _string(signature.get("issuer")),
        record_id=record_id if _RECORD.fullmatch(record_id) else "",
        job_leaf_hash=leaf_hash if _DIGEST.fullmatch(leaf_hash) else "",
        ingredients=tuple(
            _string(_object(item).get("description")) or _string(_object(item).get("title"))
            for item in _array(manifest.get("ingredients"))[:_MAX_INGREDIENTS]
        ),
        issues=tuple(sorted(failure)[:_MAX_ISSUES]),
    )


def _parameters(manifest: Mapping[str, object]) -> dict[str, str]:
    """The parameters of the one action that says how the picture began."""
    for assertion in map(_object, _array(manifest.get("assertions"))):
        if _string(assertion.get("label")).startswith("c2pa.actions"):
            for action in map(_object, _array(_object(assertion.get("data")).get("actions"))):
                if action.get("action") in {"c2pa.created", "c2pa.opened"}:
                    return {name: _string(value) for name, value in _object(action.get("parameters")).items()}
    return {}


def _codes(value: object) -> set[str]:
    return {_string(_object(item).get("code")) for item in _array(value)}


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _array(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else []


def _string(value: object) -> str:
    return value[:1000] if isinstance(value, str) else ""


def short(error: Exception) -> str:
    """The library's words for an error, on one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__
