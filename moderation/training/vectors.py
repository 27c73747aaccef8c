"""Embeds many texts once: vectors are kept in a file beside the training data, never in the repository."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from moderation.head import Floats
from moderation.rules.base import Embed

_LOG = logging.getLogger(__name__)
_BATCH = 512
_SAVED = 8  # batches between two savings


def embed_all(texts: Sequence[str], embed: Embed, cache: Path | None) -> Floats:
    """Return the (n, 512) vectors, embedding only what `cache` does not hold yet."""
    known = _read(cache)
    keys = [_key(text) for text in texts]
    missing = sorted({text for text, key in zip(texts, keys, strict=True) if key not in known}, key=len)
    for start in range(0, len(missing), _BATCH):
        part = missing[start : start + _BATCH]
        known.update(zip(map(_key, part), embed(part), strict=True))
        _LOG.info("embedded %d of %d new texts", start + len(part), len(missing))
        if cache is not None and (start // _BATCH % _SAVED == _SAVED - 1 or start + _BATCH >= len(missing)):
            _save(cache, known)
    return np.stack([known[key] for key in keys]).astype(np.float32)


class Remembered:
    """An encoder that looks into the file of kept vectors first, and keeps what it had to embed itself."""

    def __init__(self, embed: Embed, cache: Path | None) -> None:
        """Read the file, if there is one."""
        self._embed = embed
        self._cache = cache
        self._known = _read(cache)
        self._new = 0

    def __call__(self, texts: Sequence[str]) -> Floats:
        """Return the (n, 512) vectors."""
        missing = [text for text in dict.fromkeys(texts) if _key(text) not in self._known]
        if missing:
            self._known.update(zip(map(_key, missing), self._embed(missing), strict=True))
            self._new += len(missing)
        return np.stack([self._known[_key(text)] for text in texts]).astype(np.float32)

    def save(self) -> None:
        """Write the file anew if something was embedded."""
        if self._cache is not None and self._new:
            _save(self._cache, self._known)
            self._new = 0


def _read(cache: Path | None) -> dict[int, Floats]:
    if cache is None or not cache.is_file():
        return {}
    with np.load(cache, allow_pickle=False) as data:
        return dict(zip(data["keys"].tolist(), data["vectors"].astype(np.float32), strict=True))


def _save(cache: Path, known: dict[int, Floats]) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    vectors = np.stack(list(known.values())).astype(np.float16)
    np.savez(cache, keys=np.array(list(known), dtype=np.uint64), vectors=vectors)


def _key(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big")
