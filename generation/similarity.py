"""How well a picture fits words: one number for each candidate of a grid.

Two scorers exist: CLIP from a folder that the operator names (`similarity_clip`), and a small head for the
embedded model (`sticker.similarity`). Their numbers are cosines of different spaces: they order the pictures
of one job and are not to be compared across scorers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from generation.card import ModelCard

Pixels = npt.NDArray[np.uint8]
Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]
"""texts -> (n, 512) float32 unit vectors, of the encoder that moderation loads."""


class Similarity(Protocol):
    """Scores pictures against a text; for any thread."""

    @property
    def name(self) -> str:
        """Which scorer, and which weights: what stands in the record."""

    def similarity(self, images: Sequence[Pixels], text: str) -> tuple[float, ...]:
        """A cosine, -1 to 1, for each picture (H, W, 3): the higher, the better it fits the text."""


class Scorers:
    """The scorer of each model, loaded when it is first asked for.

    Args:
        embed: see `Embed`.
        clip_folder: a CLIP model in the layout of `transformers`, for every model; None: the embedded model
            has its head, and others have none.
    """

    def __init__(self, *, embed: Embed, clip_folder: Path | None = None) -> None:
        self._embed, self._clip_folder = embed, clip_folder
        self._lock = threading.Lock()
        self._loaded: Similarity | None = None

    def of(self, card: ModelCard) -> Similarity | None:
        """The scorer for a model's pictures; None where there is none. Blocking: it may load weights.

        Raises:
            ModelLoadError, PictureEncoderError, SimilarityHeadError: files are missing or damaged.
        """
        if self._clip_folder is None and card.family != "sticker":
            return None
        with self._lock:
            if self._loaded is None:
                self._loaded = self._open()
        return self._loaded

    def _open(self) -> Similarity:
        if self._clip_folder is not None:
            from generation.similarity_clip import ClipSimilarity  # noqa: PLC0415 - loads torch

            return ClipSimilarity(self._clip_folder)
        from generation.sticker.similarity import HeadSimilarity  # noqa: PLC0415 - loads torch

        return HeadSimilarity.open(embed=self._embed)
