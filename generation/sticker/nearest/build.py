"""Makes the index of training pictures from the folder that the model was trained on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from rich.progress import track

from generation.sticker.colors import Pixels
from generation.sticker.draft import trim
from generation.sticker.entries import Candidate, Entry
from generation.sticker.folder import EDGE, read_folder
from generation.sticker.nearest.index import (
    CELLS,
    Floats,
    Package,
    Projection,
    TrainingIndex,
    TrainingPicture,
    pack,
)
from generation.sticker.nearest.search import INPUT, MARGIN, Encode
from generation.sticker.nearest.shapes import Shapes, compare
from generation.sticker.packages import DatasetError
from generation.sticker.references import References

_COMPONENTS = 96
_WHITENING = 0.75  # as the reference gallery of the bench: 0 keeps the variances, 1 makes all the same
_BATCH = 8
_SAME, _SAME_OUTLINE = 0.9, 0.01  # agreement, and mean difference of opacity, of equal pictures


def build_index(folder: Path, *, encode: Encode, references: References) -> TrainingIndex:
    """Read, draw small and embed every picture of a training folder; some five minutes of CPU time.

    Args:
        folder: of the training pictures.
        encode: `PictureEncoder.embed`.
        references: the opened pack that is drawn from.

    Raises:
        DatasetError: the folder is damaged, or holds a picture that must not be learned from.
    """
    candidates = read_training(folder)
    squares = [square(candidate.pixels) for candidate in candidates]
    starts = track(range(0, len(squares), _BATCH), description="embedding pictures")
    vectors = np.concatenate(
        [encode(np.stack([_on_white(s) for s in squares[start : start + _BATCH]])) for start in starts]
    )
    projection = fit_projection(vectors)
    light, opacity = likenesses(squares)
    pictures = tuple(_picture(i, candidate.entry) for i, candidate in enumerate(candidates))
    aliases = _aliases(references, pictures, light, opacity)
    return TrainingIndex(
        pictures=pictures,
        projection=projection,
        vectors=projection(vectors),
        likenesses=pack(light, opacity),
        aliases=aliases,
    )


def read_training(folder: Path) -> list[Candidate]:
    """The pictures of a training folder in the order of their ids.

    Raises:
        DatasetError: the folder is damaged, or holds a picture that must not be learned from.
    """
    candidates = []
    for item in track(list(read_folder(folder)), description="reading pictures"):
        if not isinstance(item, Candidate):
            raise DatasetError(f"{item.what} must not be in the training set: {item.reason}")
        candidates.append(item)
    return candidates


def _picture(number: int, entry: Entry) -> TrainingPicture:
    package = Package(
        package=entry.package,
        version=entry.version,
        license=entry.license,
        license_url=entry.license_url,
        upstream=entry.upstream,
    )
    return TrainingPicture(
        id=number, title=entry.title, author=entry.author, package=package, file=entry.file
    )


def square(picture: Pixels) -> Pixels:
    """A cut-out (E, E, 4), trimmed, in the middle of an empty square (F, F, 4)."""
    inner = trim(picture)
    high, wide = inner.shape[:2]
    edge = max(high, wide)
    out = np.zeros((edge, edge, 4), np.uint8)
    y, x = (edge - high) // 2, (edge - wide) // 2
    out[y : y + high, x : x + wide] = inner
    return out


def _on_white(squared: Pixels) -> Pixels:
    edge = round(len(squared) * MARGIN)
    out = np.full((edge, edge, 3), 255, np.float32)
    start = (edge - len(squared)) // 2
    alpha = squared[..., 3:].astype(np.float32) / 255
    inside = slice(start, start + len(squared))
    out[inside, inside] = squared[..., :3] * alpha + 255 * (1 - alpha)
    image = Image.fromarray(np.rint(out).astype(np.uint8))
    return np.asarray(image.resize((INPUT, INPUT), Image.Resampling.BICUBIC), np.uint8)


def likenesses(squares: Iterable[Pixels]) -> tuple[Floats, Floats]:
    """Lightness and opacity of cut-outs, (n, 24, 24) each, 0 to 1."""
    light, opacity = [], []
    for squared in squares:
        alpha = squared[..., 3].astype(np.float32) / 255
        lightness = np.asarray(Image.fromarray(squared[..., :3]).convert("L"), np.float32) / 255
        thin, mixed = (
            np.asarray(Image.fromarray(plane).resize((CELLS, CELLS), Image.Resampling.BOX))
            for plane in (alpha, alpha * lightness)
        )
        light.append(mixed / np.maximum(thin, np.float32(1e-3)))
        opacity.append(thin)
    return np.clip(np.stack(light), 0, 1), np.clip(np.stack(opacity), 0, 1)


def _aliases(
    references: References, pictures: Sequence[TrainingPicture], light: Floats, opacity: Floats
) -> dict[str, int]:
    """Which references are in the training set under another name only: it holds no picture twice."""
    known = {picture.source for picture in pictures}
    missing = [r for r in references.all if r.source.locate(r.file) not in known]
    aliases: dict[str, int] = {}
    if missing:
        drawn = likenesses(square(references.picture(reference, edge=EDGE)) for reference in missing)
        alike = compare(Shapes.of(light, opacity), Shapes.of(*drawn))
        for i, reference in enumerate(missing):
            row = int(alike[:, i].argmax())
            apart = float(np.abs(opacity[row] - drawn[1][i]).mean())
            if (
                alike[row, i] > _SAME
                and apart < _SAME_OUTLINE
                and pictures[row].author == reference.source.author
            ):
                aliases[reference.source.locate(reference.file)] = row
    return aliases


def fit_projection(vectors: Floats) -> Projection:
    """The first principal components of (n, 1280), partly whitened.

    Directions in which all pictures vary much say little about what they show; they are damped.
    """
    mean = vectors.mean(0)
    centered = (vectors - mean).astype(np.float64)
    variances, directions = np.linalg.eigh(centered.T @ centered / len(vectors))
    kept = slice(None, -min(_COMPONENTS, max(1, len(vectors) - 1)) - 1, -1)  # so many vary at all
    chosen = directions[:, kept]
    # An eigenvector's sign is the library's whim: its largest component is made positive.
    chosen = chosen * np.sign(chosen[np.abs(chosen).argmax(0), np.arange(chosen.shape[1])])
    scaled: npt.NDArray[np.float64] = chosen / np.maximum(variances[kept], 1e-9) ** (_WHITENING / 2)
    # Shipped as float16; the largest is brought to 1 so that none is lost in rounding.
    rounded = (scaled / np.abs(scaled).max()).astype(np.float16).astype(np.float32)
    return Projection(mean=mean.astype(np.float16).astype(np.float32), map=rounded)
