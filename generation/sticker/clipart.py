"""Reads Debian's package of public domain clip art: drawings by many hands, each with its author's name."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from PIL import Image

from generation.sticker.archives import deb_files, deb_version
from generation.sticker.entries import LeftOut, without_mail
from generation.sticker.packages import DatasetError, Record
from generation.sticker.sources import CLIPART
from generation.sticker.svg import Svg, SvgError, plain, read_svg

CLIPART_FOLDER = "usr/share/openclipart/svg/"

_PUBLIC_DOMAIN = re.compile(
    r"https?://(?:web\.resource\.org/cc/PublicDomain|creativecommons\.org/licenses/publicdomain)/?"
)
_MORE_THAN_DRAWN = frozenset({"image", "feImage", "script"})
_WEAK_TITLE = re.compile(r"_|\.\w{2,4}$|^(?:clip ?art|various|image|drawing|untitled|draft)\b|^\W*$")
_WEAK_KEYWORD = re.compile(
    r"hash\(.*|0x.*|open ?clip ?art|clip ?art|unsorted|special|.*@.*|hash|icons?|symbol|\d+|.{30,}|.?"
)
_OFTEN = 3  # a title that more pictures have says little
_MARGIN = 4  # px around a drawing
_SLIMMEST = 0.2


def read_clipart(folder: Path) -> Iterator[Record | LeftOut]:
    """All drawings of the package that are credited public domain, in a fixed order.

    Args:
        folder: holds the .deb, or what was unpacked from it, at any depth.

    Raises:
        DatasetError: the package is missing, damaged or of another version.
    """
    read: list[tuple[str, Svg]] = []
    for name, data in sorted(_files(folder)):
        try:
            svg = read_svg(data)
            _check(svg)
        except SvgError as error:
            yield LeftOut(style=CLIPART.key, what=name, reason=f"clip art: {error}")
        else:
            read.append((name, svg))
    titles = Counter(svg.title.casefold() for _, svg in read)
    for name, svg in read:
        author = without_mail(svg.creator)
        yield Record(
            id=f"{CLIPART.key}/{name}",
            title=_title(svg, name, author, often=titles[svg.title.casefold()] > _OFTEN),
            keywords=_keywords(svg, name, author),
            group=None,
            source=replace(CLIPART, author=author),
            file=name,
            data=svg.text.encode(),
            vector=True,
        )


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    packages = sorted(folder.rglob(f"{CLIPART.package}_*.deb"))
    if packages:
        version = deb_version(packages[0], package=CLIPART.package)
        if version != CLIPART.version:
            raise DatasetError(f"{packages[0]} is {version}, the recipe is written for {CLIPART.version}")
        files = deb_files(packages[0])
        yield from ((n, d) for n, d in files if n.startswith(CLIPART_FOLDER) and n.endswith(".svg"))
        return
    roots = [path for path in folder.rglob(CLIPART_FOLDER.rstrip("/")) if path.is_dir()]
    if not roots:
        raise DatasetError(
            f"the clip art is missing in {folder}: add --fetch, or put Debian's {CLIPART.package} "
            f"{CLIPART.version} there, as .deb or unpacked"
        )
    for path in roots[0].rglob("*.svg"):
        if path.is_file() and not path.is_symlink():
            yield CLIPART_FOLDER + path.relative_to(roots[0]).as_posix(), path.read_bytes()


def _check(svg: Svg) -> None:
    if not _PUBLIC_DOMAIN.fullmatch(svg.license):
        raise SvgError("does not say that it is public domain")
    if not svg.creator:
        raise SvgError("names no author")
    if more := svg.elements & _MORE_THAN_DRAWN:
        raise SvgError(f"holds {' and '.join(sorted(more))}")


def _title(svg: Svg, name: str, author: str, *, often: bool) -> str:
    """The given title, or where it says nothing, the words of the file name without the author's."""
    title = svg.title.casefold()
    if often or _WEAK_TITLE.search(title) or title.split()[0] in author.casefold().split():
        title = " ".join(file_words(name, author))
    without_number = re.sub(r"[\s#]*\b[\divx]*\d[\divx]*$|(?<=[a-z])\d+\b", "", title).strip()
    return plain(without_number or title)


def file_words(name: str, author: str) -> list[str]:
    """The words of a file's name without its author's: shovel_jeff_simps_01.svg by Jeff Simpson, a shovel."""
    stem = name.rpartition("/")[2].removesuffix(".svg").casefold()
    names = [word for word in re.findall(r"[^\W\d_]+", author.casefold()) if len(word) > 2]
    words = [word for word in re.split(r"[\W_]+", stem) if word]
    others = [word for word in words if not any(n.startswith(word) or word.startswith(n) for n in names)]
    return others or words


def _keywords(svg: Svg, name: str, author: str) -> tuple[str, ...]:
    folders = name.removeprefix(CLIPART_FOLDER).split("/")[:-1]
    given = {word.casefold().replace("_", " ") for word in (*svg.subjects, *folders)}
    names = {author.casefold(), svg.creator.casefold()}
    return tuple(sorted(word for word in given - names if not _WEAK_KEYWORD.fullmatch(word)))


def draw_clipart(record: Record, *, edge: int) -> Image.Image:
    """Draw a drawing's content in the middle of a square.

    Args:
        record: one of `read_clipart`.
        edge: px of the square.

    Returns:
        RGBA of (edge, edge); its content leaves a margin of 4 px in 128.

    Raises:
        ValueError: nothing can be drawn, or it is much longer than wide.
    """
    import resvg_py  # noqa: PLC0415 - loaded by the first vector that is drawn

    data = resvg_py.svg_to_bytes(
        svg_string=record.data.decode(), width=2 * edge, height=2 * edge, dpi=96, skip_system_fonts=True
    )
    with Image.open(io.BytesIO(bytes(data))) as opened:
        picture = opened.convert("RGBA")
    box = picture.getchannel("A").point(lambda alpha: 255 * (alpha > 16)).getbbox()
    if box is None:
        raise ValueError("it is empty")
    picture = picture.crop(box)
    long, short = max(picture.size), min(picture.size)
    if short < _SLIMMEST * long:
        raise ValueError("it is too slim")
    scale = (edge - 2 * _MARGIN * edge / 128) / long
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    square = Image.new("RGBA", (edge, edge))
    square.paste(
        picture.resize(size, Image.Resampling.LANCZOS), ((edge - size[0]) // 2, (edge - size[1]) // 2)
    )
    return square
