"""`verso models fetch`: downloads a model as its card pins it. The only command that goes to a hub."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.operate import AsJson, models_app
from bot.cli.output import Exit, console, errors, print_json
from bot.composition.configured import licenses_of
from bot.errors import UsageError
from bot.settings import load_settings

TERMS = 5


def register(app: typer.Typer) -> None:
    """Add the command to `verso models`."""
    del app
    models_app.command("fetch")(fetch_model)


def fetch_model(
    name: Annotated[str, typer.Argument(help="The id in the card.")],
    card: Annotated[
        Path | None, typer.Option(help="The TOML file with the card; default: VERSO_CATALOG__PATH.")
    ] = None,
    accept_license: Annotated[
        str | None, typer.Option(help="The id of the model's license, if you have read and accept it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Download a model's folder; every file must have the digest that its card names."""
    from generation.catalog import fetch_of  # noqa: PLC0415
    from generation.fetching import fetch  # noqa: PLC0415

    settings = load_settings()
    file = card or settings.catalog.path
    if file is None:
        raise UsageError("Name the file with the card: --card FILE, or VERSO_CATALOG__PATH.")
    order, license_id = fetch_of(file / "card.toml" if file.is_dir() else file, name)
    license_ = licenses_of(settings).get(license_id)
    if accept_license is None and sys.stdin.isatty() and not as_json:
        errors.print(f"{license_.name}: {license_.url}\n\n{license_.terms_text}", markup=False)
        if typer.confirm("Do you accept these terms?", err=True):
            accept_license = license_id
    if accept_license != license_id:
        raise Exit(
            TERMS,
            f"The model stands under {license_.name}: {license_.url}. When you have read it, "
            f"add --accept-license {license_id}.",
            error_code="terms_required",
        )
    accepted = {
        "license": license_id,
        "terms": license_.version,
        "accepted_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }
    digest = fetch(order, license_accepted=accepted, say=lambda line: errors.print(line, markup=False))
    if as_json:
        print_json({"model": order.model_id, "folder": str(order.folder), "weights_sha256": digest})
        return
    console.print(f"{order.folder} is complete.", markup=False)
    console.print(f'weights_sha256 = "{digest}"', markup=False)
