"""What stands under a finished picture: the steps that go on from it, and how candidates compare."""

from __future__ import annotations

from collections.abc import Sequence

from bot.card import DrawnImage
from bot.conversation import Button


def picture_buttons(
    image_ids: list[str], *, job_id: str, prompt: str, upscaled: bool, large: bool, extends: bool = True
) -> tuple[Button, ...]:
    """The buttons that go on from what a job has drawn: a row for each step, numbered as the pictures are.

    Args:
        image_ids: of the pictures, in their order.
        job_id: of the job.
        prompt: its words, for the form that changes them.
        upscaled: the picture is an enlarged one, which has nothing to vary that its source has not.
        large: four times its size would be too large.
        extends: the model can draw what lies around a picture.
    """
    if upscaled:
        return ()
    single = len(image_ids) == 1
    steps = [("upscale", "Upscale 2x", "U")]
    steps += [("upscale4", "Upscale 4x", "U")] if single and not large else []
    steps += [("vary", "Vary", "V"), ("vary_weak", "Vary subtly", "Subtle ")]
    steps += [("zoom_out", "Zoom out", "Out ")] if extends else []
    buttons = [
        Button(
            name=name,
            target=image_id,
            label=label if single else f"{short}{number}",
            row=0 if single else row,
        )
        for row, (name, label, short) in enumerate(steps)
        for number, image_id in enumerate(image_ids, start=1)
    ]
    last = buttons[-1].row + 1
    return (
        *buttons,
        Button(name="reroll", target=job_id, label="Re-roll", row=last),
        Button(
            name="remix",
            target=job_id,
            label="Remix",
            ask="What shall it show instead?",
            given=prompt,
            row=last,
        ),
    )


def ranking_notes(images: Sequence[DrawnImage]) -> list[str]:
    """Which of several candidates fits the words best, where that was measured."""
    ranked = sorted(
        (image.rank, number) for number, image in enumerate(images, start=1) if image.rank is not None
    )
    if len(ranked) < 2:
        return []
    return ["By likeness to the words: " + ", ".join(str(number) for _, number in ranked) + "."]
