"""The numbered checklist for a bundle or an image: offline, without Verso's database, no input or output.

The steps for bundles are those of `attribution/standalone/verify.py`, the script inside every bundle: one
text, so that both always reach the same verdict. Here the pixels are decoded faster, and the credentials are
read a second time with another implementation (c2pa-rs).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from attribution import credential_reader
from attribution.checkpoint import VerifierKey
from attribution.credential_reader import CredentialReport
from attribution.credentials import LEDGER_LABEL, endorsement_message
from attribution.errors import CredentialError, EvidenceError, ImageError
from attribution.images import decode, pixels_digest, sniff
from attribution.standalone import verify as standalone


class BundleError(EvidenceError):
    """The file is no bundle that can be checked at all."""

    code = "bundle"


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One line of the checklist."""

    number: int
    title: str
    ok: bool
    detail: str  # what was found, or what does not hold


@dataclass(frozen=True, kw_only=True, slots=True)
class Checklist:
    """What was checked, and what came out."""

    steps: tuple[Step, ...]
    signer: str  # the key or certificate that speaks for the file; empty if none does
    self_certified: bool  # nobody outside the file vouches for the signer

    @property
    def ok(self) -> bool:
        """Whether every step holds."""
        return bool(self.steps) and all(step.ok for step in self.steps)

    def to_json(self) -> dict[str, object]:
        """Plain values, as `verso verify --json` prints them."""
        return {
            "ok": self.ok,
            "signer": self.signer,
            "self_certified": self.self_certified,
            "steps": [
                {"number": step.number, "title": step.title, "ok": step.ok, "detail": step.detail}
                for step in self.steps
            ],
        }


def verify(data: bytes, trust: str | None = None) -> Checklist:
    """Check a file, whichever of the two it is; arguments and errors as below."""
    return verify_image(data, trust) if sniff(data) else verify_bundle(data, trust)


def verify_bundle(data: bytes, trust: str | None = None) -> Checklist:
    """Check an evidence bundle.

    Args:
        data: the bytes of the zip file; nothing in it is ever decompressed but the picture.
        trust: text with the ledger's verifier key, one a line, from a source other than the bundle.

    Raises:
        BundleError: the file is larger than any bundle.
    """
    try:
        result = standalone.check(data, trust, digest_pixels=_digest_pixels)
    except standalone.BundleError as error:
        raise BundleError(str(error)) from error
    steps = [
        Step(number=step.number, title=step.title, ok=step.ok, detail=step.detail) for step in result.steps
    ]
    image = standalone.read_container(data)[0].get("image.png")
    if image is not None:
        ok, detail = _second_reader(image)
        title = "a second reader (c2pa-rs) finds the same credentials"
        steps.append(Step(number=len(steps) + 1, title=title, ok=ok, detail=detail))
    return Checklist(steps=tuple(steps), signer=result.signer, self_certified=result.self_certified)


def verify_image(data: bytes, trust: str | None = None) -> Checklist:
    """Check an image on its own: what its content credentials say, and whether they hold.

    Args:
        data: the bytes of a PNG, JPEG, WebP or GIF.
        trust: text with root certificates (PEM), or with a ledger's verifier key that endorsed the root.
    """
    steps: list[Step] = []

    def add(title: str, *, ok: bool, detail: str) -> bool:
        steps.append(Step(number=len(steps) + 1, title=title, ok=ok, detail=detail))
        return ok

    def done(signer: str = "", *, self_certified: bool = True) -> Checklist:
        return Checklist(steps=tuple(steps), signer=signer, self_certified=self_certified)

    try:
        pixels = decode(data)
        report = credential_reader.read(data)
    except (ImageError, CredentialError) as error:
        add("the file is a picture that can be read", ok=False, detail=str(error))
        return done()
    size = f"{pixels.shape[1]} x {pixels.shape[0]} pixels, SHA-256 {pixels_digest(pixels)}"
    add("the file is a picture that can be read", ok=True, detail=size)
    absent = "; ".join(report.issues) or "none: whoever made it, this file does not say"
    present = "found" if report.present else absent
    if not add("it carries content credentials", ok=report.present, detail=present):
        return done()
    holds = f"signed by {report.signer}; not altered since"
    if not add(
        "they hold: signature and hard binding",
        ok=report.valid,
        detail=holds
        if report.valid
        else ", ".join(report.issues) or "the signature or the binding does not hold",
    ):
        return done(report.signer)
    named = f"record {report.record_id}: its evidence can be asked for"
    add(
        "they name a record",
        ok=bool(report.record_id),
        detail=named if report.record_id else "they name none",
    )
    trusted, detail = _image_signer(data, report, trust)
    add("the signer is the one you trust", ok=trusted or trust is None, detail=detail)
    return done(report.signer, self_certified=not trusted)


def _digest_pixels(png: bytes) -> str:
    try:
        return pixels_digest(decode(png))
    except ImageError as error:
        raise standalone.FailedError(str(error)) from error


def _second_reader(image: bytes) -> tuple[bool, str]:
    try:
        report = credential_reader.read(image)
    except CredentialError as error:
        return False, str(error)
    if not report.valid:
        return False, ", ".join(report.issues) or "there are no credentials that hold"
    return True, f"signed by {report.signer}, record {report.record_id}"


def _image_signer(data: bytes, report: CredentialReport, trust: str | None) -> tuple[bool, str]:
    """Whether the trust text vouches for the image's signer, and what to say about it."""
    if trust is None:
        return False, f"self-certified: the certificate calls itself {report.signer!r}; nobody vouches for it"
    roots = _certificates(trust)
    if roots and credential_reader.read(data, trusted_roots=roots).trusted:
        return True, f"{report.signer}, under a root certificate that you trust"
    try:
        keys = standalone.endorsed_keys(standalone.trusted_keys(trust), standalone.endorsements(trust))
    except standalone.FailedError as failure:
        return False, f"the trust file does not hold: {failure}"
    for key in sorted(keys):
        if _endorsed(data, VerifierKey.parse(key)):
            return True, f"{report.signer}, under a root that the trusted key {key} endorsed"
    return False, f"nothing in the trust file vouches for {report.signer!r}"


def _certificates(trust: str) -> bytes:
    """The readable PEM certificates in a text, and nothing else of it."""
    return b"".join(one.public_bytes(Encoding.PEM) for one in standalone.trusted_certificates(trust))


def _endorsed(data: bytes, key: VerifierKey) -> bool:
    """Whether the manifest of a PNG carries this key's endorsement of the root that it is signed under."""
    try:
        credential = standalone.read_credential(data)
        facts = credential.assertions[LEDGER_LABEL]
        signature = base64.b64decode(facts["root_endorsement"], validate=True)
        message = endorsement_message(credential.certificates[-1])
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)
    except (standalone.FailedError, InvalidSignature, KeyError, TypeError, ValueError):
        return False  # no manifest of ours, none endorsed, or not by this key
    return len(credential.certificates) > 1
