"""Which training pictures a drawn picture is nearest to: opened when first needed, one question at a time."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from generation.catalog import Catalog
from generation.job import Credit

if TYPE_CHECKING:
    from generation.sticker.nearest.search import NearestPictures

NAMED = 5  # neighbors that are recorded with a picture
_REMEMBERED = 64  # answers: the check of a picture and its record ask the same
_FAMILY = "sticker"


@dataclass(frozen=True, kw_only=True, slots=True)
class Neighbor:
    """One training picture near to a drawn one, with its credit."""

    title: str
    author: str
    license: str  # SPDX id
    license_url: str
    source: str  # package and file, resolvable by a stranger
    similarity: float  # of what the two show; cosine, at most 1
    near_copy: bool

    def to_json(self) -> dict[str, str | float | bool]:
        """As it stands in the record and in documents."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answer:
    neighbors: tuple[Neighbor, ...]
    likeness: float  # of the near copy; 0: there is none


class TrainingPictures:
    """Asks the index of the embedded model's training pictures; for any thread.

    The index belongs to the shipped weights: for every other model the answer is None, and nothing is opened.
    """

    def __init__(
        self, model_ids: Collection[str], *, open_: Callable[[], NearestPictures] | None = None
    ) -> None:
        """`model_ids`: drawn by the weights that the index belongs to; `open_` opens the index."""
        self._model_ids, self._open = frozenset(model_ids), open_ or _open_shipped
        self._search: NearestPictures | None = None
        self._lock = threading.Lock()  # the search serves one question at a time
        self._answers: OrderedDict[tuple[str, ...], _Answer] = OrderedDict()

    @classmethod
    def of(cls, catalog: Catalog) -> Self:
        """The index of the embedded model, which stands first in the catalog."""
        embedded = catalog.get(None)
        return cls([embedded.id] if embedded.family == _FAMILY else [])

    @property
    def opened(self) -> bool:
        """Whether the index is in memory."""
        return self._search is not None

    async def nearest(
        self, pixels: npt.NDArray[np.uint8], model_id: str, credits_: Sequence[Credit]
    ) -> tuple[Neighbor, ...] | None:
        """The nearest training pictures beside those that the picture rests on; near copies first.

        Args:
            pixels: (H, W, 3) 8-bit sRGB as drawn.
            model_id: that drew them.
            credits_: what the model was given to draw from.

        Returns:
            At most five; None: the model has no index.

        Raises:
            GenerationError: the index or the picture encoder cannot be loaded.
        """
        if model_id not in self._model_ids:
            return None
        answer = await asyncio.to_thread(
            self._ask, pixels, model_id, [credit.source for credit in credits_], lambda _: credits_
        )
        return answer.neighbors

    async def likest(self, pixels: npt.NDArray[np.uint8]) -> tuple[Neighbor, ...]:
        """The training pictures nearest to any picture (H, W, 3), whoever made it; empty without an index.

        Raises:
            GenerationError: the index or the picture encoder cannot be loaded.
        """
        for model_id in self._model_ids:
            return (await asyncio.to_thread(self._ask, pixels, model_id, [], lambda _: ())).neighbors
        return ()

    def likeness(
        self, pixels: npt.NDArray[np.uint8], model_id: str, references: Sequence[str]
    ) -> float | None:
        """What moderation asks (`moderation.rules.base.NearCopy`); blocking.

        Args:
            pixels: (H, W, 3) 8-bit sRGB as drawn.
            model_id: that drew them.
            references: sources of the pictures that the model was given to draw from.

        Returns:
            At least the likeness from which a picture counts as a near copy, where it is one; 0.0: it is
            none; None: the model has no index.

        Raises:
            GenerationError: the index or the picture encoder cannot be loaded.
        """
        if model_id not in self._model_ids:
            return None
        return self._ask(
            pixels,
            model_id,
            references,
            lambda search: [_named(search, source) for source in references],
        ).likeness

    def _ask(
        self,
        pixels: npt.NDArray[np.uint8],
        model_id: str,
        sources: Sequence[str],
        credits_: Callable[[NearestPictures], Sequence[Credit]],
    ) -> _Answer:
        digest = hashlib.sha256(pixels.tobytes()).hexdigest()
        key = (digest, str(pixels.shape), model_id, *sorted(set(sources)))
        with self._lock:
            answer = self._answers.get(key)
            if answer is None:
                if self._search is None:
                    self._search = self._open()
                answer = self._answers[key] = _look(self._search, pixels, credits_(self._search))
                if len(self._answers) > _REMEMBERED:
                    self._answers.popitem(last=False)
            return answer


def _look(search: NearestPictures, pixels: npt.NDArray[np.uint8], credits_: Sequence[Credit]) -> _Answer:
    found = search.nearest(pixels, references=credits_, k=NAMED)
    neighbors = tuple(
        Neighbor(
            title=near.picture.title,
            author=near.picture.author,
            license=near.picture.package.license,
            license_url=near.picture.package.license_url,
            source=near.picture.source,
            similarity=near.similarity,
            near_copy=near.near_copy,
        )
        for near in found.pictures
    )
    # What a picture shows may be less alike than how it is drawn, which made it a near copy.
    least = search.thresholds.likeness
    likeness = max((max(near.similarity, least) for near in neighbors if near.near_copy), default=0.0)
    return _Answer(neighbors=neighbors, likeness=likeness)


def recorded(moderation: bytes, *, index: int) -> tuple[Neighbor, ...] | None:
    """The neighbors that the record of a picture names.

    Args:
        moderation: the decisions as recorded, `ReleaseDetails.moderation`.
        index: the picture's place in its job.

    Returns:
        None: its model has no index, or the index could not be asked.
    """
    for decision in json.loads(moderation):
        if decision.get("index") == index and "nearest" in decision:
            return tuple(Neighbor(**near) for near in decision["nearest"])
    return None


def _open_shipped() -> NearestPictures:
    from generation.sticker.nearest.search import open_nearest  # noqa: PLC0415 - loads torch

    return open_nearest()


def _named(search: NearestPictures, source: str) -> Credit:
    """A reference with its title in the index, by which pictures of the same subject are known."""
    credit = Credit(title="", author="", license="", license_url="", source=source, share=0.0)
    rows = search.left_out([credit])
    return dataclasses.replace(credit, title=search.index.pictures[rows[0]].title) if len(rows) else credit
