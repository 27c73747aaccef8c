"""Draws the fixed sheet that the default strength is judged by: 16 prompts, two seeds, one strength per run.

python -m generation.sticker.sheet --out sheet.png [--strength 0.25] [--edge 256]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from generation.card import ModelCard
from generation.catalog import Catalog
from generation.errors import GenerationError
from generation.families.sticker import StickerFamily, StickerModel
from generation.job import ImageRequest
from generation.sticker.dataset import sentence_encoder

PROMPTS = (
    "a red apple on a blue plate",
    "a cat, a dog and a fox",
    "three red balloons on a yellow background",
    "a purple octopus, 3d style",
    "a penguin at sunset",
    "a taxi in the city",
    "a robot in front of a castle",
    "a unicorn, pink background",
    "two ducks by the sea",
    "a green dragon under a night sky",
    "a bear in the snow",
    "a rabbit on the grass",
    "a dog wearing a hat",
    "a pizza, flat style",
    "a small cactus on a table",
    "a yellow car and a blue bus in the city",
)
"""Fixed, so that sheets of different training stages can be compared."""

SEEDS = (1, 2)
_LABEL = 16


def picture(
    model: StickerModel, card: ModelCard, prompt: str, *, seed: int, strength: float | None
) -> npt.NDArray[np.uint8]:
    """Draw one 1:1 picture with the card's defaults."""
    width, height = card.aspects["1:1"]
    row = model.prepare(
        ImageRequest(
            prompt=prompt,
            model_id=card.id,
            width=width,
            height=height,
            seed=seed,
            num_inference_steps=card.default_steps,
            guidance_scale=card.default_guidance,
            strength=strength,
        ),
        index=0,
        source=None,
    )
    while row.step < row.steps:
        model.denoise([row])
    return model.decode(row).pixels


def sheet(model: StickerModel, card: ModelCard, *, strength: float | None, edge: int) -> Image.Image:
    """All prompts, each with both seeds side by side, four prompts in a row."""
    columns = 4
    cell = (edge * len(SEEDS) + 8, edge + _LABEL + 4)
    image = Image.new("RGB", (cell[0] * columns, cell[1] * -(-len(PROMPTS) // columns)), "white")
    draw = ImageDraw.Draw(image)
    for i, prompt in enumerate(PROMPTS):
        x, y = i % columns * cell[0], i // columns * cell[1]
        for k, seed in enumerate(SEEDS):
            pixels = picture(model, card, prompt, seed=seed, strength=strength)
            small = Image.fromarray(pixels).resize((edge, edge), Image.Resampling.LANCZOS)
            image.paste(small, (x + k * edge, y))
        draw.text((x + 2, y + edge + 2), prompt, fill="black")
    return image


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m generation.sticker.sheet", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--strength", type=float, help="default: the card's")
    parser.add_argument("--edge", type=int, default=256, help="px of one picture on the sheet")
    options = parser.parse_args(arguments)
    import torch  # noqa: PLC0415 - --help stays quick

    torch.set_num_threads(
        1
    )  # a second thread gains little on pictures this small, and costs much on a busy machine
    try:
        card = Catalog.load([]).get(None)
        model = StickerFamily(embed=sentence_encoder()).load(card, device="cpu")
        sheet(model, card, strength=options.strength, edge=options.edge).save(options.out)
    except (GenerationError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
