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
    known: dict[int, Floats] = {}
    if cache is not None and cache.is_file():
        with np.load(cache, allow_pickle=False) as data:
            known = dict(zip(data["keys"].tolist(), data["vectors"].astype(np.float32), strict=True))
    keys = [_key(text) for text in texts]
    missing = sorted({text for text, key in zip(texts, keys, strict=True) if key not in known}, key=len)
    for start in range(0, len(missing), _BATCH):
        part = missing[start : start + _BATCH]
        known.update(zip(map(_key, part), embed(part), strict=True))
        _LOG.info("embedded %d of %d new texts", start + len(part), len(missing))
        if cache is not None and (start // _BATCH % _SAVED == _SAVED - 1 or start + _BATCH >= len(missing)):
            _save(cache, known)
    return np.stack([known[key] for key in keys]).astype(np.float32)


def _save(cache: Path, known: dict[int, Floats]) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    vectors = np.stack(list(known.values())).astype(np.float16)
    np.savez(cache, keys=np.array(list(known), dtype=np.uint64), vectors=vectors)


def _key(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big")
