from __future__ import annotations

import hashlib
import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import attribution
from attribution.checkpoint import Checkpoint, VerifierKey, open_checkpoint, sign_checkpoint
from attribution.errors import KeyFileError
from attribution.keys import KeyRing

PRINT_KEYS = (
    "import sys; from pathlib import Path; from attribution.keys import KeyRing; "
    "ring = KeyRing.open(Path(sys.argv[1])); "
    "print(ring.ledger_verifier_key, ring.vault_key.hex(), ring.c2pa_key.hex())"
)


def test_a_first_start_makes_every_key_and_later_ones_find_them(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "keys"
    first, second = KeyRing.open(folder, organisation="Gallery of Tests"), KeyRing.open(folder)
    assert first.ledger_verifier_key == second.ledger_verifier_key
    for name in ("origin", "vault_key", "lookup_key", "mark_keys", "c2pa_chain", "c2pa_key"):
        assert getattr(first, name) == getattr(second, name)
    assert len({first.vault_key, first.lookup_key, first.mark_keys[1]}) == 3
    assert all(len(key) == 32 for key in (first.vault_key, first.lookup_key, first.mark_keys[1]))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = list(folder.iterdir())
    assert len(files) == 7  # no temporary file is left
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_two_folders_share_nothing(tmp_path: Path) -> None:
    one, two = KeyRing.open(tmp_path / "1"), KeyRing.open(tmp_path / "2")
    assert one.origin != two.origin
    assert one.vault_key != two.vault_key


def test_the_ledger_key_signs_for_its_verifier_key(tmp_path: Path) -> None:
    ring = KeyRing.open(tmp_path / "keys")
    head = Checkpoint(origin=ring.origin, tree_size=0, root_hash=bytes(32))
    verifier = VerifierKey.parse(ring.ledger_verifier_key)
    assert open_checkpoint(sign_checkpoint(head, ring.ledger_signer), [verifier]) == head


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    workers = [
        subprocess.Popen(  # noqa: S603 - our own interpreter and words
            [sys.executable, "-c", PRINT_KEYS, str(tmp_path / "keys")],
            stdout=subprocess.PIPE,
            cwd=Path(attribution.__file__).parents[1],
        )
        for _ in range(4)
    ]
    found = {worker.communicate()[0] for worker in workers}
    assert [worker.returncode for worker in workers] == [0] * 4
    assert len(found) == 1
    assert not [path for path in (tmp_path / "keys").iterdir() if path.name.startswith(".")]


def test_the_certificate_chain_fits_the_profile_of_content_credentials(tmp_path: Path) -> None:
    ring = KeyRing.open(tmp_path / "keys", organisation="Gallery of Tests")
    signer, root = x509.load_pem_x509_certificates(ring.c2pa_chain)
    key = serialization.load_pem_private_key(ring.c2pa_key, password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.public_key() == signer.public_key()
    assert isinstance(key.curve, ec.SECP256R1)
    signer.verify_directly_issued_by(root)
    root.verify_directly_issued_by(root)
    for certificate in (signer, root):
        (organisation,) = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        assert organisation.value == "Gallery of Tests"
        assert certificate.version is x509.Version.v3
    usage = signer.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    eku = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(eku) == [ExtendedKeyUsageOID.EMAIL_PROTECTION]
    constraints = root.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (True, 0)
    issuer = signer.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    own = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert issuer.key_identifier == own.digest
    assert (signer.not_valid_after_utc - signer.not_valid_before_utc).days >= 3650


def test_every_key_is_described_and_no_secret_shows(tmp_path: Path) -> None:
    ring = KeyRing.open(tmp_path / "keys")
    described = {info.name: info for info in ring.describe()}
    assert set(described) == {"ledger", "vault", "lookup", "mark", "c2pa", "c2pa_root"}
    for info in described.values():
        assert info.path.is_file()
        assert info.purpose
        assert info.loss
    shown = repr(ring) + repr(ring.describe())
    for path in (tmp_path / "keys").glob("*.key"):
        assert path.read_text().strip() not in shown
    assert ring.vault_key.hex() not in shown
    assert repr(ring.vault_key) not in shown


@pytest.mark.parametrize("name", ["ledger-1.pem", "vault-1.key", "mark-1.key", "c2pa-1.pem", "keys.json"])
def test_a_file_open_to_others_is_refused_with_what_to_do(tmp_path: Path, name: str) -> None:
    KeyRing.open(tmp_path / "keys")
    (tmp_path / "keys" / name).chmod(0o640)
    with pytest.raises(KeyFileError, match="chmod 600") as caught:
        KeyRing.open(tmp_path / "keys")
    assert caught.value.path.name == name


def test_a_folder_open_to_others_is_refused_unless_it_is_fresh(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    folder.mkdir(mode=0o755)
    KeyRing.open(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o750)
    with pytest.raises(KeyFileError, match="chmod 700"):
        KeyRing.open(folder)


@pytest.mark.parametrize("name", ["ledger-1.pem", "vault-1.key", "lookup-1.key", "mark-1.key", "c2pa-1.pem"])
def test_a_lost_or_altered_key_is_never_replaced_silently(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "keys"
    before = KeyRing.open(folder)
    path = folder / name
    original = path.read_bytes()
    path.write_bytes(original.replace(b"A", b"B", 1) if b"A" in original else original[:-2] + b"\n")
    with pytest.raises(KeyFileError, match="restore"):
        KeyRing.open(folder)
    path.unlink()
    with pytest.raises(KeyFileError, match="missing"):
        KeyRing.open(folder)
    path.write_bytes(original)
    path.chmod(0o600)
    assert KeyRing.open(folder).vault_key == before.vault_key


def test_the_root_key_may_be_kept_elsewhere(tmp_path: Path) -> None:
    before = KeyRing.open(tmp_path / "keys")
    (tmp_path / "keys" / "c2pa-root-1.pem").unlink()
    assert KeyRing.open(tmp_path / "keys").c2pa_chain == before.c2pa_chain


def test_a_first_start_that_was_cut_off_is_completed(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    before = KeyRing.open(folder)
    for name in ("keys.json", "c2pa-1.pem", "mark-1.key"):
        (folder / name).unlink()
    after = KeyRing.open(folder)
    assert after.vault_key == before.vault_key
    assert after.ledger_signer.private_bytes_raw() == before.ledger_signer.private_bytes_raw()
    assert after.mark_keys != before.mark_keys


@pytest.mark.parametrize(
    "change",
    [
        lambda _: b"",
        lambda _: b"[]",
        lambda _: b"{" * 1000,
        lambda index: json.dumps({**index, "origin": "with space"}).encode(),
        lambda index: json.dumps({**index, "keys": {}}).encode(),
        lambda index: json.dumps({**index, "keys": {**index["keys"], "vault": []}}).encode(),
        lambda index: json.dumps({**index, "keys": {**index["keys"], "vault": [{"file": "x"}]}}).encode(),
    ],
)
def test_a_damaged_list_of_keys_is_refused(tmp_path: Path, change: object) -> None:
    KeyRing.open(tmp_path / "keys")
    path = tmp_path / "keys" / "keys.json"
    path.write_bytes(change(json.loads(path.read_bytes())))
    with pytest.raises(KeyFileError, match="list of keys"):
        KeyRing.open(tmp_path / "keys")


def test_garbage_with_a_matching_digest_is_still_a_key_file_error(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    KeyRing.open(folder)
    for name, what in (("vault-1.key", "vault"), ("ledger-1.pem", "ledger"), ("c2pa-1.pem", "c2pa")):
        index_path = folder / "keys.json"
        kept, kept_index = (folder / name).read_bytes(), index_path.read_bytes()
        index = json.loads(kept_index)
        (folder / name).write_bytes(b"garbage")
        index["keys"][what][-1]["sha256"] = hashlib.sha256(b"garbage").hexdigest()
        index_path.write_text(json.dumps(index))
        with pytest.raises(KeyFileError, match="damaged"):
            KeyRing.open(folder)
        (folder / name).write_bytes(kept)
        index_path.write_bytes(kept_index)
    KeyRing.open(folder)


def test_a_name_that_no_certificate_can_carry_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="operator's name"):
        KeyRing.open(tmp_path / "keys", organisation="x" * 65)
    KeyRing.open(tmp_path / "keys", organisation="fine")


def test_a_file_where_the_folder_should_be_is_a_key_file_error(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("x")
    with pytest.raises(KeyFileError):
        KeyRing.open(tmp_path / "keys")
    KeyRing.open(tmp_path / "more")
    vault = tmp_path / "more" / "vault-1.key"
    vault.unlink()
    vault.mkdir(mode=0o700)
    with pytest.raises(KeyFileError):
        KeyRing.open(tmp_path / "more")
