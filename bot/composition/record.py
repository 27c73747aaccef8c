"""Attribution: keys, vault, ledger, credentials and marks."""

from __future__ import annotations

import dataclasses
import functools

from sqlalchemy.ext.asyncio import AsyncEngine

from attribution.acceptance import Acceptances
from attribution.credentials import Credentials, endorse_root, root_of
from attribution.erasures import Erasures
from attribution.gallery import Gallery
from attribution.key_index import load_ledger_keys
from attribution.key_service import service_of
from attribution.keys import KeyRing
from attribution.ledger import Ledger
from attribution.licenses import LicenseCatalog
from attribution.marks import MarkKeys
from attribution.publications import Publications
from attribution.releases import Releases
from attribution.renewal import MarkKeyFiles, VaultKeys
from attribution.vault import Vault
from bot.composition.configured import licenses_of
from bot.settings import Settings


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """What attribution keeps."""

    keys: KeyRing
    vault: Vault
    ledger: Ledger
    publications: Publications
    acceptances: Acceptances
    releases: Releases
    licenses: LicenseCatalog
    credentials: Credentials
    marks: MarkKeys
    gallery: Gallery
    erasures: Erasures


def open_record(settings: Settings, keys: KeyRing, database: AsyncEngine, *, version: str) -> Record:
    """Build it; `version` of this program stands in the credentials."""
    licenses = licenses_of(settings)
    vault = Vault(
        database,
        vault_key=keys.vault_key,
        lookup_key=keys.lookup_key,
        reload_keys=VaultKeys(settings.keys_dir, service_of(settings.keys.command)),
    )
    ledger = Ledger(
        database,
        keys=keys.ledger,
        vault=vault,
        reload_keys=functools.partial(load_ledger_keys, settings.keys_dir),
    )
    # The ledger's key vouches for the credentials' root: one published key is enough to trust both.
    credentials = Credentials(
        chain_pem=keys.c2pa_chain,
        key_pem=keys.c2pa_key,
        generator_version=version,
        verifier_key=keys.ledger_verifier_key,
        root_endorsement=endorse_root(root_of(keys.c2pa_chain), keys.ledger_signer),
    )
    return Record(
        keys=keys,
        vault=vault,
        ledger=ledger,
        publications=Publications(database),
        acceptances=Acceptances(database, ledger=ledger),
        releases=Releases(database, ledger=ledger, vault=vault),
        licenses=licenses,
        credentials=credentials,
        marks=MarkKeys(keys.mark_keys, reload=MarkKeyFiles(settings.keys_dir)),
        gallery=Gallery(database),
        erasures=Erasures(database, ledger=ledger, origin=keys.origin, folders=settings.erasure_folders),
    )
