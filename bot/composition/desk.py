"""The use cases of moderators: reviews, protection, take-downs, policies, people."""

from __future__ import annotations

import dataclasses
import functools

from sqlalchemy.ext.asyncio import AsyncEngine

from bot.composition.answers import Answers
from bot.composition.configured import channels_of, policy_of
from bot.composition.guard import Guard
from bot.composition.making import Making
from bot.composition.record import Record
from bot.composition.studio import Studio
from bot.moderators import Moderators
from bot.notices import Notices
from bot.platforms.base import Platform
from bot.posts import Posts
from bot.replies import Replies
from bot.settings import Settings
from bot.usecases.digest import Digest
from bot.usecases.dry_run import DryRun
from bot.usecases.people import People
from bot.usecases.policies import Policies
from bot.usecases.protect import Protect
from bot.usecases.review import ReviewRoom
from moderation.policies import PolicyLog


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Desk:
    """What moderators work with."""

    review_room: ReviewRoom
    protect: Protect
    digest: Digest
    policies: Policies
    people: People
    moderators: Moderators


def open_desk(
    settings: Settings,
    *,
    record: Record,
    studio: Studio,
    guard: Guard,
    making: Making,
    answers: Answers,
    database: AsyncEngine,
    posts: Posts,
    replies: Replies,
    platforms: dict[str, Platform],
) -> Desk:
    """Build the moderators' use cases."""
    vault, ledger, moderator, strikes = record.vault, record.ledger, guard.moderator, guard.strikes
    review_room = ReviewRoom(
        moderator=moderator,
        reviews=guard.reviews,
        strikes=strikes,
        decisions=guard.decisions,
        imagine=making.imagine,
        ledger=ledger,
        vault=vault,
        posts=posts,
        queue=studio.queue,
        blobs=studio.blobs,
    )
    protect = Protect(
        protections=guard.protections,
        takedowns=guard.takedowns,
        gallery=record.gallery,
        vault=vault,
        ledger=ledger,
    )
    digest = Digest(
        moderator=moderator,
        decisions=guard.decisions,
        reviews=guard.reviews,
        takedowns=guard.takedowns,
        vault=vault,
        notices=Notices(database),
        platforms=platforms,
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
    people = People(vault=vault, ledger=ledger, strikes=strikes, queue=studio.queue)
    moderators = Moderators(
        reviews=review_room,
        dry_run=DryRun(moderator),
        protect=protect,
        take_down=making.take_down,
        quarantine=guard.quarantine,
        digest=digest,
        policies=policies,
        accounts=answers.accounts,
        people=people,
        courier=making.courier,
        replies=replies,
    )
    return Desk(
        review_room=review_room,
        protect=protect,
        digest=digest,
        policies=policies,
        people=people,
        moderators=moderators,
    )
