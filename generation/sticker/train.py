"""Trains the sticker model from a folder of credited pictures.

    python -m generation.sticker.dataset pictures --packages PACKAGES --out PICTURES
    python -m generation.sticker.train vae  --data PICTURES --out RUN/vae  --latents RUN/pca.npz
    python -m generation.sticker.train unet --data PICTURES --out RUN/unet --latents RUN/pca.npz --minutes 600
    python -m generation.sticker.export --checkpoint RUN/unet --vae RUN/vae/vae --out generation/sticker/model

Both trainings may run at the same time, may be stopped at any moment and go on where they were.
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
    parser.add_argument("--latents", type=Path, help="the PCA file both parts share; default: OUT/../pca.npz")
    parser.add_argument("--minutes", type=float, help="of this run at most")
    parser.add_argument(
        "--steps", type=int, help=f"in all; default for vae: {_VAE_STEPS}, for unet: no limit"
    )
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    latents = options.latents or options.out.parent / "pca.npz"
    try:
        from generation.sticker.training.pictures import PictureFolder  # noqa: PLC0415 - --help stays quick

        pictures = PictureFolder(options.data)
        import torch  # noqa: PLC0415

        torch.set_num_threads(options.threads)
        if options.part == "vae":
            from generation.sticker.training.vae import train_vae  # noqa: PLC0415

            done = train_vae(
                pictures,
                options.out,
                latents=latents,
                steps=options.steps or _VAE_STEPS,
                minutes=options.minutes,
            )
            sys.stdout.write(f"{done} steps\n")
        else:
            from generation.sticker.training.unet import train_unet  # noqa: PLC0415

            done = train_unet(
                pictures, options.out, latents=latents, minutes=options.minutes, steps=options.steps
            )
            sys.stdout.write(f"{done} samples\n")
    except DatasetError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
