"""Buttons that outlive the process that posted them, and the modals some of them open."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, Self, cast

import discord

from bot.conversation import Button
from bot.errors import PlatformError
from bot.platforms.discord import words
from bot.platforms.discord.text import unformatted

MAX_CUSTOM_ID = 100
MAX_BUTTONS = 25
_MAX_TITLE = 45
_MAX_DESCRIPTION = 100
_MAX_ANSWER = 2000
_REMEMBERED = 2048
_PATTERN = re.compile(r"v:(?P<name>[^:?]{1,80})(?P<asks>\?)?:(?P<target>.*)", re.DOTALL)
_STYLES: dict[Literal["primary", "secondary", "danger"], discord.ButtonStyle] = {
    "primary": discord.ButtonStyle.primary,
    "secondary": discord.ButtonStyle.secondary,
    "danger": discord.ButtonStyle.danger,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Click:
    """What a custom id says: `v:{name}:{target}`, or `v:{name}?:{target}` for a button that asks first."""

    name: str
    target: str
    asks: bool = False
    label: str = ""  # of the clicked button, the title of its modal

    @property
    def custom_id(self) -> str:
        """The id that Discord hands back with the click."""
        return f"v:{self.name}{'?' if self.asks else ''}:{self.target}"

    @classmethod
    def parse(cls, custom_id: str) -> Click | None:
        """Read a custom id; None where it is none of ours."""
        match = _PATTERN.fullmatch(custom_id)
        if match is None:
            return None
        return cls(name=match["name"], target=match["target"], asks=match["asks"] is not None)


class Clicks(Protocol):
    """The client, as a button sees it."""

    async def clicked(self, interaction: discord.Interaction, click: Click) -> None:
        """Act on a click."""
        ...


class VersoButton(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=_PATTERN):
    """Any button of ours: everything it needs to act is in its custom id."""

    def __init__(self, item: discord.ui.Button[discord.ui.View], click: Click) -> None:
        super().__init__(item)
        self.click = click

    @classmethod
    async def from_custom_id(  # type: ignore[override]  # the SDK types `item` as any item; a click has a button
        cls,
        interaction: discord.Interaction,
        item: discord.ui.Button[discord.ui.View],
        match: re.Match[str],
        /,
    ) -> Self:
        """Build the button again from the message that carries it."""
        del interaction
        click = Click(
            name=match["name"],
            target=match["target"],
            asks=match["asks"] is not None,
            label=item.label or "",
        )
        return cls(item, click)

    async def callback(self, interaction: discord.Interaction) -> None:
        """Hand the click to the client that received it."""
        await cast("Clicks", interaction.client).clicked(interaction, self.click)


class Questions:
    """What each posted button asks; forgotten at a restart, where a general question takes its place."""

    def __init__(self) -> None:
        self._asked: OrderedDict[str, tuple[str, str]] = OrderedDict()  # the question, and what stands there

    def view(self, buttons: Iterable[Button]) -> discord.ui.View | None:
        """The rows of buttons under a message; None without buttons.

        Raises:
            PlatformError: a name and target that do not fit Discord's custom id.
        """
        view = discord.ui.View(timeout=None)
        found = list(_distinct(buttons))
        in_rows = any(button.row for _, button in found)  # without rows the SDK fills them itself
        for click, button in found:
            if button.ask:
                self._remember(click.custom_id, button.ask, button.given)
            view.add_item(
                VersoButton(
                    discord.ui.Button(
                        style=_STYLES[button.style],
                        label=unformatted(button.label, limit=80) or click.name,
                        custom_id=click.custom_id,
                        row=button.row if in_rows else None,
                    ),
                    click,
                )
            )
        view.stop()  # nothing to keep in memory: clicks are matched by their custom id
        return view if view.children else None

    def modal(self, click: Click) -> discord.ui.Modal:
        """The dialog that a button opens when it asks for a sentence."""
        asked, given = self._asked.get(click.custom_id, (words.ASK, ""))
        question = unformatted(asked, limit=_MAX_DESCRIPTION)
        title = unformatted(click.label or click.name, limit=_MAX_TITLE)
        modal = discord.ui.Modal(title=title, timeout=None, custom_id=click.custom_id)
        short = len(question) <= _MAX_TITLE
        modal.add_item(
            discord.ui.Label(
                text=question if short else title,
                description=None if short else question,
                component=discord.ui.TextInput(
                    custom_id="text",
                    style=discord.TextStyle.paragraph,
                    min_length=1,
                    max_length=_MAX_ANSWER,
                    default=given[:_MAX_ANSWER] or None,
                ),
            )
        )
        modal.stop()  # its answer is matched by the custom id, so it survives a restart as well
        return modal

    def _remember(self, custom_id: str, ask: str, given: str) -> None:
        self._asked[custom_id] = (ask, given)
        self._asked.move_to_end(custom_id)
        while len(self._asked) > _REMEMBERED:
            self._asked.popitem(last=False)


def answer_of(interaction: discord.Interaction) -> str:
    """What the user typed into a modal of ours."""
    return "\n".join(_values(interaction.data)).strip()


def carries(message: discord.Message | None, custom_id: str) -> bool:
    """Whether a message shows the button: only then does the SDK find its class. It may come without."""
    return message is not None and any(
        isinstance(child, discord.Button) and child.custom_id == custom_id
        for row in message.components
        if isinstance(row, discord.ActionRow)
        for child in row.children
    )


def _values(part: object) -> Iterator[str]:
    """Every text in a modal's submission, however deep Discord nests it."""
    if isinstance(part, dict):
        value = part.get("value")
        if part.get("type") == discord.ComponentType.text_input.value and isinstance(value, str):
            yield value
        for key in ("components", "component"):
            yield from _values(part.get(key))
    elif isinstance(part, list):
        for child in part:
            yield from _values(child)


def _distinct(buttons: Iterable[Button]) -> Iterator[tuple[Click, Button]]:
    """The buttons one message may carry: Discord refuses a custom id twice, and more than 25."""
    seen: set[str] = set()
    for button in buttons:
        click = Click(name=button.name, target=button.target, asks=bool(button.ask), label=button.label)
        custom_id = click.custom_id
        parsed = Click.parse(custom_id)
        if (
            parsed is None
            or (parsed.name, parsed.target) != (click.name, click.target)
            or len(custom_id) > MAX_CUSTOM_ID
        ):
            failure = PlatformError(f"the button {button.name!r} does not fit Discord's custom id")
            failure.retryable = False
            raise failure
        if custom_id not in seen and len(seen) < MAX_BUTTONS:
            seen.add(custom_id)
            yield click, button
