"""Slack payload in, command out: pure, with no call to Slack."""

from __future__ import annotations

from typing import Literal

from bot.conversation import (
    AskCommand,
    CancelCommand,
    Command,
    ImagineCommand,
    Origin,
    ReviewCommand,
)
from bot.errors import UsageError
from bot.platforms.slack.moderation import AddProtection, moderation
from bot.platforms.slack.options import ImagineOptions
from bot.platforms.slack.payload import Payload, event_id, word, workspace_of
from bot.platforms.slack.pictures import pictures

Ask = Literal["terms", "quota", "history", "queue", "models", "mydata", "forgetme"]
Step = Literal["list", "show", "approve", "uphold", "warn", "timeout"]
HELP = (
    "/verso queue   what of yours is waiting\n"
    "/verso cancel   stop all of yours, or one by its number\n"
    "/verso quota   how much you may still draw\n"
    "/verso history   what you asked for, and what was refused\n"
    "/verso terms   the model's terms and what you accepted\n"
    "/verso models   what can be drawn with\n"
    "/verso mydata   a copy of everything that is recorded of you\n"
    "/verso forgetme   erase everything that is recorded of you\n"
    '/verso vary ID "other words" --strength 0.3   one more from a picture of yours\n'
    "/verso upscale ID 4   enlarge it 2 or 4 times\n"
    "/verso blend ID ID words   one picture from two of yours\n"
    "/verso review   for moderators: list, show, approve, uphold, warn, timeout\n"
    "/verso moderation   for moderators: test, people, protect, takedown, quarantine, digest, policy"
)

_ASKS: dict[str, Ask] = {
    "terms": "terms",
    "quota": "quota",
    "history": "history",
    "queue": "queue",
    "models": "models",
    "mydata": "mydata",
    "forgetme": "forgetme",
}
_STEPS: dict[str, Step] = {
    "list": "list",
    "show": "show",
    "approve": "approve",
    "uphold": "uphold",
    "warn": "warn",
    "timeout": "timeout",
}


def origin_of(payload: Payload, *, private: bool = False, part: str = "") -> Origin:
    """Where a payload came from. `part` tells apart several commands that one event gives rise to.

    Raises:
        UsageError: the payload names no workspace or no person, so nobody could be answered.
    """
    user = word(payload, "user", "id") or word(payload, "user_id") or word(payload, "event", "user")
    workspace = workspace_of(payload)
    if not user or not workspace:
        raise UsageError("the event names no workspace or no person")
    identity = f"{event_id(payload)}:{part}" if part else event_id(payload)
    return Origin(
        platform="slack",
        workspace_id=workspace,
        channel_id=word(payload, "channel", "id")
        or word(payload, "channel_id")
        or word(payload, "container", "channel_id"),
        user_id=user,
        user_name=word(payload, "user", "username")
        or word(payload, "user", "name")
        or word(payload, "user_name"),
        event_id=identity,
        token=word(payload, "response_url"),
        private=private,
    )


def imagine(origin: Origin, options: ImagineOptions) -> ImagineCommand:
    """The command that the options ask for."""
    return ImagineCommand(
        origin=origin,
        prompt=options.prompt,
        negative_prompt=options.negative_prompt,
        model_id=options.model_id,
        aspect=options.aspect,
        seed=options.seed,
        count=options.count,
    )


def verso(origin: Origin, text: str) -> Command | AddProtection:
    """The command behind `/verso TEXT`, or the form that it asks for.

    Raises:
        UsageError: there is no such subcommand, or not for this person; the message says so.
    """
    name, _, rest = text.strip().partition(" ")
    name, rest = name.lower(), rest.strip()
    if name in _ASKS:
        return AskCommand(origin=origin, what=_ASKS[name])
    if name == "cancel":
        return CancelCommand(origin=origin, job_id=rest)
    if name == "review":
        return _review(origin, rest)
    if name == "moderation":
        return moderation(origin, rest)
    if name in {"vary", "upscale", "blend"}:
        return pictures(origin, name, rest)
    known = not name or name == "help"
    raise UsageError(HELP if known else f"/verso {name[:40]} is not a command.\n{HELP}", field=name[:40])


def _review(origin: Origin, text: str) -> ReviewCommand:
    step, _, rest = (text or "list").partition(" ")
    review_id, _, reason = rest.strip().partition(" ")
    if step.lower() not in _STEPS:
        raise UsageError("/verso review takes list, show, approve, uphold, warn or timeout.", field="review")
    if step.lower() != "list" and not review_id:
        raise UsageError(f"/verso review {step.lower()} needs the number of a review.", field="review")
    return ReviewCommand(origin=origin, step=_STEPS[step.lower()], review_id=review_id, reason=reason.strip())
