"""Content Credentials (C2PA): signs a finished PNG.

Signing is the last step: any later change of a byte breaks the hard binding.

Source: C2PA Technical Specification 2.2. Every call builds its own context, so threads share nothing.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import io
import json
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from attribution.credential_reader import (
    JOB_LEAF_HASH,
    OFFLINE,
    RECORD_ID,
    CredentialReport,
    read,
    short,
)
from attribution.errors import SigningError
from attribution.images import sniff
from attribution.metadata import COMPOSITE_MEDIA, TRAINED_ALGORITHMIC_MEDIA

LICENSE_LABEL = "org.versobot.license"
CREDITS_LABEL = "org.versobot.credits"
LEDGER_LABEL = "org.versobot.ledger"

_PARENT = "verso-source"  # links the action to its ingredient inside the manifest
_CREATED = [  # what the claim vouches for itself
    "c2pa.actions",
    "c2pa.ingredient",
    "cawg.training-mining",
    LICENSE_LABEL,
    CREDITS_LABEL,
    LEDGER_LABEL,
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """A picture that the image rests on."""

    title: str
    author: str
    license: str  # SPDX id
    license_url: str
    source: str  # where a stranger finds it
    relationship: str = "inputTo"  # or "componentOf" where its pixels were used, "parentOf" for an edit


@dataclass(frozen=True, kw_only=True, slots=True)
class ManifestFacts:
    """What the manifest says."""

    image_id: str
    record_id: str  # the id of the entry *image released*, 16 hex digits
    job_leaf_hash: str  # hex leaf hash of the entry *job accepted*
    created_ms: int
    model_name: str
    model_revision: str
    license_id: str
    license_name: str
    license_url: str
    license_text_sha256: str = ""
    notice: str = ""
    references: tuple[Reference, ...] = ()
    source: bytes | None = field(default=None, repr=False)  # the signed PNG that this one was made from


@dataclass(frozen=True, kw_only=True, slots=True)
class Signed:
    """A signed file, and the same manifest apart: platforms may strip it from the file."""

    data: bytes
    sidecar: bytes


class Credentials:
    """Signs with one certificate chain, and trusts that chain's own root when reading."""

    def __init__(
        self,
        *,
        chain_pem: bytes,
        key_pem: bytes,
        generator_version: str,
        verifier_key: str = "",
        root_endorsement: str = "",
    ) -> None:
        """Keep the keys.

        Args:
            chain_pem: certificates, the signer's first, the root's last.
            key_pem: the signer's ES256 key.
            generator_version: Verso's own version.
            verifier_key: the ledger's public key: a finder then knows which ledger to ask.
            root_endorsement: from `endorse_root`: whoever trusts the ledger's key can trust the images, too.

        Raises:
            SigningError: the chain cannot be read.
        """
        self._chain = chain_pem
        self._key = key_pem
        self._version = generator_version
        self._ledger = {"verifier_key": verifier_key, "root_endorsement": root_endorsement}
        self.root_pem = root_of(chain_pem)

    def sign(self, png: bytes, facts: ManifestFacts) -> Signed:
        """Sign a PNG; takes a few milliseconds, and adds about 5 kB.

        Raises:
            SigningError: the picture, the facts or the key cannot be used.
        """
        import c2pa  # noqa: PLC0415 - a native library of 23 MB, for those who sign

        if sniff(png) != "image/png":
            raise SigningError("only a PNG can be signed")
        settings = {
            "builder": {"thumbnail": {"enabled": False}, "created_assertion_labels": _CREATED},
            "verify": {**OFFLINE, "verify_after_sign": False},
        }
        signed = io.BytesIO()
        try:
            signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(b"es256", self._chain, self._key, None))
            with (
                c2pa.Context.from_dict(settings, signer) as context,
                c2pa.Builder.from_json(json.dumps(self._manifest(facts)), context) as builder,
            ):
                if facts.source is not None:
                    parent = {"title": "source", "relationship": "parentOf", "label": _PARENT}
                    builder.add_ingredient(json.dumps(parent), "image/png", io.BytesIO(facts.source))
                sidecar = builder.sign("image/png", io.BytesIO(png), signed)
        except (c2pa.C2paError, ValueError, TypeError, OverflowError) as error:
            raise SigningError(f"the image could not be signed: {short(error)}") from error
        return Signed(data=signed.getvalue(), sidecar=bytes(sidecar))

    def read(self, data: bytes) -> CredentialReport:
        """Read a file, trusting our own root only. Raises as `read`."""
        return read(data, trusted_roots=self.root_pem)

    def _manifest(self, facts: ManifestFacts) -> dict[str, object]:
        mining = {"use": "notAllowed"}
        license_facts = {
            "id": facts.license_id,
            "name": facts.license_name,
            "url": facts.license_url,
            "text_sha256": facts.license_text_sha256,
            "notice": facts.notice,
        }
        credits_ = [
            {
                "title": reference.title,
                "author": reference.author,
                "license": reference.license,
                "license_url": reference.license_url,
                "source": reference.source,
            }
            for reference in facts.references
        ]
        assertions: list[dict[str, object]] = [
            {"label": "c2pa.actions.v2", "data": {"actions": _actions(facts)}},
            {
                "label": "cawg.training-mining",
                "data": {"entries": {"cawg.ai_generative_training": mining, "cawg.data_mining": mining}},
            },
            {"label": LICENSE_LABEL, "kind": "Json", "data": license_facts},
            {"label": LEDGER_LABEL, "kind": "Json", "data": self._ledger},
        ]
        if credits_:
            assertions.append({"label": CREDITS_LABEL, "kind": "Json", "data": {"credits": credits_}})
        return {
            "claim_generator_info": [{"name": "Verso", "version": self._version}],
            "title": f"verso-{facts.image_id}.png",
            "format": "image/png",
            "assertions": assertions,
            "ingredients": [
                _ingredient(place, reference) for place, reference in enumerate(facts.references)
            ],
        }


