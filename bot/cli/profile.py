"""`verso models profile`: how many pictures this machine should draw in one forward."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from bot.cli.operate import AsJson, models_app
from bot.cli.output import console, errors, print_json
from bot.composition.configured import catalog_of, knees_file
from bot.errors import UsageError
from bot.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the command to `verso models`."""
    del app
    models_app.command("profile")(profile)


def profile(
    model: Annotated[str | None, typer.Argument(help="Default: the embedded model.")] = None,
    aspect: Annotated[
        list[str] | None, typer.Option(help="Measure this size only; may be given again.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the batch knee and bit-invariance of a model; `verso serve` uses them from its next start."""
    from generation.families.base import InFlight, LoadedModel  # noqa: PLC0415 - with torch
    from generation.knees import Knee, load_knees  # noqa: PLC0415
    from generation.models import ModelShelf  # noqa: PLC0415
    from generation.profile import best_device, prepare_machine  # noqa: PLC0415
    from generation.profiling import measure_knee  # noqa: PLC0415
    from moderation.embedding import SentenceEncoder  # noqa: PLC0415

    settings = load_settings()
    card = catalog_of(settings).get(model)
    if card.server is not None:
        raise UsageError(
            "An image server draws for this model: there is nothing to measure here.", field="model"
        )
    for one in aspect or ():
        if one not in card.aspects:
            raise typer.BadParameter(f"the model draws these aspects: {', '.join(card.aspects)}")
    device = settings.engine.device or best_device()
    prepare_machine(device=device, threads=settings.engine.threads or len(os.sched_getaffinity(0)))
    shelf = ModelShelf(device=device, room=1, services={"embed": SentenceEncoder().embed})
    loaded: LoadedModel[InFlight] = shelf.get(card, in_use=lambda _: False)
    file = knees_file(settings)
    knees = load_knees(file)
    measured: list[tuple[str, Knee]] = []
    with errors.status("measuring ...") as status:
        for one in aspect or card.aspects:
            knee = measure_knee(card, loaded, aspect=one, device=device, progress=status.update)
            knees = knees.with_(knee)
            measured.append((one, knee))
    knees.save(file)
    if as_json:
        print_json([{"aspect": one, **asdict(knee)} for one, knee in measured])
        return
    table = Table(box=None, pad_edge=False)
    for title in ("aspect", "rows", "same bits in the mix", "ms per row and step"):
        table.add_column(title, overflow="fold")
    for one, knee in measured:
        times = ", ".join(f"{rows}: {ms:.1f}" for rows, ms in knee.ms_per_row)
        table.add_row(one, str(knee.rows), "yes" if knee.invariant else "no: drawn alone", times)
    console.print(table)
