"""`/verso vary`, `upscale` and `blend`: text in, command out."""

from __future__ import annotations

import re

from bot.conversation import BlendCommand, Command, Origin, UpscaleCommand, VaryCommand
from bot.errors import UsageError

_STRENGTH = re.compile(r"(?:^|\s)(?:--|\u2014|\u2013)strength[\s=]+([0-9.]{1,6})(?=\s|$)")
_QUOTES = '"\u201c\u201d\u201e'


def pictures(origin: Origin, name: str, text: str) -> Command:
    """The command behind `/verso vary|upscale|blend TEXT`.

    Raises:
        UsageError: an id is missing, or a number is none.
    """
    strength: float | None = None
    if match := _STRENGTH.search(text):
        strength = _number(match[1])
        text = f"{text[: match.start()]} {text[match.end() :]}"
    image_id, _, rest = text.strip().partition(" ")
    rest = rest.strip()
    if not image_id:
        raise UsageError(f"/verso {name} needs the id of a picture; its card shows it.", field=name)
    if name == "upscale":
        if rest not in {"", "2", "4"}:
            raise UsageError("/verso upscale ID takes 2 or 4.", field=name)
        return UpscaleCommand(origin=origin, image_id=image_id, factor=int(rest or "2"))
    if name == "vary":
        share: float | str = "strong" if strength is None else strength
        return VaryCommand(
            origin=origin, image_id=image_id, prompt=rest.strip(_QUOTES) or None, strength=share
        )
    second, _, words = rest.partition(" ")
    if not second:
        raise UsageError("/verso blend needs the ids of two pictures.", field=name)
    return BlendCommand(
        origin=origin,
        first=image_id,
        second=second,
        prompt=words.strip().strip(_QUOTES),
        strength=strength,
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError("--strength takes a number above 0 and at most 1.", field="strength") from None
