"""Assembles a trained model into a plain Stable Diffusion folder for `DiffusionPipeline.from_pretrained`.

    python -m generation.sticker.export --checkpoint FOLDER [--vae FOLDER] [--tokenizer FOLDER] --out FOLDER

The weights are written as float16 safetensors. Written to its own place, the model's card is pinned to them.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from generation.card import weights_digest
from generation.errors import GenerationError
from generation.families.offline import quiet_and_offline

EMBEDDED = Path(__file__).parent / "embedded"
MODEL = EMBEDDED / "model"
CARD = EMBEDDED / "card.toml"
_PINNED = re.compile(r"^weights_sha256 = .*$", re.MULTILINE)

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
    quiet_and_offline()
    import diffusers  # noqa: PLC0415 - heavy, and only after `quiet_and_offline`
    import transformers  # noqa: PLC0415

    hub: Any = diffusers  # the libraries build their classes at run time, so their types cannot be checked
    words: Any = transformers
    try:
        pipeline = hub.StableDiffusionPipeline(
            vae=hub.AutoencoderKL.from_pretrained(vae),
            text_encoder=words.CLIPTextModel.from_pretrained(text_encoder),
            tokenizer=words.BertTokenizer.from_pretrained(tokenizer),
            unet=hub.UNet2DConditionModel.from_pretrained(unet),
            scheduler=hub.DDIMScheduler(**NOISE_SCHEDULER),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ExportError(f"a part of the checkpoint cannot be read: {error}") from error
    for part in (pipeline.vae, pipeline.text_encoder, pipeline.unet):
        part.half()
    fresh = out.with_name(out.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    pipeline.save_pretrained(fresh)
    _load_as_float32(fresh / "text_encoder" / "config.json")
    for config in fresh.glob("*/config.json"):
        _forget_origin(config)
    shutil.rmtree(out, ignore_errors=True)
    fresh.rename(out)
    return sum(path.stat().st_size for path in out.rglob("*") if path.is_file())


def _load_as_float32(path: Path) -> None:
    """Let transformers widen the text encoder as diffusers widens the rest; it would keep the stored type."""
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings["dtype"] = "float32"
    path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _forget_origin(path: Path) -> None:
    """Drop where a part was read from: a path of the machine that trained it tells nobody anything."""
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings.pop("_name_or_path", None)
    path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def pin(card: Path) -> str:
    """Write the digest of the files beside `card` into it, as `weights_sha256`.

    Returns:
        The digest.

    Raises:
        ExportError: the card cannot be read or has no such line.
    """
    try:
        text = card.read_text(encoding="utf-8")
    except OSError as error:
        raise ExportError(f"{card} cannot be read: {error.strerror}") from error
    digest = weights_digest(card.parent)
    pinned, count = _PINNED.subn(f'weights_sha256 = "{digest}"', text)
    if count != 1:
        raise ExportError(f"{card} has no line weights_sha256")
    card.write_text(pinned, encoding="utf-8")
    return digest


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
        sys.stdout.write(f"{options.out}: {size / 1e6:.1f} MB\n")
        if options.out.resolve() == MODEL.resolve():
            sys.stdout.write(f"{CARD.name}: weights_sha256 is now {pin(CARD)}\n")
    except ExportError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
