"""The vectors of the names in `data/things.toml`, shipped: the first unknown word is answered at once.

Eight bits for each dimension and a scale for each vector keep a cosine to about 0.002.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from generation.sticker.aliases import aliases, kin
from generation.sticker.vocabulary import DATA

FILE = DATA / "name_vectors.npz"
Floats = npt.NDArray[np.float32]

_SHORTEST = 4  # letters of a name that is looked for: shorter ones lie near any unknown word
_BATCH = 64
_LEVELS = 127


def names() -> tuple[str, ...]:
    """The names of one word that can be found by their meaning."""
    return tuple(name for name in {**kin(), **aliases()} if " " not in name and len(name) > _SHORTEST)


def write_name_vectors(embed: Callable[[Sequence[str]], Floats], out: Path = FILE) -> int:
    """Embed all names; the same names give the same file. Returns their number."""
    listed = names()
    parts = [embed(listed[i : i + _BATCH]) for i in range(0, len(listed), _BATCH)]
    vectors = np.concatenate([np.asarray(part, np.float32) for part in parts])
    scale = np.abs(vectors).max(1, keepdims=True) / _LEVELS
    np.savez_compressed(
        out,
        names=np.array(listed),
        vectors=np.rint(vectors / scale).astype(np.int8),
        scale=scale[:, 0].astype(np.float32),
    )
    return len(listed)


@cache
def name_vectors(path: Path = FILE) -> tuple[tuple[str, ...], Floats]:
    """The names (n) and their unit vectors (n, 512) float32."""
    with np.load(path, allow_pickle=False) as arrays:
        vectors = arrays["vectors"].astype(np.float32) * arrays["scale"][:, None]
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return tuple(str(name) for name in arrays["names"]), vectors
