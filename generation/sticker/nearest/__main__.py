"""Builds and calibrates the search for the nearest training pictures.

    python -m generation.sticker.nearest build --data PICTURES [--out training.zip]
    python -m generation.sticker.nearest calibrate --data PICTURES [--out thresholds.toml]

PICTURES is the folder that the model was trained on, as `python -m generation.sticker.dataset pictures` makes
it. The same folder gives the same index; calibration has fixed seeds.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from generation.errors import GenerationError
from generation.sticker.nearest.index import INDEX, open_index, write_index
from generation.sticker.nearest.thresholds import THRESHOLDS, Thresholds
from generation.sticker.packages import DatasetError
from generation.sticker.references import PACK

_SEEDS = (8, 9)  # of the pictures that choose, and of those that measure
_STRICTEST = Thresholds(likeness=1, margin=0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "build":
            _build(options.data, options.out, pack=options.references)
        else:
            _calibrate(options.data, options.index, options.out, count=options.count)
    except (DatasetError, GenerationError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m generation.sticker.nearest",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="the index that ships with the model")
    build.add_argument("--out", type=Path, default=INDEX)
    build.add_argument("--references", type=Path, default=PACK, help="the pack that is drawn from")
    calibrate = commands.add_parser("calibrate", help="when a picture is a near copy, and how sure that is")
    calibrate.add_argument("--index", type=Path, default=INDEX)
    calibrate.add_argument("--out", type=Path, default=THRESHOLDS)
    calibrate.add_argument(
        "--count", type=_positive, default=50, help="copied pictures (default %(default)s)"
    )
    for command in (build, calibrate):
        command.add_argument("--data", type=Path, required=True, metavar="PICTURES")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _build(data: Path, out: Path, *, pack: Path) -> None:
    from generation.sticker.nearest.build import build_index  # noqa: PLC0415 - --help stays quick
    from generation.sticker.picture_encoder import PictureEncoder  # noqa: PLC0415
    from generation.sticker.references import References  # noqa: PLC0415

    with References(pack) as references:
        index = build_index(data, encode=PictureEncoder(threads=1).embed, references=references)
    write_index(index, out)
    sys.stdout.write(f"{len(index.pictures):,} pictures, {out.stat().st_size / 1e6:.2f} MB\n")


def _calibrate(data: Path, index_path: Path, out: Path, *, count: int) -> None:
    import numpy as np  # noqa: PLC0415 - --help stays quick
    import torch  # noqa: PLC0415

    from generation.catalog import Catalog  # noqa: PLC0415
    from generation.sticker.nearest import calibrate, own_work, trials  # noqa: PLC0415
    from generation.sticker.nearest.build import read_training  # noqa: PLC0415
    from generation.sticker.nearest.search import NearestPictures  # noqa: PLC0415
    from generation.sticker.picture_encoder import PictureEncoder  # noqa: PLC0415

    torch.set_num_threads(1)  # figures of one thread can be compared
    index = open_index(index_path)
    search = NearestPictures(index, encode=PictureEncoder(threads=1).embed, thresholds=_STRICTEST)
    candidates = read_training(data)
    if [c.entry.title for c in candidates] != [picture.title for picture in index.pictures]:
        raise DatasetError(f"{index_path} was not built from {data}")
    judged = np.flatnonzero(~search.plain).tolist()
    if 4 * count > len(judged):
        raise DatasetError(f"{len(judged)} pictures are too few for --count {count}")
    cutouts = [candidate.pixels for candidate in candidates]
    card = Catalog.load([]).get(None)
    rows = random.Random(_SEEDS[0]).sample(judged, 4 * count)

    def half(part: int, seed: int) -> Iterator[trials.Trial]:
        chosen = rows[part::2]
        yield from trials.copies(cutouts, index, chosen[:count], seed=seed)
        yield from trials.by_other_hands(cutouts, index.pictures, chosen, seed=seed)
        yield from trials.doodles(2 * count, seed=seed)
        yield from own_work.drafts(card, 2 * count, seed=seed)
        yield from own_work.stickers(card, 2 * count, seed=seed)

    with Progress() as progress:
        task = progress.add_task("looking up", total=2 * count * (len(trials.CHANGES) + 1 + 2 * 4))
        first, second = (
            calibrate.run(search, half(part, seed), tick=lambda: progress.advance(task))
            for part, seed in enumerate(_SEEDS)
        )
    thresholds = calibrate.measure(second, calibrate.choose(first))
    thresholds.write(out)
    console = Console()
    for table in calibrate.tables(second, thresholds):
        console.print(table)
    cpu_s = sum(outcome.cpu_s for outcome in second) / len(second)
    console.print(f"{search.plain.mean():.1%} of the training pictures are too plain to be said to be copied")
    console.print(f"likeness {thresholds.likeness:.3f}, margin {thresholds.margin:.3f}")
    console.print(f"{cpu_s * 1000:.0f} ms of CPU time a picture")


if __name__ == "__main__":
    raise SystemExit(main())
