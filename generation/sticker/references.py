"""The credited pictures that ship with the model: opened quickly, drawn on demand."""

from __future__ import annotations

import io
import json
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from generation.errors import GenerationError
from generation.sticker.sources import Source

PACK = Path(__file__).parent / "embedded" / "references.zip"
_CACHED_PICTURES = 96  # of up to 512 x 512 RGBA: at most 100 MB, usually under 10
_MAX_MEMBER = 4 << 20


class ReferencePackError(GenerationError):
    """The reference pictures cannot be read."""

    code = "references"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """One credited picture."""

    id: str
    title: str  # lower case
    keywords: tuple[str, ...]
    group: (
        int | None
    )  # emojibase: 0 faces, 1 people, 3 animals, 4 food, 5 travel, 6 activities, 7 objects, 8 signs
    source: Source
    file: str
    seat: float | None = None  # height of the surface things stand on, 0 = top edge of the picture

    @property
    def vector(self) -> bool:
        """Whether it is drawn from SVG and so sharp at any size."""
        return self.source.kind != "webp"


@dataclass(frozen=True, kw_only=True, slots=True)
class TitleVectors:
    """Sentence embeddings of the titles: float32, rows of unit length."""

    titles: tuple[str, ...]
    title: npt.NDArray[np.float32]  # (n, 512) of the title alone
    described: npt.NDArray[np.float32]  # (n, 512) of the title with its first keywords


class References:
    """An opened reference pack; not for use by two threads at once."""

    def __init__(self, path: Path = PACK) -> None:
        try:
            self._archive = zipfile.ZipFile(path)
            rows = [json.loads(line) for line in self._read("references.jsonl").splitlines()]
            sources = {key: Source(**value) for key, value in json.loads(self._read("sources.json")).items()}
            self.all: tuple[Reference, ...] = tuple(
                Reference(
                    id=row["id"],
                    title=row["title"],
                    keywords=tuple(row["keywords"]),
                    group=row["group"],
                    source=sources[row["source"]],
                    file=row["file"],
                    seat=row.get("seat"),
                )
                for row in rows
            )
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise ReferencePackError(f"the reference pack {path} cannot be read: {error}") from error
        by_title: dict[str, list[Reference]] = {}
        for reference in self.all:
            by_title.setdefault(reference.title, []).append(reference)
        self.by_title: Mapping[str, tuple[Reference, ...]] = {
            key: tuple(found) for key, found in by_title.items()
        }
        self._pictures: OrderedDict[tuple[str, int], npt.NDArray[np.uint8]] = OrderedDict()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file."""
        self._archive.close()

    def _read(self, member: str) -> bytes:
        if self._archive.getinfo(member).file_size > _MAX_MEMBER and not member.endswith((".npz", ".jsonl")):
            raise ValueError(f"{member} is too large")
        return self._archive.read(member)

    @cached_property
    def vectors(self) -> TitleVectors:
        """The shipped embeddings of the titles."""
        with np.load(io.BytesIO(self._read("embeddings.npz")), allow_pickle=False) as arrays:
            return TitleVectors(
                titles=tuple(str(title) for title in arrays["titles"]),
                title=arrays["title"].astype(np.float32),
                described=arrays["described"].astype(np.float32),
            )

    def picture(self, reference: Reference, *, edge: int) -> npt.NDArray[np.uint8]:
        """Draw a picture.

        Args:
            reference: one of `all`.
            edge: px of the square; vectors are sharp at any, bitmaps up to 256.

        Returns:
            (edge, edge, 4) RGBA with straight alpha, read-only.

        Raises:
            ReferencePackError: the pack is damaged.
        """
        key = (reference.id, edge)
        if key in self._pictures:
            self._pictures.move_to_end(key)
            return self._pictures[key]
        try:
            data = self._read(f"{reference.id}.{'svg' if reference.vector else 'webp'}")
            drawn = np.asarray(render(data, vector=reference.vector, edge=edge))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, Image.DecompressionBombError) as error:
            raise ReferencePackError(f"picture {reference.id} cannot be drawn: {error}") from error
        self._pictures[key] = drawn
        if len(self._pictures) > _CACHED_PICTURES:
            self._pictures.popitem(last=False)
        return drawn


def render(data: bytes, *, vector: bool, edge: int) -> Image.Image:
    """Draw one picture as RGBA of `edge` x `edge` px.

    Raises:
        OSError: the bitmap is damaged.
        ValueError: the SVG is damaged.
    """
    if vector:
        import resvg_py  # noqa: PLC0415 - loaded by the first vector that is drawn

        data = bytes(
            resvg_py.svg_to_bytes(svg_string=data.decode(), width=edge, height=edge, skip_system_fonts=True)
        )
    with Image.open(io.BytesIO(data)) as picture:
        rgba = picture.convert("RGBA")
    return rgba if rgba.size == (edge, edge) else rgba.resize((edge, edge), Image.Resampling.LANCZOS)
