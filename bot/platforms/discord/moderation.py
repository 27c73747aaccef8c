"""`/moderation`: what moderators ask for, hidden from members and refused to them at the door."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

import discord
from discord import app_commands

from bot.conversation import (
    Command,
    ModerationCommand,
    ModerationStep,
    Origin,
    ProtectCommand,
    Reply,
    ReviewCommand,
    ReviewStep,
    ScreenCommand,
)
from bot.platforms.discord.answers import Answers
from bot.platforms.discord.downloads import Downloads
from bot.words import MODERATORS_ONLY

Id = app_commands.Range[str, 1, 64]
Words = app_commands.Range[str, 1, 2000]
Name = app_commands.Range[str, 1, 200]
Reason = app_commands.Range[str, 1, 1000]
Moment = app_commands.Range[str, 1, 40]
Kind = Literal["name", "mark", "picture"]
_KINDS: dict[Kind, Literal["name", "mark", "image"]] = {"name": "name", "mark": "mark", "picture": "image"}

Build = Callable[[Origin], Command | Awaitable[Command | Reply]]


def moderation_group(answers: Answers, downloads: Downloads) -> app_commands.Group:
    """All of `/moderation`; servers may show it to other roles in their integration settings."""
    group = app_commands.Group(
        name="moderation",
        description="Reviews, rights holders and figures, for moderators",
        guild_only=True,
        default_permissions=discord.Permissions(manage_messages=True),
    )
    door = _Door(answers)
    _add_reviews(group, door)
    _add_duties(group, door)
    _add_protect(group, door, downloads)
    _add_takedown(group, door)
    _add_people(group, door)
    return group


class _Door:
    """Lets moderators in, and tells others in private that they are none; the use cases check once more."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    async def answer(self, interaction: discord.Interaction, build: Build) -> None:
        """Acknowledge, and run the command if the asker moderates here."""

        async def build_for_moderators(origin: Origin) -> Command | Reply:
            if not origin.is_moderator:
                return Reply(text=MODERATORS_ONLY, tone="warning")
            built = build(origin)
            return await built if isinstance(built, Awaitable) else built

        await self._answers.answer(interaction, build_for_moderators)

    async def step(
        self,
        interaction: discord.Interaction,
        step: ModerationStep,
        target: str = "",
        *,
        only: tuple[str, ...] = (),
        reason: str | None = None,
    ) -> None:
        """Run one step beside reviews."""
        await self.answer(
            interaction,
            lambda origin: ModerationCommand(
                origin=origin, step=step, target=target.strip(), only=only, reason=(reason or "").strip()
            ),
        )


def _add_reviews(group: app_commands.Group, door: _Door) -> None:
    @group.command(name="review", description="What waits for a decision")
    async def review(interaction: discord.Interaction) -> None:
        await door.answer(interaction, lambda origin: ReviewCommand(origin=origin, step="list"))

    @group.command(name="show", description="One review with everything a decision needs")
    async def show(interaction: discord.Interaction, review: Id) -> None:
        await door.answer(
            interaction,
            lambda origin: ReviewCommand(origin=origin, step="show", review_id=review.strip()),
        )

    steps: tuple[tuple[ReviewStep, str], ...] = (
        ("approve", "Let it pass; a held prompt is drawn"),
        ("uphold", "The decision stands"),
        ("warn", "The decision stands, and the user is warned"),
        ("timeout", "The decision stands, and the user has to pause"),
    )
    for step, description in steps:
        _add_decision(group, door, step, description)


def _add_decision(group: app_commands.Group, door: _Door, step: ReviewStep, description: str) -> None:
    @group.command(name=step, description=description)
    @app_commands.describe(review="The review's id", reason="What the user will read")
    async def decide(interaction: discord.Interaction, review: Id, reason: Reason | None = None) -> None:
        await door.answer(
            interaction,
            lambda origin: ReviewCommand(
                origin=origin, step=step, review_id=review.strip(), reason=(reason or "").strip()
            ),
        )


def _add_duties(group: app_commands.Group, door: _Door) -> None:
    @group.command(name="test", description="What would be decided about a prompt; nothing is recorded")
    @app_commands.describe(prompt="The words to try", negative="What would be left out")
    async def test(interaction: discord.Interaction, prompt: Words, negative: Words | None = None) -> None:
        await door.answer(
            interaction,
            lambda origin: ScreenCommand(origin=origin, prompt=prompt, negative_prompt=negative or ""),
        )

    @group.command(name="quarantine", description="Close off what may be illegal; without an id, the cases")
    @app_commands.describe(target="The id of a picture, a review or a decision")
    @app_commands.rename(target="id")
    async def quarantine(interaction: discord.Interaction, target: Id | None = None) -> None:
        await door.step(interaction, "quarantine" if target else "quarantined", target or "")

    @group.command(name="lift", description="End a quarantine that was a mistake")
    @app_commands.describe(case="The id of the case")
    async def lift(interaction: discord.Interaction, case: Id) -> None:
        await door.step(interaction, "quarantine_lift", case)

    @group.command(name="digest", description="The last 24 hours: decisions, what waits, what is overdue")
    async def digest(interaction: discord.Interaction) -> None:
        await door.step(interaction, "digest")

    @group.command(name="policy", description="Which policy was in force from when")
    async def policy(interaction: discord.Interaction) -> None:
        await door.step(interaction, "policy")


