"""The end of a picture in the engine: decoded, and put together with its profile."""

from __future__ import annotations

from collections.abc import Mapping

from generation.batching import Mode
from generation.families.base import Decoded, InFlight
from generation.job import GeneratedImage
from generation.pictures import to_png
from generation.profile import Fact, Machine, profile_of
from generation.tickets import Ticket


def finished(
    ticket: Ticket, row: InFlight, *, index: int, facts: Mapping[str, Fact], rows: int, machine: Machine
) -> GeneratedImage:
    """Decode picture `index` of a request; on the decoder's thread if there is one.

    Args:
        ticket: of the request.
        row: the picture, after its last step.
        index: 0-based place in the job.
        facts: of the row, as they were then.
        rows: most rows of each of its forwards.
        machine: where it was drawn.
    """
    decoded: Decoded = ticket.loaded.decode(row)
    pixels = decoded.pixels if ticket.canvas is None else ticket.canvas.joined(decoded.pixels)
    height, width, _ = pixels.shape
    mode: Mode = "bucket" if rows > 1 else "exact"
    profile = profile_of(
        ticket.card,
        ticket.request,
        index=index,
        machine=machine,
        mode=mode,
        rows=rows,
        facts=facts,
        pixels=pixels,
    )
    return GeneratedImage(
        index=index,
        png=to_png(pixels),
        seed=ticket.request.seed + index,
        width=width,
        height=height,
        credits=decoded.credits,
        note=decoded.note,
        profile=profile.to_json(),
    )
