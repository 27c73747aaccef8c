"""The use cases that make pictures."""

from __future__ import annotations

import dataclasses
import functools

from sqlalchemy.ext.asyncio import AsyncEngine

from bot.composition.guard import Guard
from bot.composition.record import Record
from bot.composition.studio import Studio
from bot.gates import Gate
from bot.next_steps import NextSteps, open_next_steps
from bot.platforms.base import Platform
from bot.posts import Posts
from bot.replies import Replies
from bot.settings import Settings
from bot.usecases.blend import Blend
from bot.usecases.deliver import Courier
from bot.usecases.extend import Extend
from bot.usecases.finish import Finisher
from bot.usecases.image_check import ImageCheck
from bot.usecases.imagine import Imagine
from bot.usecases.inpaint import Inpaint
from bot.usecases.iterate import Iterate
from bot.usecases.ranking import Ranking
from bot.usecases.sources import Sources
from bot.usecases.takedown import TakeDown
from bot.usecases.uploads import Uploads
from generation.outbox import Outbox
from generation.similarity import Scorers


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Making:
    """The way of a request: asked, drawn, checked, posted, gone on from."""

    sources: Sources
    imagine: Imagine
    finisher: Finisher
    take_down: TakeDown
    courier: Courier
    iterate: Iterate
    next_steps: NextSteps


def open_making(
    settings: Settings,
    record: Record,
    studio: Studio,
    guard: Guard,
    database: AsyncEngine,
    *,
    posts: Posts,
    replies: Replies,
    platforms: dict[str, Platform],
    version: str,
) -> Making:
    """Build the use cases that make pictures."""
    catalog, queue, vault, releases = studio.catalog, studio.queue, record.vault, record.releases
    sources = Sources(
        queue=queue, releases=releases, vault=vault, blobs=studio.blobs, withheld=guard.withheld
    )
    imagine = Imagine(
        catalog=catalog,
        licenses=record.licenses,
        acceptances=record.acceptances,
        vault=vault,
        ledger=record.ledger,
        quota=studio.quota,
        moderator=guard.moderator,
        decisions=guard.decisions,
        reviews=guard.reviews,
        strikes=guard.strikes,
        queue=queue,
        posts=posts,
        close_off=guard.quarantine.words,
        standing=sources.standing,
        gate=Gate(record.licenses, **dict(settings.workspace)),
    )
    scorers = Scorers(embed=studio.encoder.embed, clip_folder=settings.clip_folder)
    finisher = Finisher(
        queue=queue,
        blobs=studio.blobs,
        vault=vault,
        check=ImageCheck(
            moderator=guard.moderator,
            decisions=guard.decisions,
            reviews=guard.reviews,
            withheld=guard.withheld,
            close_off=guard.quarantine.picture,
            nearest=studio.training.nearest,
        ),
        decisions=guard.decisions,
        catalog=catalog,
        licenses=record.licenses,
        credentials=record.credentials,
        releases=releases,
        imagine=imagine,
        sources=sources,
        ranking=Ranking(catalog=catalog, scorer=scorers.of),
        ledger=record.ledger,
        marks=record.marks,
        provider=settings.organisation,
        generator=f"Verso {version}",
    )
    take_down = TakeDown(
        engine=database, takedowns=guard.takedowns, gallery=record.gallery, releases=releases, vault=vault
    )
    courier = Courier(
        queue=queue,
        outbox=Outbox(database),
        finisher=finisher,
        releases=releases,
        catalog=catalog,
        posts=posts,
        progress=studio.progress,
        replies=replies,
        platforms=platforms,
        on_removed=take_down.removed,
    )
    iterate = Iterate(
        imagine=imagine, catalog=catalog, queue=queue, releases=releases, vault=vault, sources=sources
    )
    next_steps = open_next_steps(
        iterate,
        extend=Extend(imagine=imagine, catalog=catalog, queue=queue, sources=sources, clicks=iterate.clicks),
        moderator=guard.moderator,
        uploads=Uploads(
            moderator=guard.moderator,
            decisions=guard.decisions,
            strikes=guard.strikes,
            vault=vault,
            close_off=guard.quarantine.words,
        ),
        inpaint=functools.partial(Inpaint, imagine=imagine, catalog=catalog, queue=queue, sources=sources),
        blend=functools.partial(Blend, imagine=imagine, catalog=catalog, sources=sources, vault=vault),
        training=studio.training,
        courier=courier,
        replies=replies,
    )
    return Making(
        sources=sources,
        imagine=imagine,
        finisher=finisher,
        take_down=take_down,
        courier=courier,
        iterate=iterate,
        next_steps=next_steps,
    )
