"""Writes a head as the file that screening reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from moderation.head import Head


def save_head(head: Head, target: Path) -> None:
    """Write `head.npz`; weights are kept in half precision."""
    np.savez_compressed(
        target,
        labels=np.array(head.labels),
        hidden=head.hidden.astype(np.float16),
        hidden_bias=head.hidden_bias,
        output=head.output.astype(np.float16),
        bias=head.bias,
        ngrams=head.ngrams,
        hold_at=head.hold_at,
        block_at=head.block_at,
    )
