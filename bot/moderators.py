"""Answers moderators' commands: reviews, rights holders, quarantine, figures and dry runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import cast

from bot import account_replies, people_replies, review_replies, rights_replies
from bot.conversation import (
    ButtonCommand,
    ModerationCommand,
    ModerationStep,
    ModeratorsCommand,
    ProtectCommand,
    Reply,
    ReviewCommand,
    ReviewStep,
    ScreenCommand,
)
from bot.replies import Replies
from bot.rights_replies import SHOWN
from bot.usecases.account import Accounts
from bot.usecases.deliver import Courier
from bot.usecases.digest import Digest
from bot.usecases.dry_run import DryRun
from bot.usecases.people import People, Stands, Stopped
from bot.usecases.policies import Policies
from bot.usecases.protect import Protect, ProtectRequest
from bot.usecases.quarantine import QuarantineRoom
from bot.usecases.request import clean_prompt
from bot.usecases.review import OUTCOMES, Decided, ReviewRoom
from bot.usecases.takedown import TakeDown
from bot.words import moment_ms
from moderation.types import Action


class Moderators:
    """Dispatches moderators' commands; each use case checks the right, whoever asks."""

    def __init__(
        self,
        *,
        reviews: ReviewRoom,
        dry_run: DryRun,
        protect: Protect,
        take_down: TakeDown,
        quarantine: QuarantineRoom,
        digest: Digest,
        policies: Policies,
        accounts: Accounts,
        people: People,
        courier: Courier,
        replies: Replies,
    ) -> None:
        self._reviews, self._dry_run, self._courier = reviews, dry_run, courier
        self._protect, self._take_down, self._quarantine = protect, take_down, quarantine
        self._digest, self._policies, self._replies = digest, policies, replies
        self._accounts, self._people = accounts, people
        self.buttons: Mapping[str, Callable[[ButtonCommand], Awaitable[Reply]]] = {
            **dict.fromkeys(("review", *OUTCOMES), self._review_clicked),
            **dict.fromkeys(("takedown", "takedown_confirm", "takedown_dismiss"), self._clicked),
        }

    async def __call__(self, command: ModeratorsCommand) -> Reply:
        """Answer a command.

        Raises:
            BotError, ModerationError, AttributionError: what cannot be done, for `Replies.explain`.
        """
        match command:
            case ReviewCommand():
                return await self._reviewed(command)
            case ScreenCommand(origin=origin, prompt=prompt, negative_prompt=negative):
                screened = await self._dry_run(origin, prompt, negative=negative)
                return people_replies.screened(screened, clause=self._replies.clause)
            case ProtectCommand():
                request = ProtectRequest(
                    kind=command.kind,
                    term=command.term,
                    image=command.image,
                    action=Action.BLOCK if command.block else Action.HOLD,
                    requested_by=command.requested_by,
                    reason=command.reason,
                    received_ms=moment_ms(command.received) if command.received else None,
                )
                return rights_replies.protected(await self._protect.add(command.origin, request))
            case ModerationCommand(target=target):
                return await self._did(replace(command, target=clean_prompt(target, field="id")))

    async def _did(self, command: ModerationCommand) -> Reply:
        origin, target = command.origin, command.target
        match command.step:
            case "quarantined":
                return people_replies.cases(await self._quarantine.cases(origin), most=SHOWN)
            case "quarantine":
                return people_replies.closed_off(await self._quarantine.mark(origin, target))
            case "quarantine_lift":
                return people_replies.lifted(await self._quarantine.lift(origin, target))
            case "digest":
                alerts = await self._digest.alerts_in(origin)
                return replace(people_replies.digest(await self._digest.day(origin), alerts), private=True)
            case "policy":
                return people_replies.policies(await self._policies.history(origin))
            case "protected":
                found = await self._protect.entries(origin)
                return rights_replies.entries(found, containing=target, most=SHOWN)
            case "unprotect":
                return rights_replies.unprotected(await self._protect.remove(origin, target))
            case "history":
                outcome = await self._accounts.inspect(origin, target, reason=command.reason)
                return account_replies.inspected(outcome)
            case "strikes" | "pause" | "unpause" | "cancel":
                return await self._about_person(command)
            case _:
                return await self._taken_down(command)

    async def _about_person(self, command: ModerationCommand) -> Reply:
        origin, target = command.origin, command.target
        if command.step == "strikes":
            return account_replies.stands(await self._people.standing(origin, target))
        if command.step == "unpause":
            return account_replies.unpaused(await self._people.unpause(origin, target))
        member = replace(origin, user_id=target, user_name="", channel_id="", token="", private=True)
        if command.step == "cancel":
            stopped = await self._people.cancel(origin, target, reason=command.reason)
            if isinstance(stopped, Stopped) and stopped.jobs:
                await self._courier.notify(member, people_replies.stopped_notice(stopped, command.reason))
            return people_replies.stopped(stopped)
        paused = await self._people.pause(origin, target, reason=command.reason)
        if isinstance(paused, Stands):
            await self._courier.notify(member, account_replies.paused_notice(paused, command.reason))
        return account_replies.stands(paused)

    async def _taken_down(self, command: ModerationCommand) -> Reply:
        origin, target = command.origin, command.target
        if command.step == "takedowns":
            return rights_replies.takedowns(await self._take_down.pending(origin), most=SHOWN)
        if command.step == "takedown_open":
            opened = await self._take_down.open_(
                origin,
                command.only,
                requested_by=clean_prompt(command.requested_by, field="requested_by"),
                reason=clean_prompt(command.reason, field="reason"),
                received_ms=moment_ms(command.received) if command.received else None,
            )
            return rights_replies.takedown(opened, most=SHOWN)
        if command.step == "takedown_confirm":
            confirmed = await self._take_down.confirm(origin, target, only=command.only)
            return rights_replies.taken_down(confirmed)
        if command.step == "takedown_dismiss":
            return rights_replies.takedown(await self._take_down.dismiss(origin, target), most=SHOWN)
        return rights_replies.takedown(await self._take_down.show(origin, target), most=SHOWN)

    async def _clicked(self, command: ButtonCommand) -> Reply:
        step = cast("ModerationStep", command.name)
        return await self(ModerationCommand(origin=command.origin, step=step, target=command.target))

    async def _review_clicked(self, command: ButtonCommand) -> Reply:
        step = cast("ReviewStep", "show" if command.name == "review" else command.name)
        return await self._reviewed(
            ReviewCommand(origin=command.origin, step=step, review_id=command.target, reason=command.text)
        )

    async def _reviewed(self, command: ReviewCommand) -> Reply:
        origin = command.origin
        if command.step == "list":
            return review_replies.reviews(await self._reviews.pending(origin))
        if command.step == "show":
            return review_replies.review(await self._reviews.show(origin, command.review_id))
        outcome = await self._reviews.decide(
            origin, command.review_id, step=command.step, reason=command.reason
        )
        if isinstance(outcome, Decided):
            if outcome.accepted is not None and outcome.accepted.created:
                await self._courier.announce(outcome.accepted.job)
            # The requester's first reply has long expired: without its token the platform sends a message.
            requester = replace(outcome.view.command.origin, token="")
            await self._courier.notify(requester, review_replies.decision_notice(outcome))
        return review_replies.decided(outcome)
