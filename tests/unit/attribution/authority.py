"""A time-stamping authority on this machine: OpenSSL's own `ts` command behind an HTTP server."""

from __future__ import annotations

import asyncio
import datetime as dt
import shutil
import subprocess
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

OPENSSL = shutil.which("openssl")
_CONFIG = """
[tsa]
default_tsa = house
[house]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/signer.pem
certs = {folder}/root.pem
signer_key = {folder}/signer.key
signer_digest = {digest}
default_policy = 1.2.3.4.1
digests = sha256, sha512
accuracy = secs:1, millisecs:500
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = {cert_digest}
"""


class Authority:
    """A root, a signer, and `openssl ts -reply`; answers can be bent on their way out."""

    def __init__(
        self,
        folder: Path,
        *,
        kind: str = "ec",
        digest: str = "sha256",
        cert_digest: str = "sha256",
        usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.TIME_STAMPING,
        expired: bool = False,
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        root_key, key = _key("ec"), _key(kind)
        self.root = _certificate("Test root", root_key, "Test root", root_key)
        signer = _certificate("Test authority", key, "Test root", root_key, usage=usage, expired=expired)
        self.root_pem = self.root.public_bytes(serialization.Encoding.PEM).decode()
        (folder / "root.pem").write_text(self.root_pem)
        (folder / "signer.pem").write_bytes(signer.public_bytes(serialization.Encoding.PEM))
        (folder / "signer.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        (folder / "serial").write_text("01\n")
        config = _CONFIG.format(folder=folder, digest=digest, cert_digest=cert_digest)
        (folder / "tsa.cnf").write_text(config)
        self.answer = self.reply
        self.status, self.content_type = 200, "application/timestamp-reply"
        self.queries: list[bytes] = []

    def reply(self, query: bytes) -> bytes:
        (self.folder / "query.tsq").write_bytes(query)
        self._openssl("-reply", "-config", "tsa.cnf", "-queryfile", "query.tsq", "-out", "reply.tsr")
        return (self.folder / "reply.tsr").read_bytes()

    def accepts(self, token: bytes, message: bytes) -> bool:
        """What `openssl ts -verify` says of a token."""
        (self.folder / "token.der").write_bytes(token)
        (self.folder / "message").write_bytes(message)
        try:
            self._openssl(
                "-verify", "-in", "token.der", "-token_in", "-data", "message", "-CAfile", "root.pem"
            )
        except subprocess.CalledProcessError:
            return False
        return True

    def _openssl(self, *arguments: str) -> None:
        subprocess.run([OPENSSL, "ts", *arguments], cwd=self.folder, check=True, capture_output=True)  # noqa: S603

    async def handle(self, request: web.Request) -> web.Response:
        query = await request.read()
        self.queries.append(query)
        body = await asyncio.to_thread(self.answer, query)
        return web.Response(body=body, status=self.status, content_type=self.content_type)


def _key(kind: str) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP384R1() if kind == "ec384" else ec.SECP256R1())


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    *,
    usage: x509.ObjectIdentifier | None = None,
    expired: bool = False,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    until = now - dt.timedelta(days=1) if expired else now + dt.timedelta(days=30_000)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=2))
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=usage is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
    return builder.sign(issuer_key, hashes.SHA256())
