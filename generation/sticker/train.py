"""Trains the sticker model from a folder of credited pictures.

    python -m generation.sticker.dataset pictures --packages PACKAGES --out PICTURES
    python -m generation.sticker.train vae  --data PICTURES --out RUN/vae
    python -m generation.sticker.train unet --data PICTURES --out RUN/unet --minutes 600
    python -m generation.sticker.train unet --data PICTURES --out RUN/unet --cool 100000
    python -m generation.sticker.export --checkpoint RUN/unet --vae RUN/vae/vae

Both trainings may run at the same time, may be stopped at any moment and go on where they were. To better the
model that ships, add --start generation/sticker/embedded/model. Cool a copy of RUN/unet if the run is to go
on: a cooled network is at the end of its schedule. The last command replaces the model that ships.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from generation.sticker.packages import DatasetError

_VAE_STEPS = 16_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m generation.sticker.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", choices=("vae", "unet"))
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of pictures with captions and credits"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument(
        "--latents",
        type=Path,
        help="PCA file that both parts share, fitted if missing; default: the shipped one",
    )
    parser.add_argument("--start", type=Path, help="model folder to begin from where OUT holds no checkpoint")
    parser.add_argument("--minutes", type=float, help="of this run at most")
    parser.add_argument("--steps", type=_positive, default=_VAE_STEPS, help="vae: length of the schedule")
    parser.add_argument("--samples", type=_positive, help="unet: in all at most")
    parser.add_argument("--cool", type=_positive, help="unet: samples over which the rate falls to 0")
    parser.add_argument("--bfloat16", action="store_true", help="unet: mixed precision")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    try:
        from generation.sticker.training.latents import SHIPPED  # noqa: PLC0415 - --help stays quick
        from generation.sticker.training.pictures import PictureFolder  # noqa: PLC0415

        pictures = PictureFolder(options.data)
        import torch  # noqa: PLC0415

        torch.set_num_threads(options.threads)
        common = {
            "latents": options.latents or SHIPPED,
            "start": options.start,
            "minutes": options.minutes,
        }
        if options.part == "vae":
            from generation.sticker.training.vae import train_vae  # noqa: PLC0415

            done = train_vae(pictures, options.out, steps=options.steps, **common)
            sys.stdout.write(f"{done} steps\n")
        else:
            from generation.sticker.training.unet import train_unet  # noqa: PLC0415

            done = train_unet(
                pictures,
                options.out,
                samples=options.samples,
                cool=options.cool,
                bfloat16=options.bfloat16,
                **common,
            )
            sys.stdout.write(f"{done} samples\n")
    except DatasetError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    raise SystemExit(main())
