"""Builds the house: the only module that names concrete classes of every trade.

Building it loads neither torch nor a chat SDK: engines and clients are made when they are started.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.metadata
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from attribution.acceptance import Acceptances
from attribution.credentials import Credentials, endorse_root, root_of
from attribution.departures import Departures
from attribution.errors import TimestampError
from attribution.evidence import EvidenceRoom
from attribution.gallery import Gallery
from attribution.key_index import load_ledger_keys
from attribution.key_service import service_of
from attribution.keys import KeyRing, VaultKeys
from attribution.ledger import Ledger
from attribution.licenses import LicenseCatalog
from attribution.lookup import Lookup
from attribution.mark_reader import MarkReader
from attribution.marks import MarkKeys
from attribution.publications import Publications
from attribution.releases import Releases
from attribution.timestamp import TimestampAuthority
from attribution.vault import Vault
from bot.account_copy import names_of
from bot.database import open_database
from bot.errors import ConfigurationError
from bot.gates import Gate
from bot.handle import Conversation
from bot.moderators import Moderators
from bot.nearest import TrainingPictures
from bot.next_steps import NextSteps, open_next_steps
from bot.notices import Notices
from bot.plans import Plan, Plans
from bot.platforms.base import Platform
from bot.posts import Posts
from bot.replies import Replies
from bot.rights import Rights
from bot.schema import migrate
from bot.settings import Settings
from bot.usecases.account import Accounts
from bot.usecases.blend import Blend
from bot.usecases.credits import Credits
from bot.usecases.deliver import Courier
from bot.usecases.digest import Digest
from bot.usecases.dry_run import DryRun
from bot.usecases.evidence import Evidence
from bot.usecases.finish import Finisher
from bot.usecases.image_check import ImageCheck
from bot.usecases.imagine import Imagine
from bot.usecases.iterate import Iterate
from bot.usecases.lookup import WhoMade
from bot.usecases.originals import Originals
from bot.usecases.people import People
from bot.usecases.policies import Policies
from bot.usecases.protect import Protect, fingerprint
from bot.usecases.publish import Publisher
from bot.usecases.quarantine import QuarantineRoom
from bot.usecases.quota import Quota
from bot.usecases.ranking import Ranking
from bot.usecases.replay import Replay
from bot.usecases.retention import Retention
from bot.usecases.review import ReviewRoom
from bot.usecases.sources import Sources
from bot.usecases.sweep import Sweep
from bot.usecases.takedown import TakeDown
from bot.usecases.uninstall import Uninstall
from bot.usecases.uploads import Uploads
from generation.blobs import FolderBlobStore
from generation.catalog import Catalog
from generation.engine import Engine
from generation.knees import load_knees
from generation.outbox import Outbox
from generation.profile import best_device
from generation.progress import ProgressBoard
from generation.queue import JobQueue, QueueLimits
from generation.similarity import Scorers
from generation.worker import Worker
from moderation.decisions import Decisions
from moderation.embedding import SentenceEncoder
from moderation.moderator import Moderator
from moderation.policies import PolicyLog
from moderation.policy import Policy
from moderation.protections import Protections
from moderation.quarantine import Quarantine
from moderation.reviews import Reviews
from moderation.strikes import Strikes
from moderation.takedowns import Takedowns
from moderation.withheld import Withheld

VERSION = importlib.metadata.version("verso-bot")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class App:
    """The running house: what commands and platforms reach for."""

    settings: Settings
    database: AsyncEngine
    keys: KeyRing
    vault: Vault
    ledger: Ledger
    publications: Publications
    publisher: Publisher
    licenses: LicenseCatalog
    acceptances: Acceptances
    releases: Releases
    evidence: Evidence
    catalog: Catalog
    queue: JobQueue
    blobs: FolderBlobStore
    moderator: Moderator
    decisions: Decisions
    reviews: Reviews
    strikes: Strikes
    posts: Posts
    replies: Replies
    imagine: Imagine
    iterate: Iterate
    next_steps: NextSteps
    review_room: ReviewRoom
    protect: Protect
    take_down: TakeDown
    withheld: Withheld
    quarantine: QuarantineRoom
    digest: Digest
    policies: Policies
    replay: Replay
    accounts: Accounts
    people: People
    credits: Credits
    who_made: WhoMade
    retention: Retention
    uninstall: Uninstall
    sweep: Sweep
    quota: Quota
    finisher: Finisher
    courier: Courier
    handle: Conversation
    platforms: dict[str, Platform]
    screener: Callable[[Policy], Moderator]  # a moderator under another policy, for dry runs
    engine: Callable[[], Engine]  # makes an engine of this process: loads torch
    worker: Callable[..., Worker]  # worker(engine, workspace=None): serves the queue with it

    def add_platform(self, platform: Platform) -> None:
        """Let replies reach one more platform."""
        self.platforms[platform.name] = platform


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
    return dict(_channel(item, "VERSO_MODERATOR_CHANNELS") for item in settings.moderator_channels)


def _channel(item: str, setting: str) -> tuple[str, str]:
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
            item: _channel(item, "VERSO_LEDGER__PUBLISH_CHANNELS")
            for item in sorted(settings.ledger.publish_channels)
        },
        platforms=platforms,
        authority=authority,
        period_ms=round(settings.ledger.publish_hours * 3_600_000),
    )


def open_keys(settings: Settings) -> KeyRing:
    """The keys that the settings name.

    Raises:
        KeyFileError, VaultError: with what to do.
    """
    return KeyRing.open(
        settings.keys_dir,
        organisation=settings.organisation,
        service=service_of(settings.keys.command),
    )


def catalog_of(settings: Settings) -> Catalog:
    """The models that the settings name; the embedded one first."""
    return Catalog.load([settings.catalog.path] if settings.catalog.path else [])


@contextlib.asynccontextmanager
async def open_moderator(settings: Settings, *, policy_path: Path | None) -> AsyncIterator[Moderator]:
    """Moderation alone, for dry runs: no database, no keys."""
    policy = Policy.load(policy_path) if policy_path else policy_of(settings)
    moderator = Moderator.open(policy, embed=SentenceEncoder().embed, fingerprint=fingerprint)
    try:
        yield moderator  # rules are loaded with the first prompt or picture, whichever comes
    finally:
        moderator.close()


@contextlib.asynccontextmanager
async def open_app(settings: Settings, *, platforms: Sequence[Platform] = ()) -> AsyncIterator[App]:
    """Open database, keys and every room; closes them at the end.

    Raises:
        ConfigurationError, KeyFileError, PolicyError, LicenseError, ModelLoadError: with what to do.
    """
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigurationError(
            f"the data folder {settings.data_dir} cannot be made: {error.strerror}", setting="VERSO_DATA_DIR"
        ) from error
    keys = open_keys(settings)
    database = open_database(settings.database_url)
    encoder = SentenceEncoder()
    protections = Protections(database)
    training = TrainingPictures.of(catalog_of(settings))
    moderator = Moderator.open(
        policy_of(settings),
        embed=encoder.embed,
        protected=protections.current,
        fingerprint=fingerprint,
        near_copy=training.likeness,
    )
    try:
        await migrate(database)
        app = _build(
            settings,
            keys=keys,
            database=database,
            moderator=moderator,
            protections=protections,
            encoder=encoder,
            training=training,
            platforms=platforms,
        )
        await app.ledger.record_rotations()
        await app.policies.enter()
        try:
            yield app
        finally:
            await app.courier.close()
    finally:
        moderator.close()
        await database.dispose()


def _build(
    settings: Settings,
    *,
    keys: KeyRing,
    database: AsyncEngine,
    moderator: Moderator,
    protections: Protections,
    encoder: SentenceEncoder,
    training: TrainingPictures,
    platforms: Sequence[Platform],
) -> App:
    catalog, licenses = catalog_of(settings), LicenseCatalog.load()
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
    publications = Publications(database)
    acceptances = Acceptances(database, ledger=ledger)
    releases = Releases(database, ledger=ledger, vault=vault)
    # The ledger's key vouches for the credentials' root: one published key is enough to trust both.
    credentials = Credentials(
        chain_pem=keys.c2pa_chain,
        key_pem=keys.c2pa_key,
        generator_version=VERSION,
        verifier_key=keys.ledger_verifier_key,
        root_endorsement=endorse_root(root_of(keys.c2pa_chain), keys.ledger_signer),
    )
    queue = JobQueue(
        database,
        seal=vault.seal,
        unseal=vault.unseal,
        limits=QueueLimits(user_jobs=settings.quota.jobs_in_flight),
    )
    blobs = FolderBlobStore(settings.blobs_dir)
    progress = ProgressBoard()
    decisions = Decisions(database, seal=vault.seal, unseal=vault.unseal)
    reviews = Reviews(database, seal=vault.seal, unseal=vault.unseal)
    strikes = Strikes(database, policy=moderator.policy.strikes)
    posts = Posts(database, seal=vault.seal, unseal=vault.unseal)
    withheld, gallery, takedowns = Withheld(database), Gallery(database), Takedowns(database)
    replies = Replies(moderator.policy)
    scorers = Scorers(embed=encoder.embed, clip_folder=settings.clip_folder)
    quota = Quota(queue, plans=plans_of(settings))
    by_name = {platform.name: platform for platform in platforms}
    quarantine = QuarantineRoom(
        engine=database,
        quarantine=Quarantine(database, keep_ms=settings.retention.quarantine_days * 86_400_000),
        queue=queue,
        releases=releases,
        decisions=decisions,
        reviews=reviews,
        blobs=blobs,
        vault=vault,
        ledger=ledger,
    )
    sources = Sources(queue=queue, releases=releases, vault=vault, blobs=blobs, withheld=withheld)
    imagine = Imagine(
        catalog=catalog,
        licenses=licenses,
        acceptances=acceptances,
        vault=vault,
        ledger=ledger,
        quota=quota,
        moderator=moderator,
        decisions=decisions,
        reviews=reviews,
        strikes=strikes,
        queue=queue,
        posts=posts,
        close_off=quarantine.words,
        standing=sources.standing,
        gate=Gate(licenses, **dict(settings.workspace)),
    )
    marks = MarkKeys({1: keys.mark_key})
    finisher = Finisher(
        queue=queue,
        blobs=blobs,
        vault=vault,
        check=ImageCheck(
            moderator=moderator,
            decisions=decisions,
            reviews=reviews,
            withheld=withheld,
            close_off=quarantine.picture,
            nearest=training.nearest,
        ),
        decisions=decisions,
        catalog=catalog,
        licenses=licenses,
        credentials=credentials,
        releases=releases,
        imagine=imagine,
        sources=sources,
        ranking=Ranking(catalog=catalog, scorer=scorers.of),
        ledger=ledger,
        marks=marks,
        provider=settings.organisation,
        generator=f"Verso {VERSION}",
    )
    take_down = TakeDown(
        engine=database, takedowns=takedowns, gallery=gallery, releases=releases, vault=vault
    )
    courier = Courier(
        queue=queue,
        outbox=Outbox(database),
        finisher=finisher,
        releases=releases,
        catalog=catalog,
        posts=posts,
        progress=progress,
        replies=replies,
        platforms=by_name,
        on_removed=take_down.removed,
    )
    iterate = Iterate(
        imagine=imagine, catalog=catalog, queue=queue, releases=releases, vault=vault, sources=sources
    )
    next_steps = open_next_steps(
        iterate,
        moderator=moderator,
        uploads=Uploads(
            moderator=moderator,
            decisions=decisions,
            strikes=strikes,
            vault=vault,
            close_off=quarantine.words,
        ),
        blend=functools.partial(Blend, imagine=imagine, catalog=catalog, sources=sources, vault=vault),
        training=training,
        courier=courier,
        replies=replies,
    )
    review_room = ReviewRoom(
        moderator=moderator,
        reviews=reviews,
        strikes=strikes,
        decisions=decisions,
        imagine=imagine,
        ledger=ledger,
        vault=vault,
        posts=posts,
        queue=queue,
        blobs=blobs,
    )
    reader = MarkReader(marks, Originals(queue=queue, blobs=blobs, vault=vault))
    lookup = Lookup(database, credentials=credentials, vault=vault, reader=reader)
    credits_ = Credits(releases=releases, queue=queue, hidden=withheld.images)
    accounts = Accounts(
        engine=database,
        vault=vault,
        ledger=ledger,
        acceptances=acceptances,
        releases=releases,
        decisions=decisions,
        reviews=reviews,
        strikes=strikes,
        queue=queue,
        posts=posts,
        blobs=blobs,
        forget_pictures=lookup.forget,
        withheld=withheld,
        credits_=credits_,
    )
    room = EvidenceRoom(
        database,
        ledger=ledger,
        publications=publications,
        vault=vault,
        releases=releases,
        get_blob=blobs.get,
    )
    who_made = WhoMade(lookup=lookup, releases=releases, vault=vault, ledger=ledger)
    protect = Protect(
        protections=protections, takedowns=takedowns, gallery=gallery, vault=vault, ledger=ledger
    )
    digest = Digest(
        moderator=moderator,
        decisions=decisions,
        reviews=reviews,
        takedowns=takedowns,
        vault=vault,
        notices=Notices(database),
        platforms=by_name,
        channels=channels_of(settings),
    )
    policies = Policies(
        load=functools.partial(policy_of, settings),
        moderator=moderator,
        strikes=strikes,
        replies=replies,
        log=PolicyLog(database),
        ledger=ledger,
    )
    people = People(vault=vault, strikes=strikes, queue=queue)
    moderators = Moderators(
        reviews=review_room,
        dry_run=DryRun(moderator),
        protect=protect,
        take_down=take_down,
        quarantine=quarantine,
        digest=digest,
        policies=policies,
        accounts=accounts,
        people=people,
        courier=courier,
        replies=replies,
    )
    handle = Conversation(
        imagine=imagine,
        iterate=iterate,
        reviews=review_room,
        moderators=moderators,
        quota=quota,
        who_made=who_made,
        accounts=accounts,
        next_steps=next_steps,
        rights=Rights(accounts=accounts, vault=vault, credits_=credits_, license_of=names_of(licenses)),
        courier=courier,
        queue=queue,
        catalog=catalog,
        licenses=licenses,
        acceptances=acceptances,
        vault=vault,
        replies=replies,
    )
    return App(
        settings=settings,
        database=database,
        keys=keys,
        vault=vault,
        ledger=ledger,
        publications=publications,
        publisher=publisher_of(settings, publications, platforms=by_name),
        licenses=licenses,
        acceptances=acceptances,
        releases=releases,
        evidence=Evidence(room=room, lookup=lookup, vault=vault, withheld=withheld),
        catalog=catalog,
        queue=queue,
        blobs=blobs,
        moderator=moderator,
        decisions=decisions,
        reviews=reviews,
        strikes=strikes,
        posts=posts,
        replies=replies,
        imagine=imagine,
        iterate=iterate,
        next_steps=next_steps,
        review_room=review_room,
        protect=protect,
        take_down=take_down,
        withheld=withheld,
        quarantine=quarantine,
        digest=digest,
        policies=policies,
        replay=Replay(decisions=decisions, ledger=ledger),
        accounts=accounts,
        people=people,
        credits=credits_,
        who_made=who_made,
        retention=Retention(engine=database, blobs=blobs, posts=posts, days=settings.retention.days),
        sweep=Sweep(engine=database, blobs=blobs, waiting_s=moderator.policy.appeal_hours * 3600),
        uninstall=Uninstall(
            departures=Departures(database),
            vault=vault,
            accounts=accounts,
            days=settings.retention.uninstall_days,
        ),
        quota=quota,
        finisher=finisher,
        courier=courier,
        handle=handle,
        platforms=by_name,
        screener=functools.partial(
            Moderator.open, embed=encoder.embed, protected=protections.current, fingerprint=fingerprint
        ),
        engine=functools.partial(_engine, settings, catalog, encoder),
        worker=functools.partial(
            Worker, queue, blobs=blobs, progress=progress, seal=vault.seal, unseal=vault.unseal
        ),
    )


def _engine(settings: Settings, catalog: Catalog, encoder: SentenceEncoder) -> Engine:
    return Engine(
        catalog,
        device=settings.engine.device or best_device(),
        threads=settings.engine.threads or None,
        knees=load_knees(knees_file(settings)),
        services={"embed": encoder.embed},
    )
