"""Opens everything that judging the embedded model needs, for `verso bench sticker`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from generation.card import ModelCard
from generation.sticker.picture_encoder import PictureEncoder
from generation.sticker.quality.drawing import Artist, other_model
from generation.sticker.quality.judge import Progress, Prompts, Quality, judge
from generation.sticker.quality.subjects import open_gallery
from generation.sticker.references import References
from generation.sticker.retrieval import Embed


def bench_sticker(
    card: ModelCard,
    *,
    embed: Embed | None,
    progress: Progress,
    cache: Path,
    model: Path | None = None,
    prompts: Prompts | None = None,
) -> Quality:
    """Draw the fixed prompts and judge them, on one thread; some five minutes of CPU time.

    The first run for a reference pack also embeds its pictures, six more minutes, and keeps the result.

    Args:
        card: of the sticker family.
        embed: the multilingual sentence encoder, as in `StickerFamily`.
        progress: told about every picture.
        cache: where embedded galleries are kept.
        model: a Stable Diffusion folder to judge in place of the card's own.
        prompts: None: the fixed lists.

    Raises:
        ModelLoadError: the model cannot be read.
        PictureEncoderError: the independent embedding is not installed.
    """
    torch.set_num_threads(1)  # figures of one thread can be compared; a second one gains little
    encoder = PictureEncoder()
    with tempfile.TemporaryDirectory(prefix="verso-bench-") as folder:
        judged = card if model is None else other_model(card, model, folder=Path(folder))
        artist = Artist(judged, embed=embed)
        pack = card.folder / "references.zip"
        with References(pack) as references:
            done, total = 0, len(references.all)

            def tick(more: int) -> None:
                nonlocal done
                done += more
                progress("references", done, total)

            gallery = open_gallery(references, encoder, pack=pack, cache=cache, tick=tick)
        return judge(artist, encoder, gallery, prompts=prompts or Prompts(), progress=progress)
