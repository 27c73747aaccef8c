"""Names the training pictures nearest to a finished picture, and says whether it is a near copy of one.

What a picture shows is compared by the picture encoder, of each thing that stands out. A near copy is told by
how a thing is drawn (`shapes`): it must agree with a training picture very well, and better than with the
pictures that the job was allowed to draw from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import chain, islice, product

import numpy as np
import numpy.typing as npt

from generation.job import Credit
from generation.sticker.colors import Pixels
from generation.sticker.nearest.cutouts import Frame, Sampler, Thing, find_things, on_white, shrink
from generation.sticker.nearest.index import CELLS, TrainingIndex, TrainingPicture, open_index, subject
from generation.sticker.nearest.shapes import Floats, Shapes, compare, halved, too_plain
from generation.sticker.nearest.thresholds import Thresholds

Encode = Callable[[Pixels], Floats]
"""(n, H, W, 3) -> (n, 1280) float32, rows of unit length: `PictureEncoder.embed`."""

MARGIN = 1.1
"""Edge of the square that is embedded by the longer side of the thing in it."""
INPUT = 224
"""px of that square."""

SHOWN = 0.5
"""What the similarity of what is shown counts beside the agreement of the drawing."""
ALONE = 0.1
"""What is taken off the similarity where it stands alone: fine lines may be the same and yet not agree."""

_EMBEDDED = 5  # things of one picture
_SHOWN_EDGE = 256  # px of the picture's short edge, of which they are cut
_OTHERS, _OWN = 40, 16  # rows that are compared closely
_FINALISTS = 4  # and again, closer still
_PART = 512  # rows that are prepared at once: no more fit into a CPU's cache
_CLOSE = [
    (dx, dy, scale) for scale in (0.94, 1.0, 1.06) for dx, dy in product((-1 / 32, 0, 1 / 32), repeat=2)
]
_CLOSER = [
    (dx, dy, scale) for scale in (0.98, 1.0, 1.02) for dx, dy in product((-1 / 64, 0, 1 / 64), repeat=2)
]
_SAME_PLACE = 0.4  # intersection over union of frames that show the same thing

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, kw_only=True, slots=True)
class NearPicture:
    """One training picture beside a finished one."""

    picture: TrainingPicture
    similarity: float  # of what they show; cosine, at most 1
    near_copy: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Nearest:
    """What was found; near copies first, then by similarity."""

    pictures: tuple[NearPicture, ...]

    @property
    def near_copy(self) -> bool:
        """Whether the picture is a near copy of one of them."""
        return any(near.near_copy for near in self.pictures)


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """How a row of the index agrees with a finished picture."""

    row: int
    likeness: float
    explained: float  # likeness, in the same place, of the best picture the job was allowed to draw from
    agreement: float  # of the drawing, -1 to 1
    similarity: float


class NearestPictures:
    """Searches the training pictures; not for use by two threads at once.

    Args:
        index: the opened index.
        encode: `PictureEncoder.embed`.
        thresholds: from which on a picture is a near copy.
    """

    def __init__(self, index: TrainingIndex, *, encode: Encode, thresholds: Thresholds) -> None:
        self.index = index
        self.thresholds = thresholds
        self._encode = encode
        parts = [index.drawn(slice(i, i + _PART)) for i in range(0, len(index.pictures), _PART)]
        self._coarse = Shapes.joined([Shapes.of(*halved(*part)) for part in parts])
        self.plain = np.concatenate([too_plain(*part) for part in parts])  # rows never said to be copied
        self._by_source = {picture.source: i for i, picture in enumerate(index.pictures)} | dict(
            index.aliases
        )
        self._by_subject: dict[str, list[int]] = defaultdict(list)
        for i, picture in enumerate(index.pictures):
            self._by_subject[subject(picture.title)].append(i)

    def nearest(self, pixels: Pixels, *, references: Collection[Credit], k: int = 5) -> Nearest:
        """The training pictures nearest to a finished picture, with their credits.

        Args:
            pixels: (H, W, 3) sRGB.
            references: what the picture rests on. They and the pictures of the same subject in other sets
                are left out: that it resembles them is no news.
            k: how many at most.

        Raises:
            ValueError: `pixels` has another shape or type, or `k` is less than 1.
        """
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
            raise ValueError(f"expected (H, W, 3) of uint8, got {pixels.shape} of {pixels.dtype}")
        if k < 1:
            raise ValueError(f"k must be at least 1, not {k}")
        own = self.left_out(references)
        similarity, evidence = self.examine(pixels, own=own)
        copied = [
            found.row for found in evidence if self.thresholds.near_copy(found.likeness, found.explained)
        ]
        hidden = {*own.tolist(), *copied}
        others = (int(i) for i in np.argsort(-similarity, kind="stable") if int(i) not in hidden)
        rows = list(islice(chain(copied, others), k))
        return Nearest(
            pictures=tuple(
                NearPicture(
                    picture=self.index.pictures[row],
                    similarity=round(float(similarity[row]), 4),
                    near_copy=row in copied,
                )
                for row in rows
            )
        )

    def left_out(self, references: Collection[Credit]) -> Rows:
        """The rows of references and of the pictures of the same subjects."""
        rows = {self._by_source[credit.source] for credit in references if credit.source in self._by_source}
        for credit in references:
            rows.update(self._by_subject.get(subject(credit.title), ()))
        return np.array(sorted(rows), np.intp)

    def examine(self, pixels: Pixels, *, own: Rows) -> tuple[Floats, tuple[Evidence, ...]]:
        """The similarity of every row, and the evidence for the few that agree best, the best first."""
        small = shrink(pixels)
        things = find_things(small)
        larger = shrink(pixels, edge=_SHOWN_EDGE)
        shown = np.stack([on_white(larger, t, edge=INPUT, margin=MARGIN) for t in things[:_EMBEDDED]])
        similarity = (self.index.vectors @ self.index.projection(self._encode(shown)).T).max(1)
        return similarity, self._evidence(small, things, similarity, own)

    def _evidence(
        self, small: Pixels, things: Sequence[Thing], similarity: Floats, own: Rows
    ) -> tuple[Evidence, ...]:
        samplers = [Sampler(small, thing.mask) for thing in things]
        views = _views(samplers, [[thing.frame] for thing in things], edge=CELLS // 2)
        coarse = compare(self._coarse, views).max(1) + SHOWN * similarity
        ranked = np.argsort(-coarse, kind="stable")
        allowed = np.isin(ranked, own)
        others = ranked[~allowed & ~self.plain[ranked]][:_OTHERS]
        rows = np.concatenate([others, ranked[allowed][:_OWN]])
        shown = similarity[rows]
        likenesses = Shapes.of(*self.index.drawn(rows))
        frames = [[thing.frame.moved(*step) for step in _CLOSE] for thing in things]
        close = compare(likenesses, _views(samplers, frames, edge=CELLS))
        places = [place for part in frames for place in part]
        agreement = close.reshape(len(rows), 2, -1).max(1)  # whichever way round
        found = []
        for i in np.argsort(-_likeness(agreement.max(1), shown)[: len(others)])[:_FINALISTS]:
            at = int(agreement[i].argmax())
            closer = [places[at].moved(*step) for step in _CLOSER]
            again = compare(likenesses, _views([samplers[at // len(_CLOSE)]], [closer], edge=CELLS)).max(1)
            there = [j for j, place in enumerate(places) if place.overlap(places[at]) > _SAME_PLACE]
            here = np.maximum(again, agreement[:, there].max(1))
            likeness = _likeness(here, shown)
            found.append(
                Evidence(
                    row=int(rows[i]),
                    likeness=float(likeness[i]),
                    explained=float(likeness[len(others) :].max(initial=-1)),
                    agreement=float(here[i]),
                    similarity=float(shown[i]),
                )
            )
        return tuple(sorted(found, key=lambda evidence: -evidence.likeness))


def _likeness(agreement: Floats, similarity: Floats) -> Floats:
    """One figure, at most 1, of how two pictures are drawn and what they show."""
    both = (agreement + SHOWN * similarity) / (1 + SHOWN)
    out: Floats = np.maximum(both, similarity - ALONE)
    return out


def open_nearest(*, threads: int = 1) -> NearestPictures:
    """Open the search over the shipped index; in a third of a second.

    Args:
        threads: of the CPU, for one look-up.

    Raises:
        TrainingIndexError: the index or its thresholds are missing or damaged.
        PictureEncoderError: the picture encoder is not installed.
    """
    from generation.sticker.picture_encoder import PictureEncoder  # noqa: PLC0415 - loads torch

    encoder = PictureEncoder(threads=threads)
    return NearestPictures(open_index(), encode=encoder.embed, thresholds=Thresholds.read())


def _views(samplers: Sequence[Sampler], frames: Sequence[Sequence[Frame]], *, edge: int) -> Shapes:
    """What is seen through the frames of each thing, and then all of it mirrored."""
    read = [sampler.read(part, edge=edge) for sampler, part in zip(samplers, frames, strict=True)]
    light, opacity = (np.concatenate(planes) for planes in zip(*read, strict=True))
    return Shapes.of(
        np.concatenate([light, light[:, :, ::-1]]), np.concatenate([opacity, opacity[:, :, ::-1]])
    )
