"""What latent diffusion families have in common: pictures to latents and back, masks, previews, digests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from PIL import Image, ImageOps

from generation.errors import RequestLimitError
from generation.families.base import Mask, Pixels
from generation.job import ImageRequest

_PREVIEW_EDGE = 128


class _Samples(Protocol):
    def sample(self, generator: torch.Generator) -> torch.Tensor: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """What in-painting keeps of the source: after each step the latents outside the mask are put back."""

    mask: torch.Tensor  # 1 where to draw; broadcasts against the latents
    clean: torch.Tensor  # latents of the source
    noise: torch.Tensor  # with which the source is noised to the level of each step

    def blend(self, latents: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        """`latents` inside the mask, `kept` outside."""
        return (1 - self.mask) * kept + self.mask * latents


def check_edges(request: ImageRequest, multiple: int) -> None:
    """Refuse sizes that the latents cannot have.

    Raises:
        RequestLimitError: an edge is no multiple of `multiple` pixels.
    """
    if request.width % multiple or request.height % multiple:
        raise RequestLimitError(
            field="size",
            value=f"{request.width}x{request.height}",
            limit=f"edges must be multiples of {multiple}",
        )


def readable(text: str) -> str:
    """The text without lone surrogates, which no tokenizer takes."""
    return text.encode("utf-8", "replace").decode()


def picture_values(source: Pixels, request: ImageRequest) -> torch.Tensor:
    """(1, 3, H, W) in -1..1: the picture cropped around its center and scaled to the request's size."""
    picture = ImageOps.fit(Image.fromarray(source), (request.width, request.height), Image.Resampling.LANCZOS)
    # The very strides of diffusers' image processor: convolutions choose their arithmetic by them.
    values = torch.from_numpy(np.stack([np.asarray(picture, np.float32) / 255.0]).transpose(0, 3, 1, 2))
    return 2.0 * values - 1.0


def mask_values(mask: Mask, request: ImageRequest) -> torch.Tensor:
    """(1, 1, H, W), 1 where to draw: the mask cropped and scaled as its picture, then cut at one half."""
    picture = ImageOps.fit(Image.fromarray(mask), (request.width, request.height), Image.Resampling.LANCZOS)
    values = torch.from_numpy(np.asarray(picture, np.float32) / 255.0)
    return (values >= 0.5).to(torch.float32)[None, None]


def shrink_mask(values: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """(1, 1, height, width): the mask of `mask_values` at the size of the latents."""
    return torch.nn.functional.interpolate(values, size=(height, width))


def draw_noise(shape: tuple[int, ...], generator: torch.Generator, like: torch.Tensor) -> torch.Tensor:
    """Standard normal values, drawn on the CPU whatever the device; device and dtype are those of `like`."""
    from diffusers.utils.torch_utils import randn_tensor  # noqa: PLC0415 - after `quiet_and_offline`

    drawn: torch.Tensor = randn_tensor(shape, generator=generator, device=like.device, dtype=like.dtype)
    return drawn


def sampled(encoded: object, generator: torch.Generator) -> torch.Tensor:
    """Draw latents from what a VAE's `encode` gave."""
    samples: _Samples = encoded.latent_dist  # type: ignore[attr-defined]
    return samples.sample(generator)


def to_pixels(picture: torch.Tensor) -> Pixels:
    """(1, 3, H, W) in -1..1 to (H, W, 3) 8-bit."""
    values = torch.nan_to_num(picture[0] * 0.5 + 0.5).clamp(0, 1).permute(1, 2, 0).float().cpu().numpy()
    pixels: Pixels = (values * 255).round().astype(np.uint8)
    return pixels


def tensor_sha256(*tensors: torch.Tensor) -> str:
    """Hex SHA-256 of the tensors' bytes, row-major, little-endian as all our platforms are."""
    total = hashlib.sha256()
    for tensor in tensors:
        raw = tensor.detach().cpu().contiguous()
        total.update(raw.view(torch.uint8).numpy().tobytes() if raw.dim() else raw.numpy().tobytes())
    return total.hexdigest()


def fit_colors(
    decode: Callable[[torch.Tensor], torch.Tensor], *, channels: int, like: torch.Tensor
) -> torch.Tensor:
    """(channels + 1, 3): the affine map from latents to color that fits a decoder best.

    Args:
        decode: (n, channels, h, w) latents as they stand in the loop -> (n, 3, H, W) in -1..1.
        channels: of the latents.
        like: device and dtype to work with.
    """
    generator = torch.Generator("cpu").manual_seed(0)
    coarse = torch.randn((16, channels, 2, 2), generator=generator)  # latents of real pictures are smooth
    smooth = torch.nn.functional.interpolate(coarse, size=(8, 8), mode="bilinear")
    latents = smooth.to(like.device, like.dtype)
    pictures = decode(latents).float()
    colors = torch.nn.functional.avg_pool2d(pictures * 0.5 + 0.5, pictures.shape[-1] // 8)
    known = latents.float().permute(0, 2, 3, 1).reshape(-1, channels).cpu()
    wanted = colors.permute(0, 2, 3, 1).reshape(-1, 3).cpu()
    ones = torch.ones((len(known), 1))
    fit: torch.Tensor = torch.linalg.lstsq(torch.cat([known, ones], dim=1), wanted).solution
    return fit.to(like.device)


def small_picture(latents: torch.Tensor, colors: torch.Tensor) -> Pixels:
    """(channels, h, w) latents through the map of `fit_colors`, the longest side 128 px."""
    values = torch.einsum("chw,cr->hwr", latents.float(), colors[:-1]) + colors[-1]
    picture = Image.fromarray(
        (torch.nan_to_num(values).clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    )
    shrink = _PREVIEW_EDGE / max(picture.size)
    size = (max(1, round(picture.width * shrink)), max(1, round(picture.height * shrink)))
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC))


def shapes_of(*tensors: torch.Tensor) -> Hashable:
    """Their shapes and dtypes, as a part of a compatibility key."""
    return tuple((tuple(tensor.shape), tensor.dtype) for tensor in tensors)
