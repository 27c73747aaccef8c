"""`verso bench`: measures each trade on this machine; ratios are taken inside one run."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Self

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from bot.cli.output import console, errors, print_json
from bot.database import open_database
from bot.schema import migrate
from bot.settings import load_settings

bench_app = typer.Typer(help="Measure this machine; nothing is recorded.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(bench_app, name="bench")


def show(
    title: str, figures: Mapping[str, object], *, as_json: bool, bars: Mapping[str, str] | None = None
) -> None:
    """A table of figures beside what is asked of them (`bars`), or their JSON."""
    if as_json:
        print_json(figures)
        return
    table = Table(title=title, box=None, pad_edge=False, title_justify="left")
    table.add_column("figure")
    table.add_column("value", overflow="fold")
    if bars:
        table.add_column("bar")
    for key, value in _flat(figures):
        bar = (bars.get(key, ""),) if bars else ()
        table.add_row(key, f"{value:,.4g}" if isinstance(value, float) else str(value), *bar)
    console.print(table)


class _Stages:
    """A bar for each stage of a long benchmark, on standard error."""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description:20}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=errors,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def show(self, stage: str, done: int, total: int) -> None:
        """Move the bar of `stage`, which begins with its first report."""
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total)
        self._bars.update(self._tasks[stage], completed=done)


def _flat(figures: Mapping[str, object], prefix: str = "") -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = []
    for key, value in figures.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((prefix + str(key), value))
    return rows


@bench_app.command()
def engine(
    plot: Annotated[Path | None, typer.Option(help="Write latency against load as an image.")] = None,
    as_json: AsJson = False,
) -> None:
    """Bit-exactness, the loop's overhead, and what the path outside the model adds to an image."""
    from bot.bench import bench_path  # noqa: PLC0415 - brings torch
    from generation.bench import bench_engine  # noqa: PLC0415
    from generation.bench_plot import plot as bench_plot  # noqa: PLC0415

    errors.print("Measuring the engine on a tiny random model of the real architecture ...", style="dim")
    figures: dict[str, Any] = dict(asyncio.run(bench_engine()))
    errors.print("Measuring the whole path with the embedded model ...", style="dim")
    figures |= asyncio.run(bench_path())
    if plot is not None:
        bench_plot(figures["load"], service_s=figures["service_s"]).save(plot)
    show("Engine", figures, as_json=as_json)


@bench_app.command()
def queue(as_json: AsJson = False) -> None:
    """Submits, claims and fairness of the job queue, on SQLite."""
    from generation.bench import bench_queue  # noqa: PLC0415

    async def run() -> Mapping[str, object]:
        with tempfile.TemporaryDirectory(prefix="verso-bench-") as folder:
            database = open_database(f"sqlite:///{folder}/verso.db")
            try:
                await migrate(database)
                return await bench_queue(database)
            finally:
                await database.dispose()

    show("Queue", asyncio.run(run()), as_json=as_json)


@bench_app.command()
def ledger(as_json: AsJson = False) -> None:
    """Appends beside the disk's own fsync rate, and proofs."""
    from attribution.bench import bench_ledger  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="verso-bench-", dir=".") as folder:
        figures = asyncio.run(bench_ledger(Path(folder), open_database=open_database))
    show("Ledger", figures, as_json=as_json, bars={"single_to_fsync": ">= 0.5"})


@bench_app.command()
def moderation(
    data: Annotated[Path | None, typer.Option(help="A CSV of text,label_unsafe,category,source.")] = None,
    images: Annotated[bool, typer.Option(help="Measure the checks of images, too.")] = True,
    as_json: AsJson = False,
) -> None:
    """Speed of prompt and image moderation and, with labelled data, the accuracy on prompts."""
    from bot.compose import open_moderator  # noqa: PLC0415
    from bot.usecases.protect import fingerprint  # noqa: PLC0415
    from moderation.bench import bench_moderation  # noqa: PLC0415
    from moderation.bench_pictures import bench_pictures  # noqa: PLC0415
    from moderation.rules.base import Tools  # noqa: PLC0415

    async def run() -> Mapping[str, object]:
        async with open_moderator(load_settings(), policy_path=None) as moderator:
            figures = await bench_moderation(moderator, data)
            if images:
                figures |= bench_pictures(moderator.policy, Tools(fingerprint=fingerprint))
            return figures

    show("Moderation", asyncio.run(run()), as_json=as_json)


