"""The sticker family: a credited draft, redrawn by a small latent diffusion model and enlarged.

A picture starts as a draft that code composes from the reference pictures (`generation.sticker.scene`).
The VAE encodes it, noise is added up to the *strength*, and the U-Net denoises it again with DDIM, as in
SDEdit (Meng et al., 2021). At strength 0 the draft stays as it is, at 1 only the words count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from generation.card import ModelCard
from generation.errors import GenerationError, ModelLoadError
from generation.families.base import Decoded, Pixels, Service
from generation.job import Credit, ImageRequest
from generation.sticker.draft import Plan, draw
from generation.sticker.finish import cover, native_size, restore_detail
from generation.sticker.network import NoiseScheduler
from generation.sticker.onnx_network import open_network
from generation.sticker.references import References
from generation.sticker.retrieval import Embed
from generation.sticker.scene import Drawable, Illustrator
from generation.sticker.upscale import Upscaler

_PREVIEW = 128
_DEFAULT_STRENGTH = 0.25


@dataclass(slots=True, kw_only=True)
class StickerRow:
    """One sticker on its way."""

    request: ImageRequest
    strength: float
    start: Pixels  # native picture it starts from
    plan: Plan | None  # None: it starts from a given picture
    shares: tuple[float, ...]  # visible share of each part of the plan
    caption: str
    note: str | None
    words: torch.Tensor  # (1, 32, d)
    no_words: torch.Tensor
    clean: torch.Tensor  # (1, 12, h, w), latents of `start`
    latents: torch.Tensor
    timesteps: tuple[int, ...]
    noise_scheduler: NoiseScheduler
    estimate: torch.Tensor | None = None  # of the clean latents, after the last step
    step: int = 0

    @property
    def steps(self) -> int:
        """Denoising steps in all; 0 at strength 0."""
        return len(self.timesteps)

    @property
    def guided(self) -> bool:
        """Whether classifier-free guidance takes a second forward."""
        return self.request.guidance_scale != 1.0


class StickerFamily:
    """Loads the embedded model.

    Args:
        embed: texts -> (n, 512) float32 unit vectors, of the encoder that moderation loads; None: subjects
            are found by their words alone.
    """

    uses: ClassVar[tuple[str, ...]] = ("embed",)

    def __init__(self, *, embed: Service | None = None) -> None:
        self._embed = embed

    def load(self, card: ModelCard, *, device: str) -> StickerModel:
        """Read weights, references and upscaler from `card.folder`.

        Raises:
            ModelLoadError: a file is missing or damaged.
        """
        try:
            return StickerModel(card, device=device, embed=_as_embed(self._embed))
        except ModelLoadError:
            raise
        except (OSError, ValueError, KeyError, RuntimeError, GenerationError) as error:
            raise ModelLoadError(card.id, (str(error).splitlines() or [repr(error)])[0]) from error


def _as_embed(service: Service | None) -> Embed | None:
    if service is None:
        return None

    def embed(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return np.asarray(service(list(texts)), dtype=np.float32)

    return embed


class StickerModel:
    """The loaded model."""

    def __init__(self, card: ModelCard, *, device: str, embed: Embed | None) -> None:
        self._network = open_network(
            card.folder / "model",
            model_id=card.id,
            device=device,
            backend=str(card.options.get("backend", "auto")),
        )
        self._references = References(card.folder / "references.zip")
        self._illustrator = Illustrator(self._references, embed=embed)
        self._upscaler = Upscaler(card.folder / "upscaler")
        self._strength = float(card.options.get("strength", _DEFAULT_STRENGTH))
        self._keep_detail = float(card.options.get("keep_detail", 1.0))

    def prepare(self, request: ImageRequest, *, index: int, source: Pixels | None) -> StickerRow:
        """Compose the draft (or take the source), encode it and noise it up to the strength.

        Raises:
            RequestLimitError: one edge would be more than twice as long as the other.
        """
        seed = request.seed + index
        width, height = native_size(request.width, request.height)
        drawable: Drawable | None = None
        shares: tuple[float, ...] = ()
        if source is None:
            drawable = self._illustrator.plan(request.prompt, width=width, height=height, seed=seed)
            draft = draw(drawable.plan, references=self._references)
            start, shares = draft.pixels, draft.shares
        else:
            start = cover(source, width, height)
        caption = drawable.caption if drawable else request.prompt
        strength = self._strength if request.strength is None else request.strength
        noise_scheduler = self._network.noise_scheduler()
        timesteps = noise_scheduler.start(request.num_inference_steps, strength)
        clean = self._network.encode(start)
        generator = torch.Generator().manual_seed(seed)  # on the CPU: the same noise on every device
        noise = torch.randn(clean.shape, generator=generator).to(self._network.device)
        return StickerRow(
            request=request,
            strength=strength,
            start=start,
            plan=drawable.plan if drawable else None,
            shares=shares,
            caption=caption,
            note=drawable.note if drawable else None,
            words=self._network.read(caption),
            no_words=self._network.read(request.negative_prompt),
            clean=clean,
            latents=noise_scheduler.noised(clean, noise, timesteps[0]) if timesteps else clean,
            timesteps=timesteps,
            noise_scheduler=noise_scheduler,
        )

    def compatibility(self, row: StickerRow) -> Hashable:
        """Rows of one latent shape that use, or do without, classifier-free guidance."""
        return (tuple(row.latents.shape), row.guided)

    def denoise(self, rows: Sequence[StickerRow], *, pad_to: int | None = None) -> None:
        """Advance each row by one step."""
        filled = [*rows, *[rows[0]] * max(0, (pad_to or 0) - len(rows))]
        words = [row.words for row in filled]
        guided = rows[0].guided
        if guided:
            words += [row.no_words for row in filled]
        turns = len(words) // len(filled)
        latents = torch.cat([row.latents for row in filled] * turns)
        times = torch.tensor([row.timesteps[row.step] for row in filled] * turns, device=latents.device)
        predicted = self._network.predict(latents, times, torch.cat(words))
        for i, row in enumerate(rows):
            own = predicted[i : i + 1]
            if guided:
                without = predicted[len(filled) + i : len(filled) + i + 1]
                own = without + row.request.guidance_scale * (own - without)
            row.latents, row.estimate = row.noise_scheduler.advance(own, row.timesteps[row.step], row.latents)
            row.step += 1

    def preview(self, row: StickerRow) -> Pixels | None:
        """The draft before the first step, then the present estimate, decoded small."""
        image = Image.fromarray(row.start if row.estimate is None else self._network.decode(row.estimate))
        image.thumbnail((_PREVIEW, _PREVIEW))
        return np.asarray(image, np.uint8)

    def decode(self, row: StickerRow) -> Decoded:
        """Decode, put back the detail that the autoencoder alone lost, and enlarge."""
        pixels = self._network.decode(row.latents)
        if self._keep_detail > 0:
            rebuilt = self._network.decode(row.clean)
            pixels = restore_detail(pixels, start=row.start, rebuilt=rebuilt, amount=self._keep_detail)
        wanted = (row.request.height, row.request.width)
        if pixels.shape[:2] != wanted:
            pixels = self._upscaler.enlarge(pixels)
        if pixels.shape[:2] != wanted:
            pixels = cover(pixels, row.request.width, row.request.height)
        return Decoded(pixels=pixels, credits=_credits(row), note=row.note)

    def facts(self, row: StickerRow) -> Mapping[str, str | int | float | bool | None]:
        """What a replay must find equal."""
        words = row.words.cpu().numpy().tobytes() + row.no_words.cpu().numpy().tobytes()
        return {
            "backend": self._network.backend,
            "noise_scheduler": row.noise_scheduler.name,
            "noise_scheduler_sha256": row.noise_scheduler.digest,
            "dtype": str(row.latents.dtype).removeprefix("torch."),
            "strength_run": row.strength,  # with the card's default filled in
            "steps_run": row.steps,
            "ncnn": version("ncnn"),
            "resvg_py": version("resvg_py"),
            "caption": row.caption,
            "references": ",".join(part.reference.id for part in row.plan.parts) if row.plan else "",
            "draft_sha256": hashlib.sha256(row.start.tobytes()).hexdigest(),
            "embeddings_sha256": hashlib.sha256(words).hexdigest(),
            "latents_sha256": hashlib.sha256(row.latents.cpu().numpy().tobytes()).hexdigest(),
        }


def _credits(row: StickerRow) -> tuple[Credit, ...]:
    """Each reference once, with its share of the drawn area, the largest first."""
    if row.plan is None:
        return ()
    references = {part.reference.id: part.reference for part in row.plan.parts}
    shares = dict.fromkeys(references, 0.0)
    for part, share in zip(row.plan.parts, row.shares, strict=True):
        shares[part.reference.id] += share
    return tuple(
        Credit(
            title=references[key].title,
            author=references[key].source.author,
            license=references[key].source.license,
            license_url=references[key].source.license_url,
            source=references[key].source.locate(references[key].file),
            share=round(share, 4),
        )
        for key, share in sorted(shares.items(), key=lambda item: (-item[1], item[0]))
    )
