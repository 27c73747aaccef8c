"""The words of a description."""

from __future__ import annotations

from bot.conversation import Field, Reply
from bot.usecases.describe import Described

CANNOT = (
    "I cannot tell who a person is, what happens in a picture, "
    "how many things there are or what style it is in."
)


def described(found: Described) -> Reply:
    """What could be told, and what could not."""
    kind = found.media_type.removeprefix("image/").upper()
    fields = [
        Field(label="File", value=f"{kind}, {found.width} x {found.height} px, {found.size:,} bytes"),
        Field(
            label="Colors",
            value=", ".join(f"{name} {share:.0%}" for name, share in found.colors) or "none that has a name",
        ),
    ]
    if found.text:
        fields.append(Field(label="Text in it", value=found.text))
    elif found.text_withheld:
        fields.append(Field(label="Text in it", value="There is text that I do not repeat here."))
    else:
        fields.append(Field(label="Text in it", value="none that I can read"))
    if found.likenesses:
        near = "; ".join(
            f"{one.title} ({one.similarity:.2f}; {one.author}, {one.license})" for one in found.likenesses
        )
        fields.append(Field(label="Looks most like", value=f"among the credited pictures: {near}"))
    else:
        fields.append(Field(label="Looks most like", value="I cannot tell what this shows."))
    return Reply(title="What I can tell of this picture", text=CANNOT, fields=tuple(fields))
