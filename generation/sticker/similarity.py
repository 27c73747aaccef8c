"""How well a sticker fits words: picture features and text vectors meet in one small space.

Two linear maps, trained as the towers of CLIP are (Radford et al., 2021) on credited pictures and titles:
the first takes the picture encoder's 1,280 features, the second the sentence encoder's 512. The model that
draws saw the same titles; the picture encoder never did. `python -m generation.sticker.similarity FOLDER`
trains it.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from PIL import Image

from generation.errors import GenerationError
from generation.sticker.colors import Pixels
from generation.sticker.picture_encoder import EDGE, PictureEncoder

HEAD = Path(__file__).parent / "similarity.npz"

Floats = npt.NDArray[np.float32]
Encode = Callable[[Pixels], Floats]
"""(n, H, W, 3) -> (n, 1280) float32: `PictureEncoder.embed`."""
Embed = Callable[[Sequence[str]], Floats]
"""texts -> (n, 512) float32 unit vectors."""


class SimilarityHeadError(GenerationError):
    """The similarity head cannot be read."""

    code = "similarity_head"


class HeadSimilarity:
    """Scores pictures against a text; for any thread that `encode` and `embed` are for."""

    def __init__(
        self, *, mean: Floats, picture: Floats, text: Floats, name: str, encode: Encode, embed: Embed
    ) -> None:
        """Take the two maps, (1280, d) and (512, d); `mean` (1280,) is taken off picture features first."""
        self._mean, self._picture, self._text = mean, picture, text
        self._encode, self._embed = encode, embed
        self.name = name

    @classmethod
    def open(cls, path: Path = HEAD, *, embed: Embed, encode: Encode | None = None) -> Self:
        """Read the shipped head, and load the picture encoder.

        Raises:
            SimilarityHeadError: the file is missing or damaged.
            PictureEncoderError: the picture encoder is not installed.
        """
        try:
            data = path.read_bytes()
            with np.load(path, allow_pickle=False) as arrays:
                mean, picture, text = (arrays[key].astype(np.float32) for key in ("mean", "picture", "text"))
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise SimilarityHeadError(f"the similarity head {path} cannot be read: {error}") from error
        if mean.shape != (1280,) or picture.shape[:1] != (1280,) or text.shape != (512, *picture.shape[1:]):
            raise SimilarityHeadError(
                f"the similarity head {path} is damaged: its maps do not fit each other"
            )
        return cls(
            mean=mean,
            picture=picture,
            text=text,
            name=f"sticker-head-{hashlib.sha256(data).hexdigest()[:12]}",
            encode=encode or PictureEncoder().embed,
            embed=embed,
        )

    def similarity(self, images: Sequence[Pixels], text: str) -> tuple[float, ...]:
        """A cosine for each picture (H, W, 3); see `generation.similarity`."""
        if not images:
            return ()
        words = self.texts([text])[0]
        return tuple(float(value) for value in self.pictures(images) @ words)

    def pictures(self, images: Sequence[Pixels]) -> Floats:
        """(n, d) unit vectors of pictures of any size, seen whole."""
        squares = np.stack(
            [
                np.asarray(Image.fromarray(image).resize((EDGE, EDGE), Image.Resampling.BICUBIC))
                for image in images
            ]
        )
        return mapped(self._encode(squares), mean=self._mean, by=self._picture)

    def texts(self, texts: Sequence[str]) -> Floats:
        """(n, d) unit vectors of texts."""
        return unit(self._embed(list(texts)) @ self._text)


def mapped(features: Floats, *, mean: Floats, by: Floats) -> Floats:
    """Picture features (n, 1280) in the common space, rows of unit length."""
    return unit(unit(features - mean) @ by)


def unit(rows: Floats) -> Floats:
    """Rows of unit length."""
    out: Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-9))
    return out


if __name__ == "__main__":
    from generation.sticker.similarity_training import main

    main(sys.argv[1:])
