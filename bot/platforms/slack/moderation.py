"""`/verso moderation ...`: text in, command out; and the form behind `protect add`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from bot.conversation import (
    Command,
    ModerationCommand,
    ModerationStep,
    Origin,
    ProtectCommand,
    ScreenCommand,
)
from bot.errors import UsageError
from bot.platforms.slack.modals import (
    Memo,
    View,
    checkbox,
    checked,
    chosen,
    file_input,
    form,
    select,
    text_input,
    titled,
    typed,
    uploaded,
)
from bot.platforms.slack.options import parse_options
from bot.platforms.slack.payload import Payload, table
from bot.words import MODERATORS_ONLY

PROTECT_VIEW = "v:protect"
HELP = (
    "/verso moderation test WORDS   what would be decided; nothing is recorded\n"
    "/verso moderation protect add, list WORD, remove ID   what rights holders asked for\n"
    "/verso moderation takedown list, show ID, confirm ID, dismiss ID   requests to remove pictures\n"
    '/verso moderation takedown open ID ... --for "WHO ASKED" --reason "WHY"   take in a request\n'
    "/verso moderation quarantine ID   close off what may be illegal; without an id, the cases\n"
    "/verso moderation quarantine lift ID   end a quarantine that was a mistake\n"
    "/verso moderation history @member WHY   their usage log; they can read that you looked, and why\n"
    "/verso moderation strikes @member, pause @member WHY, unpause @member\n"
    "/verso moderation cancel @member WHY   stop everything they have waiting or running\n"
    "/verso moderation digest   the last 24 hours\n"
    "/verso moderation policy   which policy was in force from when"
)
_ID_LIMIT = 64
_KINDS = ("name", "mark", "picture")
_PICTURES = ("png", "jpg", "jpeg", "webp", "gif")
_STEPS: Mapping[tuple[str, str], ModerationStep] = {
    ("protect", "list"): "protected",
    ("protect", "remove"): "unprotect",
    ("takedown", "list"): "takedowns",
    ("takedown", "show"): "takedown",
    ("takedown", "confirm"): "takedown_confirm",
    ("takedown", "dismiss"): "takedown_dismiss",
}

_PEOPLE: Mapping[str, ModerationStep] = {
    "history": "history",
    "strikes": "strikes",
    "pause": "pause",
    "unpause": "unpause",
    "cancel": "cancel",
}
_MEMBER = re.compile(r"<@([A-Z0-9]{2,32})(?:\|[^>]*)?>|@?([UW][A-Z0-9]{2,31})")
_OPENED = re.compile(
    r"(?P<ids>[0-9a-f, ]+?)\s+(?:--|\u2014)for\s+(?P<asker>.+?)\s+(?:--|\u2014)reason\s+(?P<reason>.+)",
    re.DOTALL,
)
_QUOTES = '"\u201c\u201d\u201e'


@dataclass(frozen=True, kw_only=True, slots=True)
class AddProtection:
    """Open the form of `protect add`, with this in it."""

    term: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ProtectForm:
    """The form as it was sent; `file` is Slack's object of the uploaded picture."""

    kind: Literal["name", "mark", "image"]
    term: str
    requested_by: str
    reason: str
    block: bool
    received: str
    file: Payload | None


def moderation(origin: Origin, text: str) -> Command | AddProtection:
    """The command behind `/verso moderation TEXT`.

    Raises:
        UsageError: the person does not moderate, or there is no such subcommand; the message says so.
    """
    if not origin.is_moderator:
        raise UsageError(MODERATORS_ONLY)
    name, rest = _split(text)
    if name == "test" and rest:
        options = parse_options(rest)
        return ScreenCommand(origin=origin, prompt=options.prompt, negative_prompt=options.negative_prompt)
    if name in _PEOPLE:
        return _person(origin, _PEOPLE[name], rest)
    if name == "quarantine" and _split(rest)[0] == "lift":
        return ModerationCommand(
            origin=origin, step="quarantine_lift", target=_needed(_split(rest)[1], "the id of a case")
        )
    if name == "quarantine":
        step: ModerationStep = "quarantine" if rest else "quarantined"
        return ModerationCommand(origin=origin, step=step, target=rest[:_ID_LIMIT])
    if name in {"digest", "policy"}:
        return ModerationCommand(origin=origin, step="digest" if name == "digest" else "policy")
    if name in {"protect", "takedown"}:
        return _about(origin, name, rest)
    raise UsageError(HELP, field="moderation")


