"""From a reply to what Discord's client sends: content, a card, files and buttons within every limit."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

import discord

from bot.conversation import Button, Document, Field, ImageFile, Reply
from bot.platforms.discord import words
from bot.platforms.discord.text import ELLIPSIS, ZERO_WIDTH_SPACE, legible, link, plain, unformatted
from bot.words import dated, when

MAX_FILES = 10
FULL_TEXT = "full-text.txt"
_MAX_CONTENT = 2000
_MAX_TITLE = 256
_MAX_DESCRIPTION = 4096
_MAX_FIELDS = 25
_MAX_FIELD_NAME = 256
_MAX_FIELD_VALUE = 1024
_MAX_EMBED = 6000
_MIN_DESCRIPTION = 1500  # characters that the fields leave to the text, whatever they hold
_MIN_FIELD = 8  # characters below which a field would say nothing
_MAX_ALT = 1024
_SHORT = 40  # characters of a value that shares its line with others
_UNSAFE_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_COLORS = {"neutral": 0x546E7A, "good": 0x2E7D32, "warning": 0xF9A825, "bad": 0xC62828}


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """One message, ready to be sent or edited in."""

    content: str | None
    embeds: tuple[discord.Embed, ...]
    images: tuple[ImageFile, ...]
    buttons: tuple[Button, ...]
    full_text: str = ""  # attached as a file where the message shows only its beginning
    documents: tuple[Document, ...] = ()

    def files(self) -> list[discord.File]:
        """Fresh files: the SDK closes them with each message."""
        files = [
            discord.File(
                io.BytesIO(image.data),
                filename=_file_name(image.name, number),
                description=unformatted(image.alt_text, limit=_MAX_ALT) or None,
            )
            for number, image in enumerate(self.images, start=1)
        ]
        files += [
            discord.File(io.BytesIO(document.data), filename=_file_name(document.name, number))
            for number, document in enumerate(self.documents, start=1)
        ]
        if self.full_text:
            files.append(discord.File(io.BytesIO(self.full_text.encode()), filename=FULL_TEXT))
        return files


def draft(reply: Reply, *, upload_limit: int, public: bool) -> Draft:
    """Lay out a reply: a plain sentence as content, anything with a title, fields or a tone as a card.

    Args:
        reply: what to say.
        upload_limit: the most bytes one file may have there.
        public: whether others will read it; then addresses inside the text are no links.
    """
    fitting = tuple(image for image in reply.images if len(image.data) <= upload_limit)[:MAX_FILES]
    full_text = ""
    text = reply.text
    if len(fitting) < len(reply.images):
        left_out = words.PICTURE_LEFT_OUT.format(
            count=len(reply.images) - len(fitting), total=len(reply.images)
        )
        text = f"{text}\n{left_out}".strip()
    card = bool(reply.title or reply.fields or reply.tone != "neutral")
    content: str | None = None
    embeds: tuple[discord.Embed, ...] = ()
    if not card:
        escaped = plain(text, limit=_MAX_DESCRIPTION, links=not public)
        card = len(escaped) > _MAX_CONTENT
        content = escaped
    if card:
        content = None
        embeds = (_embed(reply, text, public=public),)
        # Nobody can accept terms, or judge a prompt, that ends in an ellipsis: the whole comes as a file.
        if len(fitting) < MAX_FILES and _is_cut(embeds[0], reply, text):
            full_text = legible(
                "\n\n".join([text, *(f"{field.label}: {dated(field)}" for field in reply.fields)])
            )
    elif not content and not fitting:
        content = ZERO_WIDTH_SPACE  # Discord refuses an empty message
    return Draft(
        content=content or None,
        embeds=embeds,
        images=fitting,
        buttons=reply.buttons,
        full_text=full_text,
        documents=reply.documents if reply.private else (),
    )


def sentence(text: str, *, public: bool) -> str:
    """One line of plain text as content."""
    return plain(text, limit=_MAX_CONTENT, links=not public)


def _embed(reply: Reply, text: str, *, public: bool) -> discord.Embed:
    """The card: title, text and fields share 6,000 characters."""
    title = plain(reply.title, limit=_MAX_TITLE)
    fields = [_field(field) for field in reply.fields[:_MAX_FIELDS]]
    wanted = sum(len(name) + len(value) for name, value in fields)
    room = _MAX_EMBED - len(title)
    description = plain(
        text,
        limit=min(_MAX_DESCRIPTION, max(room - wanted, _MIN_DESCRIPTION)),
        links=not public,
    )
    embed = discord.Embed(title=title or None, description=description or None, color=_COLORS[reply.tone])
    room -= len(description)
    for (name, value), field in zip(fields, reply.fields, strict=False):
        if len(name) + min(len(value), _MIN_FIELD) > room:
            break
        fitted = value
        if len(name) + len(value) > room:
            fitted = _value(field, limit=room - len(name))
        embed.add_field(name=name, value=fitted, inline=field.at_ms is None and len(field.value) <= _SHORT)
        room -= len(name) + len(fitted)
    return embed


def _is_cut(embed: discord.Embed, reply: Reply, text: str) -> bool:
    """Whether the card shows less than the reply says."""
    shown = [embed.description or "", *(field.value or "" for field in embed.fields)]
    whole = [text, *(field.value for field in reply.fields)]
    return len(shown) < len(whole) or any(
        short.endswith(ELLIPSIS) and not long.endswith(ELLIPSIS)
        for short, long in zip(shown, whole, strict=False)
    )


def _field(field: Field) -> tuple[str, str]:
    """A field's name and value; Discord wants neither empty."""
    name = plain(field.label, limit=_MAX_FIELD_NAME) or ZERO_WIDTH_SPACE
    if field.url:
        value = link(field.value or field.url, field.url, limit=_MAX_FIELD_VALUE)
    else:
        value = _value(field, limit=_MAX_FIELD_VALUE)
    return name, value or ZERO_WIDTH_SPACE


def _value(field: Field, *, limit: int) -> str:
    """A field's words after its moment, which Discord's clients show in the reader's own time zone."""
    if field.at_ms is None:
        return plain(field.value, limit=limit)
    seconds = field.at_ms // 1000
    moment = f"<t:{seconds}:f> (<t:{seconds}:R>)"
    if len(moment) > limit:
        return plain(when(field.at_ms), limit=limit)
    said = plain(field.value, limit=max(0, limit - len(moment) - 2))
    return f"{moment}: {said}" if said else moment


def _file_name(name: str, number: int) -> str:
    """A name Discord keeps as it is, distinct in its message."""
    stem = _UNSAFE_NAME.sub("_", name).strip("._")[-64:]
    return stem or f"picture-{number}.png"
