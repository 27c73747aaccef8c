"""Builds the house from the parts in `bot.composition`: only there do concrete classes of all trades meet.

Building it loads neither torch nor a chat SDK: engines and clients are made when they are started.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from attribution.departures import Departures
from attribution.keys import KeyRing
from bot.composition.answers import open_answers
from bot.composition.app import App
from bot.composition.configured import catalog_of, engine_of, open_keys, policy_of, publisher_of
from bot.composition.desk import open_desk
from bot.composition.guard import open_guard
from bot.composition.image_servers import slots_of
from bot.composition.making import open_making
from bot.composition.record import open_record
from bot.composition.studio import open_studio
from bot.database import open_database
from bot.errors import ConfigurationError
from bot.handle import Conversation
from bot.nearest import TrainingPictures
from bot.platforms.base import Platform
from bot.posts import Posts
from bot.replies import Replies
from bot.schema import migrate
from bot.settings import Settings
from bot.usecases.protect import fingerprint
from bot.usecases.replay import Replay
from bot.usecases.retention import Retention
from bot.usecases.sweep import Sweep
from bot.usecases.uninstall import Uninstall
from generation.worker import Worker
from moderation.embedding import SentenceEncoder
from moderation.moderator import Moderator
from moderation.policy import Policy
from moderation.protections import Protections

VERSION = importlib.metadata.version("verso-bot")


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
        await app.erasures.settle()
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
    record = open_record(settings, keys, database, version=VERSION)
    studio = open_studio(settings, record, database, encoder=encoder, training=training)
    guard = open_guard(settings, record, studio, database, moderator=moderator, protections=protections)
    posts = Posts(database, seal=record.vault.seal, unseal=record.vault.unseal)
    replies = Replies(moderator.policy)
    by_name = {platform.name: platform for platform in platforms}
    making = open_making(
        settings,
        record,
        studio,
        guard,
        database,
        posts=posts,
        replies=replies,
        platforms=by_name,
        version=VERSION,
    )
    answers = open_answers(settings, record, studio, guard, database)
    desk = open_desk(
        settings,
        record=record,
        studio=studio,
        guard=guard,
        making=making,
        answers=answers,
        database=database,
        posts=posts,
        replies=replies,
        platforms=by_name,
    )
    handle = Conversation(
        imagine=making.imagine,
        iterate=making.iterate,
        reviews=desk.review_room,
        moderators=desk.moderators,
        quota=studio.quota,
        who_made=answers.who_made,
        accounts=answers.accounts,
        next_steps=making.next_steps,
        rights=answers.rights,
        courier=making.courier,
        queue=studio.queue,
        catalog=studio.catalog,
        licenses=record.licenses,
        acceptances=record.acceptances,
        vault=record.vault,
        replies=replies,
    )
    return App(
        settings=settings,
        database=database,
        keys=record.keys,
        vault=record.vault,
        ledger=record.ledger,
        publications=record.publications,
        publisher=publisher_of(settings, record.publications, platforms=by_name),
        licenses=record.licenses,
        acceptances=record.acceptances,
        releases=record.releases,
        evidence=answers.evidence,
        catalog=studio.catalog,
        queue=studio.queue,
        blobs=studio.blobs,
        moderator=moderator,
        decisions=guard.decisions,
        reviews=guard.reviews,
        strikes=guard.strikes,
        posts=posts,
        replies=replies,
        imagine=making.imagine,
        iterate=making.iterate,
        next_steps=making.next_steps,
        review_room=desk.review_room,
        protect=desk.protect,
        take_down=making.take_down,
        withheld=guard.withheld,
        quarantine=guard.quarantine,
        digest=desk.digest,
        policies=desk.policies,
        replay=Replay(decisions=guard.decisions, ledger=record.ledger),
        accounts=answers.accounts,
        erasures=record.erasures,
        people=desk.people,
        credits=answers.credits,
        who_made=answers.who_made,
        retention=Retention(engine=database, blobs=studio.blobs, posts=posts, days=settings.retention.days),
        sweep=Sweep(engine=database, blobs=studio.blobs, waiting_s=moderator.policy.appeal_hours * 3600),
        uninstall=Uninstall(
            departures=Departures(database),
            vault=record.vault,
            accounts=answers.accounts,
            days=settings.retention.uninstall_days,
        ),
        quota=studio.quota,
        finisher=making.finisher,
        courier=making.courier,
        handle=handle,
        platforms=by_name,
        screener=functools.partial(
            Moderator.open, embed=encoder.embed, protected=protections.current, fingerprint=fingerprint
        ),
        engine=functools.partial(engine_of, settings, studio.catalog, encoder),
        worker=functools.partial(
            Worker,
            studio.queue,
            blobs=studio.blobs,
            progress=studio.progress,
            seal=record.vault.seal,
            unseal=record.vault.unseal,
            slots=slots_of(studio.catalog),
        ),
    )