def _about(origin: Origin, name: str, text: str) -> Command | AddProtection:
    action, rest = _split(text or "list")
    if (name, action) == ("protect", "add"):
        return AddProtection(term=rest[:200])
    if (name, action) == ("takedown", "open"):
        return _opened(origin, rest)
    step = _STEPS.get((name, action))
    if step is None:
        raise UsageError(HELP, field=name)
    if step == "protected":
        return ModerationCommand(origin=origin, step=step, target=rest[:200])
    ids = tuple(one[:_ID_LIMIT] for one in rest.replace(",", " ").split())
    if step != "takedowns" and not ids:
        raise UsageError(f"/verso moderation {name} {action} needs an id.", field=name)
    return ModerationCommand(origin=origin, step=step, target="".join(ids[:1]), only=ids[1:])


def _person(origin: Origin, step: ModerationStep, text: str) -> ModerationCommand:
    """`@member WHY`; Slack writes a mention as `<@U123|name>`."""
    word, _, reason = text.partition(" ")
    found = _MEMBER.fullmatch(word)
    if found is None:
        raise UsageError(f"/verso moderation {step} needs a member, such as @ada.", field=step)
    return ModerationCommand(
        origin=origin, step=step, target=found[1] or found[2], reason=reason.strip()[:1000]
    )


def _opened(origin: Origin, text: str) -> ModerationCommand:
    found = _OPENED.fullmatch(text)
    if found is None:
        raise UsageError(
            '/verso moderation takedown open ID ... --for "WHO ASKED" --reason "WHY"', field="takedown"
        )
    return ModerationCommand(
        origin=origin,
        step="takedown_open",
        only=tuple(found["ids"].replace(",", " ").split()),
        requested_by=found["asker"].strip().strip(_QUOTES)[:200],
        reason=found["reason"].strip().strip(_QUOTES)[:1000],
    )


def _needed(text: str, what: str) -> str:
    if not text:
        raise UsageError(f"This needs {what}.", field="id")
    return text[:_ID_LIMIT]


def protect_view(memo: Memo, *, term: str) -> View:
    """The form that `protect add` opens."""
    blocks = [
        titled("kind", "What is protected?", select(_KINDS, _KINDS[0])),
        titled("term", "The full name, the mark, or what the picture is called", text_input(200, value=term)),
        titled("requested_by", "Who asked?", text_input(200, example="The person or rights holder")),
        titled("reason", "Why?", text_input(1000, lines=True)),
        titled("picture", "The picture; only a fingerprint is kept", file_input(_PICTURES), optional=True),
        titled(
            "received",
            "When they asked; the 48 hours run from then",
            text_input(40, example="2026-03-01T10:00Z; empty: now"),
            optional=True,
        ),
        titled(
            "block", "What happens", checkbox("block", "Refuse, instead of asking a moderator"), optional=True
        ),
    ]
    return form(PROTECT_VIEW, "Protect", "Protect", memo, blocks)


def read_protect(view: Payload) -> tuple[ProtectForm | None, dict[str, str]]:
    """What was sent, or what to say below which field."""
    values = table(view, "state", "values")
    kind = chosen(values, "kind")
    file = uploaded(values, "picture")
    errors = {
        name: "Please fill this in." for name in ("term", "requested_by", "reason") if not typed(values, name)
    }
    if kind not in _KINDS:
        errors["kind"] = "Please choose one."
    elif kind == "picture" and file is None:
        errors["picture"] = "Please add the picture."
    elif kind != "picture" and file is not None:
        errors["picture"] = "A picture is protected as a picture: choose that above."
    if errors:
        return None, errors
    return (
        ProtectForm(
            kind="image" if kind == "picture" else cast("Literal['name', 'mark']", kind),
            term=typed(values, "term"),
            requested_by=typed(values, "requested_by"),
            reason=typed(values, "reason"),
            block=checked(values, "block"),
            received=typed(values, "received"),
            file=file,
        ),
        {},
    )


def protect(origin: Origin, sent: ProtectForm, *, image: bytes | None) -> ProtectCommand:
    """The command that the form asks for."""
    return ProtectCommand(
        origin=origin,
        kind=sent.kind,
        term=sent.term,
        requested_by=sent.requested_by,
        reason=sent.reason,
        block=sent.block,
        received=sent.received,
        image=image,
    )


def _split(text: str) -> tuple[str, str]:
    """The first word in lower case, and the rest."""
    name, _, rest = text.strip().partition(" ")
    return name.lower(), rest.strip()
