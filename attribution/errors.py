"""Failures of the record: licenses, keys, vault, ledger, credentials, evidence."""

from __future__ import annotations

from pathlib import Path


class AttributionError(Exception):
    """Something went wrong with the record."""

    code = "attribution_failed"
    retryable = False


class LicenseError(AttributionError):
    """A license description cannot be used."""

    code = "license"


class UnknownLicenseError(LicenseError):
    """No such license is described."""

    code = "unknown_license"

    def __init__(self, license_id: str) -> None:
        super().__init__(f"unknown license {license_id!r}")
        self.license_id = license_id


class KeyFileError(AttributionError):
    """A key file is missing, damaged or open to others."""

    code = "key_file"

    def __init__(self, message: str, *, path: Path, advice: str) -> None:
        super().__init__(f"{path}: {message}; {advice}")
        self.path = path
        self.advice = advice


class RecordError(AttributionError):
    """An entry of the record is malformed."""

    code = "record"


class VaultError(AttributionError):
    """Sealed data cannot be opened."""

    code = "vault"


class ErasedError(VaultError):
    """This person's data was erased."""

    code = "erased"

    def __init__(self, subject: str) -> None:
        super().__init__("this person's data was erased")
        self.subject = subject


class LegalHoldError(VaultError):
    """A legal hold forbids the erasure."""

    code = "legal_hold"

    def __init__(self, subject: str, reason: str) -> None:
        super().__init__(f"a legal hold forbids the erasure: {reason}")
        self.subject = subject
        self.reason = reason


class ErasureListError(AttributionError):
    """A list of erasures cannot be used."""

    code = "erasure_list"


class LedgerError(AttributionError):
    """The ledger cannot answer, or its stored state is damaged."""

    code = "ledger"


class LedgerConflictError(LedgerError):
    """Another entry stands where this one should go."""

    code = "ledger_conflict"
    retryable = True


class VerificationError(AttributionError):
    """A proof, a signature or a digest does not hold."""

    code = "verification"


class TimestampError(AttributionError):
    """An outside authority gave no time stamp that holds."""

    code = "timestamp"

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class SigningError(AttributionError):
    """An image could not be signed."""

    code = "signing"


class CredentialError(AttributionError):
    """An image's credentials cannot be read."""

    code = "credential"


class ImageError(AttributionError):
    """A file is no picture that can be read safely."""

    code = "image"


class EvidenceError(AttributionError):
    """A bundle cannot be built or read."""

    code = "evidence"
