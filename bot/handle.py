"""Answers every command of every platform: command in, reply out."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from attribution.acceptance import Acceptances
from attribution.errors import AttributionError
from attribution.licenses import LicenseCatalog
from attribution.vault import Vault
from bot import account_replies, review_replies
from bot.conversation import (
    AskCommand,
    BlendCommand,
    Button,
    ButtonCommand,
    CancelCommand,
    Command,
    DescribeCommand,
    ExtendCommand,
    Field,
    ImagineCommand,
    ModerationCommand,
    ProtectCommand,
    Reply,
    ReviewCommand,
    ScreenCommand,
    UpscaleCommand,
    VaryCommand,
    WhoMadeCommand,
)
from bot.errors import BotError
from bot.moderators import Moderators
from bot.next_steps import NextSteps
from bot.replies import Replies
from bot.rights import Rights
from bot.usecases.account import Accounts
from bot.usecases.deliver import Courier
from bot.usecases.imagine import Imagine
from bot.usecases.iterate import Deleted, Iterate
from bot.usecases.lookup import WhoMade
from bot.usecases.outcomes import Accepted, ImagineOutcome
from bot.usecases.quota import Quota
from bot.usecases.request import subject_of
from bot.usecases.review import ReviewRoom
from bot.words import duration, when
from generation.catalog import Catalog
from generation.errors import GenerationError
from generation.queue import JobQueue
from moderation.errors import ModerationError

log = logging.getLogger(__name__)


class Conversation:
    """Dispatches commands to use cases and lets `Replies` choose the words."""

    def __init__(
        self,
        *,
        imagine: Imagine,
        iterate: Iterate,
        reviews: ReviewRoom,
        moderators: Moderators,
        quota: Quota,
        who_made: WhoMade,
        accounts: Accounts,
        rights: Rights,
        next_steps: NextSteps,
        courier: Courier,
        queue: JobQueue,
        catalog: Catalog,
        licenses: LicenseCatalog,
        acceptances: Acceptances,
        vault: Vault,
        replies: Replies,
    ) -> None:
        self._imagine, self._iterate, self._reviews = imagine, iterate, reviews
        self._moderators, self._rights, self._next = moderators, rights, next_steps
        self._quota, self._who_made, self._courier = quota, who_made, courier
        self._accounts, self._licenses, self._acceptances = accounts, licenses, acceptances
        self._queue, self._catalog, self._vault = queue, catalog, vault
        self._replies = replies
        self._buttons: dict[str, Callable[[ButtonCommand], Awaitable[Reply]]] = {
            "accept": self._accept,
            "decline": self._decline,
            "cancel": self._cancel,
            "delete": self._delete,
            "whomade": self._made_by,
            "appeal": self._appeal,
            **moderators.buttons,
            **rights.buttons,
            **next_steps.buttons,
        }

    async def __call__(self, command: Command) -> Reply:
        """Answer a command; never raises for anything a person did."""
        try:
            return await self._answer(command)
        except (BotError, GenerationError, ModerationError, AttributionError) as error:
            log.info("command refused: %s", getattr(error, "code", type(error).__name__))
            return self._replies.explain(error)

    async def _answer(self, command: Command) -> Reply:
        match command:
            case ImagineCommand():
                return await self._drawn(await self._imagine(command))
            case VaryCommand() | UpscaleCommand() | ExtendCommand() | BlendCommand() | DescribeCommand():
                return await self._next(command)
            case ButtonCommand():
                return await self._clicked(command)
            case AskCommand():
                return await self._asked(command)
            case CancelCommand():
                return await self._cancel(command)
            case WhoMadeCommand():
                if spent := await self._who_made.spent(command.origin):
                    return account_replies.lookups_spent(spent)
                return account_replies.who_made(
                    await self._who_made.find(command.image, origin=command.origin)
                )
            case ReviewCommand() | ModerationCommand() | ProtectCommand() | ScreenCommand():
                return await self._moderators(command)

    async def _drawn(self, outcome: ImagineOutcome) -> Reply:
        if isinstance(outcome, Accepted) and outcome.created:
            await self._courier.announce(outcome.job)
        return self._replies.imagine(outcome)

    async def _clicked(self, command: ButtonCommand) -> Reply:
        answer = self._buttons.get(command.name)
        if answer is None:
            return Reply(text="This button is no longer known.", tone="warning")
        return await answer(command)

    async def _accept(self, command: ButtonCommand) -> Reply:
        outcome = await self._imagine.resume(command.origin, command.target)
        if outcome is None:
            return Reply(text="This request is gone: please ask again.", tone="warning")
        return await self._drawn(outcome)

    async def _decline(self, command: ButtonCommand) -> Reply:
        await self._imagine.drop(command.origin, command.target)
        return Reply(text="Nothing was recorded and nothing is drawn. You can ask again at any time.")

    async def _cancel(self, command: ButtonCommand | CancelCommand) -> Reply:
        job_id = command.target if isinstance(command, ButtonCommand) else command.job_id
        return self._replies.cancelled(await self._iterate.cancel(command.origin, job_id))

    async def _delete(self, command: ButtonCommand) -> Reply:
        deleted = await self._iterate.delete(command.origin, command.target)
        if isinstance(deleted, Deleted):
            await self._courier.remove(deleted.job)
        return self._replies.deleted(deleted)

    async def _made_by(self, command: ButtonCommand) -> Reply:
        if spent := await self._who_made.spent(command.origin):
            return account_replies.lookups_spent(spent)
        return account_replies.made_by(await self._who_made.by_id(command.origin, command.target))

    async def _appeal(self, command: ButtonCommand) -> Reply:
        outcome = await self._reviews.appeal(command.origin, command.target, text=command.text)
        return review_replies.appealed(outcome)

    async def _asked(self, command: AskCommand) -> Reply:
        origin = command.origin
        if command.what in {"mydata", "forgetme"}:
            return await self._rights(command)
        subject = await subject_of(self._vault, origin)
        match command.what:
            case "quota":
                return self._replies.quota(await self._quota.state(subject, origin))
            case "models":
                return account_replies.models(self._catalog)
            case "terms":
                license_ = self._licenses.get(self._catalog.get(None).license_id)
                accepted = await self._acceptances.of(subject, license_.id, license_.version)
                return account_replies.terms(
                    license_, accepted_at=when(accepted.accepted_ms) if accepted else None
                )
            case "history":
                return account_replies.history(await self._accounts.show(subject))
            case _:  # the queue
                jobs = await self._queue.active(subject)
                if not jobs:
                    return Reply(text="Nothing of yours is waiting.")
                fields = []
                for job in jobs:
                    place = await self._queue.place(job.id)
                    wait = "" if place.eta_s is None else f", about {duration(place.eta_s)}"
                    state = "being drawn" if place.place == 0 else f"place {place.place}"
                    state += ", paused by the operator" if place.paused else ""
                    fields.append(Field(label=f"{state}{wait}", value=f"since {when(job.created_ms)}"))
                buttons = tuple(_cancel_button(job.id, n) for n, job in enumerate(jobs[:5], 1))
                return Reply(
                    title="Your requests", text="Oldest first.", fields=tuple(fields), buttons=buttons
                )


def _cancel_button(job_id: str, number: int) -> Button:
    return Button(name="cancel", target=job_id, label=f"Cancel {number}")
