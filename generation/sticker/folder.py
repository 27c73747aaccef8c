"""The folder of training pictures: checks one that somebody made, and writes one."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from generation.sticker.credits import Summary, attribution_page
from generation.sticker.entries import Candidate, Entry, LeftOut
from generation.sticker.packages import DatasetError
from generation.sticker.screen import reason_to_leave_out

EDGE = 128
IMAGES, CAPTIONS, ATTRIBUTION, PAGE = (
    "images_128.zip",
    "captions.jsonl",
    "attribution.jsonl",
    "ATTRIBUTION.md",
)
_MAX_TABLE = 256 << 20  # bytes
_MAX_PICTURE = 256 << 10  # bytes; the largest in use has 12 KB
_MAX_PICTURES = 200_000
_FILE_NAME = re.compile(r"[0-9A-Za-z_-]{1,64}\.webp")
_EPOCH = (1980, 1, 1, 0, 0, 0)
_VISIBLE = 24  # of 255
_EMPTY = 0.02  # of the square


def read_folder(folder: Path) -> Iterator[Candidate | LeftOut]:
    """The pictures of a training folder, each checked: its credit, what it shows, and that it is a picture.

    Raises:
        DatasetError: a file is missing or damaged, or the three do not tell of the same pictures.
    """
    captions, credit_rows = (_table(folder / name) for name in (CAPTIONS, ATTRIBUTION))
    try:
        with zipfile.ZipFile(folder / IMAGES) as archive:
            infos = {info.filename: info for info in archive.infolist()}
            _agree(captions, credit_rows, infos, count=len(archive.infolist()))
            for number, caption in captions.items():
                yield _candidate(caption, credit_rows[number], archive)
    except (OSError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{folder / IMAGES} cannot be read: {error}") from error


def _table(path: Path) -> dict[int, Mapping[str, object]]:
    rows: dict[int, Mapping[str, object]] = {}
    try:
        if path.stat().st_size > _MAX_TABLE:
            raise DatasetError(f"{path} is larger than {_MAX_TABLE} bytes")
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    for place, row in enumerate(lines, 1):
        number = row.get("id") if isinstance(row, dict) else None
        if type(number) is not int or number in rows:
            raise DatasetError(f"{path}: line {place} has no id of its own")
        rows[number] = row
    return rows


def _agree(
    captions: Mapping[int, Mapping[str, object]],
    credit_rows: Mapping[int, Mapping[str, object]],
    infos: Mapping[str, zipfile.ZipInfo],
    *,
    count: int,
) -> None:
    if odd := captions.keys() ^ credit_rows.keys():
        raise DatasetError(f"{CAPTIONS} and {ATTRIBUTION} differ in {_some(odd)}")
    named = [str(row.get("file")) for row in captions.values()]
    for number, caption in captions.items():
        for key in ("file", "title"):
            if caption.get(key) != credit_rows[number].get(key):
                raise DatasetError(f"{CAPTIONS} and {ATTRIBUTION} name another {key} for {number}")
    if odd_names := infos.keys() ^ set(named):
        raise DatasetError(f"{IMAGES} and {CAPTIONS} differ in {_some(odd_names)}")
    if count != len(named) or len(set(named)) != len(named):
        raise DatasetError(f"{IMAGES} or {CAPTIONS} names a file twice")
    if count > _MAX_PICTURES:
        raise DatasetError(f"{IMAGES} holds more than {_MAX_PICTURES} pictures")
    for name, info in infos.items():
        plain = info.compress_type in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED} and not info.flag_bits & 1
        if not _FILE_NAME.fullmatch(name) or not plain:
            raise DatasetError(f"{IMAGES} holds {name!r}, which is no plain picture file")


def _some(odd: Iterable[object]) -> str:
    listed = sorted(map(str, odd))
    return ", ".join(listed[:5]) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "")


def _candidate(
    caption: Mapping[str, object], credit: Mapping[str, object], archive: zipfile.ZipFile
) -> Candidate | LeftOut:
    file, style = str(caption["file"]), str(caption.get("style"))
    try:
        entry = Entry.of_rows(caption, credit)
    except ValueError as error:
        return LeftOut(style=style, what=file, reason=f"incomplete: {error}")
    if reason := reason_to_leave_out(entry):
        return LeftOut(style=style, what=file, reason=reason)
    if archive.getinfo(file).file_size > _MAX_PICTURE:
        return LeftOut(style=style, what=file, reason="damaged: too many bytes")
    try:
        data = archive.read(file)
        pixels = decode(data)
    except (OSError, ValueError, zlib.error, zipfile.BadZipFile) as error:
        return LeftOut(style=style, what=file, reason=f"damaged: {error}")
    return Candidate(entry=entry, pixels=pixels, webp=data)


def decode(webp: bytes) -> npt.NDArray[np.uint8]:
    """The pixels of a stored picture, (128, 128, 4) RGBA.

    Raises:
        ValueError: no still WebP of 128 x 128 px; the size is checked before anything is decoded.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(webp), formats=("WEBP",)) as picture:
                if picture.size != (EDGE, EDGE) or getattr(picture, "n_frames", 1) != 1:
                    raise ValueError(f"not one picture of {EDGE} x {EDGE} px")
                return np.asarray(picture.convert("RGBA"))
    except (OSError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError("not a readable WebP") from error


def encode(picture: Image.Image) -> bytes:
    """A picture as it is stored."""
    data = io.BytesIO()
    picture.save(data, "WEBP", quality=90, method=4)
    return data.getvalue()


def write_folder(offered: Iterable[Candidate | LeftOut], out: Path) -> Summary:
    """Write a training folder: pictures, captions and credits with shared ids, and a page naming all authors.

    Exact duplicates and almost empty pictures are left out. Equal pictures give equal bytes. Files that were
    there are replaced once all is written.

    Raises:
        DatasetError: no picture is left.
    """
    out.mkdir(parents=True, exist_ok=True)
    summary = Summary()
    with tempfile.TemporaryDirectory(dir=out, prefix=".writing-") as name:
        draft = Path(name)
        entries = _write_images(offered, draft / IMAGES, summary)
        if not entries:
            raise DatasetError("no picture is left")
        _write_table(draft / CAPTIONS, [e.caption(i, _file(i)) for i, e in enumerate(entries)])
        _write_table(draft / ATTRIBUTION, [e.credit(i, _file(i)) for i, e in enumerate(entries)])
        (draft / PAGE).write_text(attribution_page(entries), encoding="utf-8")
        for file in (IMAGES, CAPTIONS, ATTRIBUTION, PAGE):
            (draft / file).replace(out / file)
    return summary


def _write_images(offered: Iterable[Candidate | LeftOut], path: Path, summary: Summary) -> list[Entry]:
    entries: list[Entry] = []
    seen: set[bytes] = set()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for item in offered:
            if isinstance(item, LeftOut):
                summary.left_out[item.style, item.reason] += 1
                continue
            alpha = item.pixels[..., 3:]
            digest = hashlib.sha256((item.pixels * (alpha > 0)).tobytes()).digest()
            if digest in seen:
                summary.left_out[item.entry.style, "a duplicate"] += 1
            elif (alpha > _VISIBLE).mean() < _EMPTY:
                summary.left_out[item.entry.style, "almost empty"] += 1
            else:
                info = zipfile.ZipInfo(_file(len(entries)), _EPOCH)
                info.external_attr, info.create_system = 0o644 << 16, 3  # Unix, whatever builds it
                archive.writestr(info, item.webp)
                seen.add(digest)
                summary.kept[item.entry.style, item.entry.license] += 1
                entries.append(item.entry)
    return entries


def _file(number: int) -> str:
    return f"{number:05d}.webp"


def _write_table(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