def _add_protect(group: app_commands.Group, door: _Door, downloads: Downloads) -> None:
    protect = app_commands.Group(name="protect", description="What rights holders asked for", parent=group)

    @protect.command(name="add", description="Protect a name, mark or picture, and find the past pictures")
    @app_commands.describe(
        kind="What is protected",
        what="The full name, the mark, or what the picture is called",
        asked_by="The person or rights holder who asked",
        reason="Why",
        block="Refuse, instead of asking a moderator",
        received="When they asked, such as 2026-03-01T10:00Z; the 48 hours run from then",
        picture="The picture; only a fingerprint of it is kept",
    )
    async def add(  # noqa: PLR0917 - the SDK reads options from positional parameters
        interaction: discord.Interaction,
        kind: Kind,
        what: Name,
        asked_by: Name,
        reason: Reason,
        block: bool = False,  # noqa: FBT001, FBT002 - same
        received: Moment | None = None,
        picture: discord.Attachment | None = None,
    ) -> None:
        async def build(origin: Origin) -> Command | Reply:
            image = None if picture is None else await downloads.picture(picture)
            if isinstance(image, Reply):
                return image
            return ProtectCommand(
                origin=origin,
                kind=_KINDS[kind],
                term=what,
                requested_by=asked_by,
                reason=reason,
                block=block,
                received=received or "",
                image=image,
            )

        await door.answer(interaction, build)

    @protect.command(name="list", description="What is protected here, with who asked and why")
    @app_commands.describe(containing="Only entries in which this occurs")
    async def listed(interaction: discord.Interaction, containing: Name | None = None) -> None:
        await door.step(interaction, "protected", containing or "")

    @protect.command(name="remove", description="End a protection")
    @app_commands.describe(entry="The entry's id")
    async def remove(interaction: discord.Interaction, entry: Id) -> None:
        await door.step(interaction, "unprotect", entry)


def _add_takedown(group: app_commands.Group, door: _Door) -> None:
    takedown = app_commands.Group(name="takedown", description="Requests to remove pictures", parent=group)

    @takedown.command(name="list", description="What waits for a decision, the nearest deadline first")
    async def listed(interaction: discord.Interaction) -> None:
        await door.step(interaction, "takedowns")

    @takedown.command(name="open", description="Take in a request to remove pictures; it has 48 hours")
    @app_commands.describe(
        pictures="The ids of the pictures, with spaces between them",
        asked_by="The person or rights holder who asked",
        reason="Why",
        received="When they asked, such as 2026-03-01T10:00Z; the 48 hours run from then",
    )
    async def opened(
        interaction: discord.Interaction,
        pictures: Reason,
        asked_by: Name,
        reason: Reason,
        received: Moment | None = None,
    ) -> None:
        await door.answer(
            interaction,
            lambda origin: ModerationCommand(
                origin=origin,
                step="takedown_open",
                only=_ids(pictures),
                requested_by=asked_by,
                reason=reason,
                received=received or "",
            ),
        )

    @takedown.command(name="confirm", description="Remove the pictures and their identical copies")
    @app_commands.describe(
        takedown="The take-down's id", only="Only these pictures: their ids, with spaces between them"
    )
    async def confirm(interaction: discord.Interaction, takedown: Id, only: Reason | None = None) -> None:
        await door.step(interaction, "takedown_confirm", takedown, only=_ids(only or ""))

    steps: tuple[tuple[str, ModerationStep, str], ...] = (
        ("show", "takedown", "One take-down with its pictures"),
        ("dismiss", "takedown_dismiss", "Let the pictures stand"),
    )
    for name, step, description in steps:
        _add_takedown_step(takedown, door, name, step, description)


def _add_takedown_step(
    group: app_commands.Group, door: _Door, name: str, step: ModerationStep, description: str
) -> None:
    @group.command(name=name, description=description)
    @app_commands.describe(takedown="The take-down's id")
    async def one(interaction: discord.Interaction, takedown: Id) -> None:
        await door.step(interaction, step, takedown)


def _add_people(group: app_commands.Group, door: _Door) -> None:
    people = app_commands.Group(name="people", description="Where a member stands", parent=group)

    @people.command(
        name="history", description="A member's usage log; they can read that you looked, and why"
    )
    async def history(interaction: discord.Interaction, member: discord.User, reason: Reason) -> None:
        await door.step(interaction, "history", str(member.id), reason=reason)

    @people.command(name="strikes", description="A member's strikes, and whether a pause runs")
    async def strikes(interaction: discord.Interaction, member: discord.User) -> None:
        await door.step(interaction, "strikes", str(member.id))

    @people.command(name="pause", description="Let a member pause, for as long as their history calls for")
    @app_commands.describe(reason="What the member will read")
    async def pause(
        interaction: discord.Interaction, member: discord.User, reason: Reason | None = None
    ) -> None:
        await door.step(interaction, "pause", str(member.id), reason=reason)

    @people.command(name="unpause", description="End a member's pause")
    async def unpause(interaction: discord.Interaction, member: discord.User) -> None:
        await door.step(interaction, "unpause", str(member.id))

    @people.command(name="cancel", description="Stop everything a member has waiting or running")
    @app_commands.describe(reason="What the member will read")
    async def cancel(
        interaction: discord.Interaction, member: discord.User, reason: Reason | None = None
    ) -> None:
        await door.step(interaction, "cancel", str(member.id), reason=reason)


def _ids(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())
