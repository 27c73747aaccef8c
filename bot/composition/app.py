"""The running house, as commands and platforms see it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncEngine

from attribution.acceptance import Acceptances
from attribution.erasures import Erasures
from attribution.keys import KeyRing
from attribution.ledger import Ledger
from attribution.licenses import LicenseCatalog
from attribution.publications import Publications
from attribution.releases import Releases
from attribution.vault import Vault
from bot.handle import Conversation
from bot.next_steps import NextSteps
from bot.platforms.base import Platform
from bot.posts import Posts
from bot.replies import Replies
from bot.settings import Settings
from bot.usecases.account import Accounts
from bot.usecases.credits import Credits
from bot.usecases.deliver import Courier
from bot.usecases.digest import Digest
from bot.usecases.evidence import Evidence
from bot.usecases.finish import Finisher
from bot.usecases.imagine import Imagine
from bot.usecases.iterate import Iterate
from bot.usecases.lookup import WhoMade
from bot.usecases.people import People
from bot.usecases.policies import Policies
from bot.usecases.protect import Protect
from bot.usecases.publish import Publisher
from bot.usecases.quarantine import QuarantineRoom
from bot.usecases.quota import Quota
from bot.usecases.replay import Replay
from bot.usecases.retention import Retention
from bot.usecases.review import ReviewRoom
from bot.usecases.sweep import Sweep
from bot.usecases.takedown import TakeDown
from bot.usecases.uninstall import Uninstall
from generation.blobs import FolderBlobStore
from generation.catalog import Catalog
from generation.engine import Engine
from generation.queue import JobQueue
from generation.worker import Worker
from moderation.decisions import Decisions
from moderation.moderator import Moderator
from moderation.policy import Policy
from moderation.reviews import Reviews
from moderation.strikes import Strikes
from moderation.withheld import Withheld


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
    erasures: Erasures
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
