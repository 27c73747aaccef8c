"""Pictures by Verso itself, which rest on references and copy no other picture: for calibration."""

from __future__ import annotations

import random
from collections.abc import Iterator

from generation.card import ModelCard
from generation.families.sticker import StickerFamily
from generation.job import Credit, ImageRequest
from generation.sticker.backgrounds import SCENES
from generation.sticker.colors import COLORS, GROUNDS
from generation.sticker.draft import Part, draw, plan
from generation.sticker.finish import NATIVE
from generation.sticker.nearest.trials import Trial
from generation.sticker.quality.prompts import PAIRS, SINGLE
from generation.sticker.references import Reference, References
from generation.sticker.upscale import Upscaler
from generation.sticker.variety import Variety


def stickers(card: ModelCard, count: int, *, seed: int) -> Iterator[Trial]:
    """Finished pictures for the prompts that the model is judged by, drawn with the card's defaults.

    Raises:
        ModelLoadError: the card's folder holds no whole model.
    """
    model = StickerFamily().load(card, device="cpu")
    width, height = card.aspects["1:1"]
    prompts = [asked.prompt for asked in (*SINGLE, *PAIRS)]
    random.Random(f"stickers {seed}").shuffle(prompts)
    for number in range(count):
        request = ImageRequest(
            prompt=prompts[number % len(prompts)],
            model_id=card.id,
            width=width,
            height=height,
            seed=seed * 1000 + number,
            num_inference_steps=card.default_steps,
            guidance_scale=card.default_guidance,
        )
        row = model.prepare(request, index=0, source=None)
        while row.step < row.steps:
            model.denoise([row])
        decoded = model.decode(row)
        yield Trial(kind="stickers", pixels=decoded.pixels, references=decoded.credits)


def drafts(card: ModelCard, count: int, *, seed: int) -> Iterator[Trial]:
    """Enlarged drafts of references that are chosen from all, many of them with look-alikes in their set.

    Raises:
        ReferencePackError: the references cannot be read.
        UpscalerError: the upscaler cannot be run.
    """
    upscaler = Upscaler(card.folder / "upscaler")
    with References(card.folder / "references.zip") as references:
        for number in range(count):
            rng = random.Random(f"drafts {seed} {number}")
            parts = [
                Part(
                    reference=rng.choice(references.all),
                    color=rng.choice(list(COLORS)) if rng.random() < 0.25 else None,
                    count=rng.choice((1, 1, 1, 2, 3)),
                )
                for _ in range(rng.choice((1, 1, 2)))
            ]
            planned = plan(
                parts,
                background=rng.choice((*GROUNDS, *SCENES)),
                width=NATIVE,
                height=NATIVE,
                references=references,
                variety=Variety(seed * 1000 + number),
            )
            yield Trial(
                kind="drafts of any references",
                pixels=upscaler.enlarge(draw(planned, references=references).pixels),
                references=tuple(_credit(part.reference) for part in parts),
            )


def _credit(reference: Reference) -> Credit:
    source = reference.source
    return Credit(
        title=reference.title,
        author=source.author,
        license=source.license,
        license_url=source.license_url,
        source=source.locate(reference.file),
        share=1.0,
    )