def root_of(chain_pem: bytes) -> bytes:
    """The last certificate of a PEM chain, as PEM.

    Raises:
        SigningError: the chain cannot be read.
    """
    try:
        chain = x509.load_pem_x509_certificates(chain_pem)
    except ValueError as error:
        raise SigningError("the certificate chain cannot be read") from error
    return chain[-1].public_bytes(Encoding.PEM)


def endorse_root(root_pem: bytes, ledger_signer: Ed25519PrivateKey) -> str:
    """The ledger key's signature over the root of the image signer, base64.

    Raises:
        SigningError: the root cannot be read.
    """
    try:
        root = x509.load_pem_x509_certificate(root_pem).public_bytes(Encoding.DER)
    except ValueError as error:
        raise SigningError("the root certificate cannot be read") from error
    return base64.b64encode(ledger_signer.sign(endorsement_message(root))).decode()


def endorsement_message(root_der: bytes) -> bytes:
    """What `endorse_root` signs."""
    return b"verso-c2pa-root/1\n" + hashlib.sha256(root_der).digest()


def _actions(facts: ManifestFacts) -> list[dict[str, object]]:
    """How the picture came about; the first action carries our record (C2PA 2.2 section 18.15)."""
    when = dt.datetime.fromtimestamp(facts.created_ms / 1000, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    agent = {"name": facts.model_name, "version": facts.model_revision}
    record = {RECORD_ID: facts.record_id, JOB_LEAF_HASH: facts.job_leaf_hash}
    if facts.source is None:
        created = {"action": "c2pa.created", "digitalSourceType": TRAINED_ALGORITHMIC_MEDIA}
        return [{**created, "when": when, "softwareAgent": agent, "parameters": record}]
    edited = {"action": "c2pa.edited", "digitalSourceType": COMPOSITE_MEDIA}
    return [
        {"action": "c2pa.opened", "when": when, "parameters": {**record, "ingredientIds": [_PARENT]}},
        {**edited, "when": when, "softwareAgent": agent},
    ]


def _ingredient(place: int, reference: Reference) -> dict[str, str]:
    license_ = f"{reference.license} ({reference.license_url})"
    return {
        "title": reference.title,
        "format": "application/octet-stream",  # the picture itself is not sent along, only its description
        "instance_id": f"verso:reference:{place}",
        "relationship": reference.relationship,
        "description": f"{reference.title} by {reference.author}, {license_}",
        "informational_URI": reference.source,
    }