@bench_app.command()
def sticker(
    sheet: Annotated[
        Path | None, typer.Option(help="Write the 64 prompts with both seeds as one image.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Write sticker-quality.md and its images into this folder.", file_okay=False),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="Judge this exported model folder instead.", exists=True, file_okay=False),
    ] = None,
    growth_row: Annotated[
        int | None, typer.Option(help="Keep the figures as those after so many training samples.", min=0)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The embedded model: subjects, colors, backgrounds, and the strength that it has earned."""
    from bot.bench import bench_path  # noqa: PLC0415 - brings torch
    from generation.catalog import Catalog  # noqa: PLC0415
    from generation.sticker.quality.bench import bench_sticker  # noqa: PLC0415
    from generation.sticker.quality.report import write_report  # noqa: PLC0415
    from generation.sticker.quality.sheet import draw_sheet  # noqa: PLC0415
    from generation.sticker.quality.strengths import add_growth, read_growth  # noqa: PLC0415
    from moderation.embedding import SentenceEncoder  # noqa: PLC0415

    with _Stages() as stages:
        quality = bench_sticker(
            Catalog.load([]).get(None),
            embed=SentenceEncoder().embed,
            progress=stages.show,
            cache=load_settings().data_dir / "cache",
            model=model,
        )
    figures = dict(quality.figures)
    if model is None:  # the path draws with the model that ships
        figures["path_ms"] = asyncio.run(bench_path())["path_ms"]
    if growth_row is not None:
        add_growth(growth_row, quality.strengths)
    if sheet is not None:
        draw_sheet(quality.sheet, columns=4).save(sheet)
    if report is not None:
        write_report(report, figures, quality, growth=read_growth())
    show("Sticker model", figures, as_json=as_json)


@bench_app.command()
def lookup(
    pictures: Annotated[int, typer.Option(help="Stickers that are released.", min=4, max=1000)] = 40,
    photos: Annotated[
        Path | None, typer.Option(help="A folder of photographs to add.", exists=True, file_okay=False)
    ] = None,
    strangers: Annotated[int, typer.Option(help="Pictures that nobody was given.", min=0)] = 1000,
    as_json: AsJson = False,
) -> None:
    """Are pictures found again after attacks, is the right one of two owners named, and no stranger?"""
    from attribution.bench_lookup import bench_lookup  # noqa: PLC0415 - brings OpenCV
    from bot import bench_pictures  # noqa: PLC0415

    async def run(stages: _Stages) -> Mapping[str, object]:
        with tempfile.TemporaryDirectory(prefix="verso-bench-") as folder:
            database = open_database(f"sqlite:///{folder}/verso.db")
            released, used = bench_pictures.stickers(pictures)
            if photos is not None:
                released += bench_pictures.photographs(photos, pictures)
            others = bench_pictures.strangers(strangers, without=used)
            try:
                return await bench_lookup(database, released, others, progress=stages.show)
            finally:
                await database.dispose()

    with _Stages() as stages:
        figures = asyncio.run(run(stages))
    show("Look-up", figures, as_json=as_json)


@bench_app.command()
def ack(
    in_flight: Annotated[int, typer.Option(help="Commands at the same time.", min=1, max=500)] = 50,
    as_json: AsJson = False,
) -> None:
    """How soon a command is acknowledged while others are being worked on."""
    from bot.bench import bench_acknowledgement  # noqa: PLC0415

    show("First acknowledgement", asyncio.run(bench_acknowledgement(in_flight)), as_json=as_json)
