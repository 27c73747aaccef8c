r"""Trains the sticker model from a folder of credited pictures.

    python -m generation.sticker.dataset pictures --packages PACKAGES --out PICTURES
    python -m generation.sticker.train vae  --data PICTURES --out RUN/vae
    python -m generation.sticker.train unet --data PICTURES --out RUN/unet --minutes 600
    python -m generation.sticker.train unet --data PICTURES --out RUN/unet --cool 100000
    python -m generation.sticker.export --checkpoint RUN/unet --vae RUN/vae/vae --out RUN/model
    python -m generation.sticker.train redrawn --data PICTURES --out RUN/redrawn --start RUN/model
    python -m generation.sticker.train decoder --data PICTURES --out RUN/decoder --start RUN/model \
        --redrawn RUN/redrawn
    python -m generation.sticker.export --checkpoint RUN/unet --vae RUN/decoder/vae

The first two trainings may run at the same time, and so may the last two: redrawn pictures, as the U-Net
makes them, and the decoder that learns from them to restore what was meant. All may be stopped at any moment
and go on where they were. To better the model that ships, add --start generation/sticker/embedded/model
and the number of samples that it has seen (--seen); --wide gives its U-Net more room where details are drawn.
Cool a copy of RUN/unet if the run is to go on: a cooled network is at the end of its schedule. The last
command replaces the model that ships.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from generation.sticker.packages import DatasetError

if TYPE_CHECKING:
    from generation.sticker.training.pictures import PictureFolder

_VAE_STEPS = 16_000
_DECODER_STEPS = 6_000
_REDRAWN = 12_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m generation.sticker.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", choices=("vae", "unet", "redrawn", "decoder"))
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
    parser.add_argument("--seen", type=_positive, default=0, help="unet: samples that START has seen")
    parser.add_argument("--wide", action="store_true", help="unet: widen the one of START first")
    parser.add_argument("--minutes", type=float, help="of this run at most")
    parser.add_argument("--steps", type=_positive, help="vae, decoder: length of the schedule")
    parser.add_argument("--samples", type=_positive, help="unet, redrawn: in all at most")
    parser.add_argument("--redrawn", type=Path, help="decoder: the folder of redrawn pictures")
    parser.add_argument("--cool", type=_positive, help="unet: samples over which the rate falls to 0")
    parser.add_argument("--bfloat16", action="store_true", help="unet, decoder: mixed precision")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    try:
        from generation.sticker.training.latents import SHIPPED  # noqa: PLC0415 - --help stays quick
        from generation.sticker.training.pictures import PictureFolder  # noqa: PLC0415

        pictures = PictureFolder(options.data)
        import torch  # noqa: PLC0415

        torch.set_num_threads(options.threads)
        done, unit = _train(pictures, options, options.latents or SHIPPED)
        sys.stdout.write(f"{done} {unit}\n")
    except DatasetError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _train(pictures: PictureFolder, options: argparse.Namespace, latents: Path) -> tuple[int, str]:
    """Run the chosen part; returns how much is done in all, and of what."""
    common: dict[str, Any] = {"start": options.start, "minutes": options.minutes}
    if options.part == "redrawn":
        from generation.sticker.training.redrawn import redraw  # noqa: PLC0415

        return redraw(pictures, options.out, samples=options.samples or _REDRAWN, **common), "pictures"
    if options.part == "vae":
        from generation.sticker.training.vae import train_vae  # noqa: PLC0415

        steps = options.steps or _VAE_STEPS
        return train_vae(pictures, options.out, steps=steps, latents=latents, **common), "steps"
    common |= {"latents": latents, "bfloat16": options.bfloat16}
    if options.part == "decoder":
        from generation.sticker.training.decoder import train_decoder  # noqa: PLC0415

        if options.redrawn is None:
            raise DatasetError("the decoder needs --redrawn, the folder of redrawn pictures")
        steps = options.steps or _DECODER_STEPS
        return train_decoder(pictures, options.out, redrawn=options.redrawn, steps=steps, **common), "steps"
    from generation.sticker.training.unet import train_unet  # noqa: PLC0415

    if options.wide and options.start is None:
        raise DatasetError("--wide needs --start, the model whose U-Net is widened")
    common |= {name: getattr(options, name) for name in ("seen", "wide", "samples", "cool")}
    return train_unet(pictures, options.out, **common), "samples"


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    raise SystemExit(main())
