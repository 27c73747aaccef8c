"""Assembles a trained model into a plain Stable Diffusion folder for `DiffusionPipeline.from_pretrained`.

    python -m generation.sticker.export --checkpoint FOLDER [--vae FOLDER] [--tokenizer FOLDER] --out FOLDER

The weights are written as float16 safetensors.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from generation.errors import GenerationError

MODEL = Path(__file__).parent / "model"

NOISE_SCHEDULER = {
    "num_train_timesteps": 1000,
    "beta_schedule": "squaredcos_cap_v2",
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
    "clip_sample": False,
    "set_alpha_to_one": True,
    "steps_offset": 1,  # what diffusers expects; trailing spacing does not use it
}
"""DDIM on the schedule that the U-Net is trained with."""


class ExportError(GenerationError):
    """The checkpoint cannot be exported."""

    code = "export"


def export(*, unet: Path, text_encoder: Path, vae: Path, tokenizer: Path, out: Path) -> int:
    """Write the pipeline folder.

    Returns:
        The size of the folder in bytes.

    Raises:
        ExportError: a part is missing or damaged.
    """
    import torch  # noqa: PLC0415 - heavy, and only needed here
    from diffusers import (  # noqa: PLC0415
        AutoencoderKL,
        DDIMScheduler,
        StableDiffusionPipeline,
        UNet2DConditionModel,
    )
    from diffusers.utils import logging  # noqa: PLC0415
    from transformers import BertTokenizer, CLIPTextModel  # noqa: PLC0415
    from transformers.utils import logging as transformers_logging  # noqa: PLC0415

    logging.set_verbosity_error()
    transformers_logging.set_verbosity_error()
    logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    try:
        pipeline = StableDiffusionPipeline(
            vae=AutoencoderKL.from_pretrained(vae),
            text_encoder=CLIPTextModel.from_pretrained(text_encoder),
            tokenizer=BertTokenizer.from_pretrained(tokenizer),
            unet=UNet2DConditionModel.from_pretrained(unet),
            scheduler=DDIMScheduler(**NOISE_SCHEDULER),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ExportError(f"a part of the checkpoint cannot be read: {error}") from error
    pipeline.to(torch.float16)
    fresh = out.with_name(out.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    pipeline.save_pretrained(fresh)
    shutil.rmtree(out, ignore_errors=True)
    fresh.rename(out)
    return sum(path.stat().st_size for path in out.rglob("*") if path.is_file())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m generation.sticker.export", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="holds unet/ and text_encoder/")
    parser.add_argument("--vae", type=Path, help="default: CHECKPOINT/vae")
    parser.add_argument("--tokenizer", type=Path, help="default: CHECKPOINT/tokenizer")
    parser.add_argument("--out", type=Path, default=MODEL)
    options = parser.parse_args(arguments)
    try:
        size = export(
            unet=options.checkpoint / "unet",
            text_encoder=options.checkpoint / "text_encoder",
            vae=options.vae or options.checkpoint / "vae",
            tokenizer=options.tokenizer or options.checkpoint / "tokenizer",
            out=options.out,
        )
    except ExportError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{options.out}: {size / 1e6:.1f} MB\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
