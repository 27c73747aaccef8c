"""What the settings alone decide: policy, plans, catalog, keys, channels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attribution.errors import TimestampError
from attribution.key_service import service_of
from attribution.keys import KeyRing
from attribution.licenses import LicenseCatalog
from attribution.publications import Publications
from attribution.timestamp import TimestampAuthority
from bot.errors import ConfigurationError
from bot.plans import Plan, Plans
from bot.platforms.base import Platform
from bot.restore_mark import refuse_half_restored
from bot.settings import Settings, secret_of
from bot.usecases.publish import Publisher
from generation.catalog import Catalog
from generation.engine import Engine
from generation.knees import load_knees
from generation.profile import best_device
from moderation.embedding import SentenceEncoder
from moderation.policy import Policy


def policy_of(settings: Settings) -> Policy:
    """The moderation policy that the settings name."""
    return Policy.load(settings.policy.path or settings.policy.preset)


def knees_file(settings: Settings) -> Path:
    """Where `verso models profile` writes what it measured on this machine."""
    return settings.data_dir / "knees.json"


def plans_of(settings: Settings) -> Plans:
    """The plans that the settings name."""
    everybody = Plan(
        images_per_day=settings.quota.images_per_day, jobs_in_flight=settings.quota.jobs_in_flight
    )
    return Plans.load(settings.plans.path, default=everybody)


def channels_of(settings: Settings) -> dict[str, str]:
    """The moderators' channel of each workspace that has one.

    Raises:
        ConfigurationError: an item is not platform:workspace:channel.
    """
    return dict(channel_of(item, "VERSO_MODERATOR_CHANNELS") for item in settings.moderator_channels)


def channel_of(item: str, setting: str) -> tuple[str, str]:
    """A workspace and its channel, from `platform:workspace:channel`."""
    workspace, _, channel = item.rpartition(":")
    if workspace.count(":") != 1 or not channel:
        raise ConfigurationError(
            f"{item!r} is not platform:workspace:channel, such as slack:T012:C345", setting=setting
        )
    return workspace, channel


def publisher_of(
    settings: Settings, publications: Publications, *, platforms: Mapping[str, Platform]
) -> Publisher:
    """What shows checkpoints to the public, as the settings say.

    Raises:
        ConfigurationError: a channel is not platform:workspace:channel, or the authority cannot be used.
    """
    authority = None
    if settings.ledger.timestamp_url:
        roots = settings.ledger.timestamp_roots
        try:
            text = roots.read_text(encoding="ascii") if roots else ""
            authority = TimestampAuthority(settings.ledger.timestamp_url, roots=text)
        except (OSError, ValueError, TimestampError) as error:
            raise ConfigurationError(
                f"the time-stamping authority cannot be used: {error}",
                setting="VERSO_LEDGER__TIMESTAMP_ROOTS",
            ) from error
    return Publisher(
        publications,
        file=settings.checkpoints_file,
        channels={
            item: channel_of(item, "VERSO_LEDGER__PUBLISH_CHANNELS")
            for item in sorted(settings.ledger.publish_channels)
        },
        platforms=platforms,
        authority=authority,
        period_ms=round(settings.ledger.publish_hours * 3_600_000),
    )


def open_keys(settings: Settings) -> KeyRing:
    """The keys that the settings name.

    Raises:
        KeyFileError, VaultError, ConfigurationError: with what to do.
    """
    refuse_half_restored(settings.keys_dir)
    return KeyRing.open(
        settings.keys_dir,
        organisation=settings.organisation,
        service=service_of(settings.keys.command),
    )


def catalog_of(settings: Settings) -> Catalog:
    """The models that the settings name; the embedded one first."""
    return Catalog.load([settings.catalog.path] if settings.catalog.path else [])


def licenses_of(settings: Settings) -> LicenseCatalog:
    """The licenses of models; the operator's own folder adds some, or replaces those of the same id."""
    return LicenseCatalog.load(settings.licenses.path)


def engine_of(settings: Settings, catalog: Catalog, encoder: SentenceEncoder) -> Engine:
    """An engine of this process on the device that the settings name; loads torch."""
    return Engine(
        catalog,
        device=settings.engine.device or best_device(),
        threads=settings.engine.threads or None,
        knees=load_knees(knees_file(settings)),
        services={"embed": encoder.embed, "secret": secret_of},
    )
