"""Moderation: the moderator, its decisions, and what it has closed off."""

from __future__ import annotations

import dataclasses

from sqlalchemy.ext.asyncio import AsyncEngine

from bot.composition.record import Record
from bot.composition.studio import Studio
from bot.settings import Settings
from bot.usecases.quarantine import QuarantineRoom
from moderation.decisions import Decisions
from moderation.moderator import Moderator
from moderation.protections import Protections
from moderation.quarantine import Quarantine
from moderation.reviews import Reviews
from moderation.strikes import Strikes
from moderation.takedowns import Takedowns
from moderation.withheld import Withheld


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Guard:
    """What screens prompts and pictures, and what it has decided."""

    moderator: Moderator
    protections: Protections
    decisions: Decisions
    reviews: Reviews
    strikes: Strikes
    withheld: Withheld
    takedowns: Takedowns
    quarantine: QuarantineRoom


def open_guard(
    settings: Settings,
    record: Record,
    studio: Studio,
    database: AsyncEngine,
    *,
    moderator: Moderator,
    protections: Protections,
) -> Guard:
    """Build it around a moderator that is open already."""
    vault = record.vault
    decisions = Decisions(database, seal=vault.seal, unseal=vault.unseal)
    reviews = Reviews(database, seal=vault.seal, unseal=vault.unseal)
    quarantine = QuarantineRoom(
        engine=database,
        quarantine=Quarantine(database, keep_ms=settings.retention.quarantine_days * 86_400_000),
        queue=studio.queue,
        releases=record.releases,
        decisions=decisions,
        reviews=reviews,
        blobs=studio.blobs,
        vault=vault,
        ledger=record.ledger,
    )
    return Guard(
        moderator=moderator,
        protections=protections,
        decisions=decisions,
        reviews=reviews,
        strikes=Strikes(database, policy=moderator.policy.strikes),
        withheld=Withheld(database),
        takedowns=Takedowns(database),
        quarantine=quarantine,
    )
