"""The operator's own certificate chain for content credentials: a root and an image signer, both ES256.

They follow the certificate profile of the C2PA specification: X.509 v3, `digitalSignature`,
EKU `emailProtection`, subject and authority key identifiers.
"""

from __future__ import annotations

import datetime as dt
import itertools

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from attribution.errors import SigningError

_ROOT_DAYS = 20 * 365
_SIGNER_DAYS = 10 * 365  # nobody renews a certificate on a small server in time
_MAX_ORGANISATION = 64  # RFC 5280 upper bound of an organization name


def make_root(organisation: str, now: dt.datetime) -> bytes:
    """A new root: PEM of its private key, then of its certificate.

    Raises:
        SigningError: the organization's name is empty or too long.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(organisation, "root")
    builder = (
        _builder(subject=name, issuer=name, public_key=key.public_key(), now=now, days=_ROOT_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    return _private_pem(key) + _certificate_pem(builder.sign(key, hashes.SHA256()))


def make_signer(organisation: str, root: bytes, now: dt.datetime) -> bytes:
    """A new image signer under `root`: PEM of its private key, its certificate, the root's certificate.

    Raises:
        SigningError: the root cannot be read, or the organization's name is empty or too long.
    """
    root_key, (root_certificate,) = read(root, certificates=1)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(
            subject=_name(organisation, "image signer"),
            issuer=root_certificate.subject,
            public_key=key.public_key(),
            now=now,
            days=_SIGNER_DAYS,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False
        )
    )
    certificate = builder.sign(root_key, hashes.SHA256())
    return _private_pem(key) + _certificate_pem(certificate) + _certificate_pem(root_certificate)


def read(pem: bytes, *, certificates: int) -> tuple[ec.EllipticCurvePrivateKey, tuple[x509.Certificate, ...]]:
    """The key and the certificates of a PEM file, checked: the first is the key's, each next signed it.

    Raises:
        SigningError: the file is damaged or its parts do not belong together.
    """
    try:
        key = serialization.load_pem_private_key(pem, password=None)
        chain = tuple(x509.load_pem_x509_certificates(pem))
        for certificate, issuer in itertools.pairwise(chain):
            certificate.verify_directly_issued_by(issuer)
    except Exception as error:
        # The parsers of PEM, ASN.1 and signatures raise a dozen types; all of them mean the same here.
        raise SigningError("the key or its certificates cannot be read") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or len(chain) != certificates:
        raise SigningError("the file does not hold the expected key and certificates")
    if chain[0].public_key() != key.public_key():
        raise SigningError("the certificate belongs to another key")
    return key, chain


def split(pem: bytes) -> tuple[bytes, bytes]:
    """The private key and the certificate chain of a file that `make_signer` wrote, each as PEM.

    Raises:
        SigningError: as `read`.
    """
    key, chain = read(pem, certificates=2)
    return _private_pem(key), b"".join(_certificate_pem(certificate) for certificate in chain)


def _name(organisation: str, role: str) -> x509.Name:
    if not 0 < len(organisation) <= _MAX_ORGANISATION:
        raise SigningError(f"the operator's name must have 1 to {_MAX_ORGANISATION} characters")
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{organisation[:48]} {role}"),
        ]
    )


def _builder(
    *,
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    now: dt.datetime,
    days: int,
) -> x509.CertificateBuilder:
    start = now - dt.timedelta(hours=1)  # clocks of readers may be slow
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
