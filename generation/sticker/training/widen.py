"""Gives a trained U-Net more room at its finest level without forgetting what it knows.

The finest level (16 x 16 cells) draws edges and eyes, and it was the thinnest. Its channels are doubled by
copying each one beside itself and sharing out what reads them (Net2WiderNet; Chen et al., 2016), so that the
wide network begins where the narrow one ended; a further layer begins with no effect. Three
things change: group norms over a joint of a doubled and an undoubled part see other groups than before, one
shortcut between levels that have the same width now is lost, and the middle block is left out to stay within
the size that ships. They heal within some thousand samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from generation.sticker.packages import DatasetError
from generation.sticker.training.latents import CHANNELS
from generation.sticker.training.pictures import EDGE

if TYPE_CHECKING:
    import torch

NARROW: Mapping[str, object] = {
    "sample_size": EDGE // 8,
    "in_channels": CHANNELS,
    "out_channels": CHANNELS,
    "block_out_channels": (64, 128, 176),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "layers_per_block": 1,
    "attention_head_dim": 4,
    "norm_num_groups": 16,
    "resnet_time_scale_shift": "scale_shift",
    "addition_embed_type": "text",
    "addition_embed_type_num_heads": 4,
}
"""The shape of a U-Net begun from scratch, 10 M parameters.

Its `cross_attention_dim` is the width of the text encoder.
"""

WIDE: Mapping[str, object] = {
    **NARROW,
    "block_out_channels": (128, 128, 176),
    "layers_per_block": (2, 1, 1),
    "mid_block_type": None,
    "time_embedding_dim": 256,
}
"""The wide U-Net's shape, 10.5 M parameters."""

_NEW = ("down_blocks.0.resnets.1.", "up_blocks.2.resnets.1.")
"""Layers that the narrow U-Net lacks."""
_MOVED = ("up_blocks.2.resnets.2.", "up_blocks.2.resnets.1.")
"""The last layer is the second no more."""


def widen(narrow: Path, out: Path) -> None:
    """Write a U-Net of the shape `WIDE` to `out` that continues the one of the shape `NARROW` in `narrow`.

    Raises:
        DatasetError: the U-Net there has another shape.
    """
    import diffusers  # noqa: PLC0415
    import torch  # noqa: PLC0415

    hub: Any = diffusers  # it builds its classes at run time, so their types cannot be checked
    begun = hub.UNet2DConditionModel.from_pretrained(narrow, torch_dtype=torch.float32, local_files_only=True)
    shape = {name: begun.config[name] for name in NARROW}
    if shape != {name: list(value) if isinstance(value, tuple) else value for name, value in NARROW.items()}:
        raise DatasetError(f"the U-Net in {narrow} cannot be widened: it has another shape")
    wide = hub.UNet2DConditionModel(**WIDE, cross_attention_dim=begun.config.cross_attention_dim)
    generator = torch.Generator().manual_seed(0)
    old = begun.state_dict()
    with torch.no_grad():
        for name, value in wide.state_dict().items():
            if name.startswith(_NEW):
                continue
            source = old[name.replace(*_MOVED)]
            if name == "time_embedding.linear_1.weight":
                # Sine and cosine at half of the frequencies are those that the narrow one knows.
                value.zero_()[:, ::2] = source
            else:
                value.copy_(_read_by_more(_doubled(source, value.shape[0]), value.shape, generator))
        for name in _NEW:
            block = wide.get_submodule(name.removesuffix("."))
            torch.nn.init.zeros_(block.conv2.weight)
            torch.nn.init.zeros_(block.conv2.bias)
            if block.conv_shortcut is not None:
                torch.nn.init.dirac_(block.conv_shortcut.weight)
                torch.nn.init.zeros_(block.conv_shortcut.bias)
    wide.save_pretrained(out)


def _doubled(weights: torch.Tensor, wanted: int) -> torch.Tensor:
    """Repeat the output channels beside themselves, from the tail on, until there are `wanted`."""
    kept = 2 * len(weights) - wanted  # of a head that keeps its width
    return _joined(weights[:kept], weights[kept:].repeat_interleave(2, 0), 0)


def _read_by_more(weights: torch.Tensor, shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """Share each doubled input channel's weights out between its two copies, unevenly so that they part."""
    import torch  # noqa: PLC0415

    if weights.ndim == 1 or weights.shape[1] == shape[1]:
        return weights
    kept = 2 * weights.shape[1] - shape[1]
    tail = weights[:, kept:]
    share = 0.5 + 0.2 * torch.rand(tail.shape, generator=generator)
    pair = torch.stack((tail * share, tail * (1 - share)), 2).flatten(1, 2)
    return _joined(weights[:, :kept], pair, 1)


def _joined(head: torch.Tensor, tail: torch.Tensor, dim: int) -> torch.Tensor:
    import torch  # noqa: PLC0415

    return torch.cat((head, tail), dim)
