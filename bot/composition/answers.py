"""The use cases that answer: whose picture is it, what is kept of me, what proves it."""

from __future__ import annotations

import dataclasses

from sqlalchemy.ext.asyncio import AsyncEngine

from attribution.evidence import EvidenceRoom
from attribution.lookup import Lookup
from attribution.lookup_times import LookupTimes
from attribution.made_from import MadeFrom
from attribution.mark_reader import MarkReader
from bot.account_copy import names_of
from bot.composition.guard import Guard
from bot.composition.record import Record
from bot.composition.studio import Studio
from bot.rights import Rights
from bot.settings import Settings
from bot.usecases.account import Accounts
from bot.usecases.credits import Credits
from bot.usecases.evidence import Evidence
from bot.usecases.lookup import WhoMade
from bot.usecases.lookup_limit import LookupLimit
from bot.usecases.originals import Originals
from bot.usecases.report_pictures import ReportPictures


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What members and operators can ask of the record."""

    lookup: Lookup
    credits: Credits
    accounts: Accounts
    evidence: Evidence
    who_made: WhoMade
    rights: Rights


def open_answers(
    settings: Settings, record: Record, studio: Studio, guard: Guard, database: AsyncEngine
) -> Answers:
    """Build the use cases that answer from the record."""
    queue, blobs, vault, ledger, releases = (
        studio.queue,
        studio.blobs,
        record.vault,
        record.ledger,
        record.releases,
    )
    reader = MarkReader(record.marks, Originals(queue=queue, blobs=blobs, vault=vault))
    lookup = Lookup(database, credentials=record.credentials, vault=vault, reader=reader)
    credits_ = Credits(releases=releases, queue=queue, hidden=guard.withheld.images)
    accounts = Accounts(
        engine=database,
        vault=vault,
        ledger=ledger,
        acceptances=record.acceptances,
        releases=releases,
        erasures=record.erasures,
        blobs=blobs,
        forget_pictures=lookup.forget,
        withheld=guard.withheld,
        credits_=credits_,
    )
    shown = ReportPictures(queue=queue, blobs=blobs, vault=vault, withheld=guard.withheld)
    room = EvidenceRoom(
        database,
        ledger=ledger,
        publications=record.publications,
        vault=vault,
        releases=releases,
        get_blob=blobs.get,
        made_from=MadeFrom(releases, source=shown.source, parent=shown.parent, reference=shown.reference),
    )
    limit = LookupLimit(LookupTimes(database), vault=vault, per_hour=settings.lookup.per_hour)
    return Answers(
        lookup=lookup,
        credits=credits_,
        accounts=accounts,
        evidence=Evidence(room=room, lookup=lookup, vault=vault, withheld=guard.withheld),
        who_made=WhoMade(lookup=lookup, releases=releases, vault=vault, ledger=ledger, limit=limit),
        rights=Rights(
            accounts=accounts, vault=vault, credits_=credits_, license_of=names_of(record.licenses)
        ),
    )
