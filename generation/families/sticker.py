"""The sticker family: a credited draft, redrawn by a small latent diffusion model and enlarged.

A picture starts as a draft that code composes from the reference pictures (`generation.sticker.scene`). The VAE
encodes it, noise is added up to the *strength*, and the U-Net denoises it again with DDIM, as in SDEdit (Meng et
al., 2021). At strength 0 the draft stays as it is, at 1 only the words count.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from generation.card import ModelCard
from generation.errors import GenerationError, ModelLoadError, RequestLimitError
from generation.families.base import Decoded, Pixels
from generation.job import Credit, ImageRequest
from generation.sticker.draft import Plan, draw
from generation.sticker.references import References
from generation.sticker.retrieval import Embed
from generation.sticker.scene import Drawable, Illustrator
from generation.sticker.upscale import FACTOR, Upscaler

if TYPE_CHECKING:
    import torch

NATIVE = 128  # px of the short edge the U-Net is trained on
_STEP = 32  # the long edge in native px is a multiple of it: three levels below an 8 px latent cell
_LONGEST = 256
_PREVIEW = 128
_TOKENS = 32
_DEFAULT_STRENGTH = 0.25


@dataclass(slots=True)
class StickerRow:
    """One sticker on its way."""

    request: ImageRequest
    seed: int
    strength: float
    guidance: float
    start: Pixels  # native picture it starts from
    plan: Plan | None  # None: it starts from a given picture
    shares: tuple[float, ...]
    caption: str
    note: str | None
    words: torch.Tensor  # (1, 32, d)
    no_words: torch.Tensor
    clean: torch.Tensor  # (1, 12, h, w) latents of `start`
    latents: torch.Tensor
    timesteps: tuple[int, ...]
    noise_scheduler: _NoiseScheduler
    estimate: torch.Tensor | None = field(default=None)  # of the clean latents, after the last step
    step: int = 0

    @property
    def steps(self) -> int:
        """Denoising steps in all; 0 at strength 0."""
        return len(self.timesteps)


class _NoiseScheduler:
    """DDIM without noise (Song et al., 2021, eq. 12 with sigma 0) on the schedule of the model's own folder."""

    def __init__(self, folder: Path) -> None:
        from diffusers import DDIMScheduler  # noqa: PLC0415 - heavy: only loaded with a model

        self._scheduler = DDIMScheduler.from_pretrained(folder)
        self.name = type(self._scheduler).__name__
        self.digest = hashlib.sha256(
            json.dumps(dict(self._scheduler.config), sort_keys=True, default=str).encode()
        ).hexdigest()

    def start(self, steps: int, strength: float) -> tuple[int, ...]:
        """The timesteps of a run that begins at `strength`: its share of `steps`, at least one above 0."""
        self._scheduler.set_timesteps(steps)
        taken = min(steps, max(1, round(steps * strength))) if strength > 0 else 0
        return tuple(int(t) for t in self._scheduler.timesteps[steps - taken :])

    def noised(self, clean: torch.Tensor, noise: torch.Tensor, timestep: int) -> torch.Tensor:
        import torch  # noqa: PLC0415

        out: torch.Tensor = self._scheduler.add_noise(clean, noise, torch.tensor([timestep]))
        return out

    def advance(
        self, predicted: torch.Tensor, timestep: int, latents: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The latents one step on, and the present estimate of the clean ones."""
        done = self._scheduler.step(predicted, timestep, latents)
        return done.prev_sample, done.pred_original_sample


class StickerFamily:
    """Loads the embedded model.

    Args:
        embed: texts -> (n, 512) float32 unit vectors, of the encoder that moderation loads; None: subjects are
            found by their words alone.
    """

    uses: ClassVar[tuple[str, ...]] = ("embed",)

    def __init__(self, *, embed: Callable[..., object] | None = None) -> None:
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
            raise ModelLoadError(card.id, str(error).splitlines()[0] if str(error) else repr(error)) from error


def _as_embed(service: Callable[..., object] | None) -> Embed | None:
    if service is None:
        return None

    def embed(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return np.asarray(service(list(texts)), dtype=np.float32)

    return embed


class StickerModel:
    """The loaded model."""

    def __init__(self, card: ModelCard, *, device: str, embed: Embed | None) -> None:
        import torch  # noqa: PLC0415
        from diffusers import AutoencoderKL, UNet2DConditionModel  # noqa: PLC0415
        from diffusers.utils import logging as diffusers_logging  # noqa: PLC0415
        from transformers import BertTokenizer, CLIPTextModel  # noqa: PLC0415
        from transformers.utils import logging as transformers_logging  # noqa: PLC0415

        diffusers_logging.disable_progress_bar()
        transformers_logging.disable_progress_bar()
        folder = card.folder / "model"
        if not (folder / "model_index.json").is_file():
            raise ModelLoadError(card.id, f"{folder} holds no model")
        kind = {"torch_dtype": torch.float32, "use_safetensors": True, "local_files_only": True}
        self._device = torch.device(device)
        self._unet = UNet2DConditionModel.from_pretrained(folder / "unet", **kind).eval().to(self._device)
        self._vae = AutoencoderKL.from_pretrained(folder / "vae", **kind).eval().to(self._device)
        self._text_encoder = (
            CLIPTextModel.from_pretrained(
                folder / "text_encoder", dtype=torch.float32, use_safetensors=True, local_files_only=True
            )
            .eval()
            .to(self._device)
        )
        self._tokenizer = BertTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
        self._scheduler_folder = folder / "scheduler"
        self._illustrator = Illustrator(References(card.folder / "references.zip"), embed=embed)
        self._upscaler = Upscaler(card.folder / "upscaler")
        self._strength = float(card.options.get("strength", _DEFAULT_STRENGTH))
        self._keep = float(card.options.get("keep_detail", 1.0))
        self._encoded: dict[str, torch.Tensor] = {}

    def prepare(self, request: ImageRequest, *, index: int, source: Pixels | None) -> StickerRow:
        """Compose the draft (or take the source), encode it and noise it up to the strength.

        Raises:
            RequestLimitError: the picture would be more than twice as long as it is wide.
        """
        import torch  # noqa: PLC0415

        seed = request.seed + index
        width, height = native_size(request.width, request.height)
        drawable: Drawable | None = None
        shares: tuple[float, ...] = ()
        if source is None:
            drawable = self._illustrator.plan(request.prompt, width=width, height=height, seed=seed)
            draft = draw(drawable.plan, references=self._illustrator.references)
            start, shares = draft.pixels, draft.shares
        else:
            start = _cover(source, width, height)
        caption = drawable.caption if drawable else request.prompt
        strength = self._strength if request.strength is None else request.strength
        noise_scheduler = _NoiseScheduler(self._scheduler_folder)
        timesteps = noise_scheduler.start(request.num_inference_steps, strength)
        clean = self._encode(start)
        generator = torch.Generator().manual_seed(seed)  # on the CPU: the same noise on every device
        noise = torch.randn(clean.shape, generator=generator).to(self._device)
        return StickerRow(
            request=request,
            seed=seed,
            strength=strength,
            guidance=request.guidance_scale,
            start=start,
            plan=drawable.plan if drawable else None,
            shares=shares,
            caption=caption,
            note=drawable.note if drawable else None,
            words=self._read(caption),
            no_words=self._read(request.negative_prompt),
            clean=clean,
            latents=noise_scheduler.noised(clean, noise, timesteps[0]) if timesteps else clean,
            timesteps=timesteps,
            noise_scheduler=noise_scheduler,
        )

    def compatibility(self, row: StickerRow) -> Hashable:
        """Rows of one latent shape that use, or do without, classifier-free guidance."""
        return (tuple(row.latents.shape), _guided(row))

    def denoise(self, rows: Sequence[StickerRow], *, pad_to: int | None = None) -> None:
        """Advance each row by one step."""
        import torch  # noqa: PLC0415

        filled = [*rows, *[rows[0]] * max(0, (pad_to or 0) - len(rows))]
        guided = _guided(rows[0])
        words = [row.words for row in filled] + ([row.no_words for row in filled] if guided else [])
        turns = 2 if guided else 1
        latents = torch.cat([row.latents for row in filled] * turns)
        times = torch.tensor([row.timesteps[row.step] for row in filled] * turns, device=self._device)
        with torch.inference_mode():
            predicted = self._unet(latents, times, torch.cat(words)).sample
            for i, row in enumerate(rows):
                own = predicted[i : i + 1]
                if guided:
                    without = predicted[len(filled) + i : len(filled) + i + 1]
                    own = without + row.guidance * (own - without)
                row.latents, row.estimate = row.noise_scheduler.advance(own, row.timesteps[row.step], row.latents)
                row.step += 1

    def preview(self, row: StickerRow) -> Pixels | None:
        """The draft before the first step, then the present estimate, decoded small."""
        pixels = row.start if row.estimate is None else self._decode(row.estimate)
        image = Image.fromarray(pixels)
        image.thumbnail((_PREVIEW, _PREVIEW))
        return np.asarray(image)

    def decode(self, row: StickerRow) -> Decoded:
        """Decode, put back the detail that the autoencoder alone lost, and enlarge."""
        pixels = self._decode(row.latents)
        if self._keep > 0:
            pixels = restore_detail(
                pixels, start=row.start, rebuilt=self._decode(row.clean), amount=self._keep
            )
        size = (row.request.width, row.request.height)
        if size != (pixels.shape[1], pixels.shape[0]):
            pixels = self._upscaler.enlarge(pixels)
            if size != (pixels.shape[1], pixels.shape[0]):
                pixels = _cover(pixels, *size)
        return Decoded(pixels=pixels, credits=_credits(row), note=row.note)

    def facts(self, row: StickerRow) -> Mapping[str, str | int | float | bool | None]:
        """What a replay must find equal."""
        words = row.words.cpu().numpy().tobytes() + row.no_words.cpu().numpy().tobytes()
        return {
            "noise_scheduler": row.noise_scheduler.name,
            "noise_scheduler_sha256": row.noise_scheduler.digest,
            "dtype": str(row.latents.dtype).removeprefix("torch."),
            "strength": row.strength,
            "steps_run": row.steps,
            "caption": row.caption,
            "references": ",".join(part.reference.id for part in row.plan.parts) if row.plan else "",
            "draft_sha256": hashlib.sha256(row.start.tobytes()).hexdigest(),
            "embeddings_sha256": hashlib.sha256(words).hexdigest(),
            "latents_sha256": hashlib.sha256(row.latents.cpu().numpy().tobytes()).hexdigest(),
        }

    def _read(self, text: str) -> torch.Tensor:
        import torch  # noqa: PLC0415

        if text not in self._encoded:
            ids = self._tokenizer(
                text, padding="max_length", truncation=True, max_length=_TOKENS, return_tensors="pt"
            ).input_ids
            with torch.inference_mode():
                encoded = self._text_encoder(ids.to(self._device)).last_hidden_state
            if len(self._encoded) > 256:  # noqa: PLR2004 - 20 kB each
                self._encoded.clear()
            self._encoded[text] = encoded
        return self._encoded[text]

    def _encode(self, pixels: Pixels) -> torch.Tensor:
        import torch  # noqa: PLC0415

        planes = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], dtype=np.float32))
        with torch.inference_mode():
            encoded: torch.Tensor = self._vae.encode((planes / 127.5 - 1).to(self._device)).latent_dist.mean
        return encoded

    def _decode(self, latents: torch.Tensor) -> Pixels:
        import torch  # noqa: PLC0415

        with torch.inference_mode():
            planes = self._vae.decode(latents).sample[0].clamp(-1, 1).cpu().numpy()
        return np.rint((planes.transpose(1, 2, 0) + 1) * 127.5).astype(np.uint8)


def _guided(row: StickerRow) -> bool:
    return row.guidance != 1.0


def native_size(width: int, height: int) -> tuple[int, int]:
    """The canvas in native px for a finished picture of `width` x `height` px.

    Raises:
        RequestLimitError: one edge is more than twice the other.
    """
    short, long = sorted((width, height))
    if short < 1 or long > 2 * short:
        raise RequestLimitError(field="size", value=f"{width}x{height}", limit="at most twice as long as wide")
    stretched = min(_LONGEST, round(NATIVE * long / short / _STEP) * _STEP)
    return (stretched, NATIVE) if width > height else (NATIVE, stretched)


def _cover(pixels: Pixels, width: int, height: int) -> Pixels:
    """Scale a picture so that it covers the canvas, and cut off what stands over."""
    image = Image.fromarray(pixels)
    scale = max(width / image.width, height / image.height)
    box_width, box_height = width / scale, height / scale
    left, top = (image.width - box_width) / 2, (image.height - box_height) / 2
    box = (left, top, min(left + box_width, image.width), min(top + box_height, image.height))
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS, box=box)).copy()


def restore_detail(pixels: Pixels, *, start: Pixels, rebuilt: Pixels, amount: float) -> Pixels:
    """Put back what the autoencoder lost of the start picture, where diffusion changed nothing.

    The difference between the start and its own reconstruction is the autoencoder's error. It is added to the
    result where result and reconstruction agree, and fades out where they differ: what diffusion drew anew stays.

    Args:
        pixels: (H, W, 3), the decoded result.
        start: (H, W, 3), what was encoded.
        rebuilt: (H, W, 3), `start` encoded and decoded without diffusion.
        amount: 0 to 1.
    """
    result, again = pixels.astype(np.float32), rebuilt.astype(np.float32)
    change = np.abs(result - again).max(-1)
    smooth = np.asarray(Image.fromarray(change).resize((change.shape[1] // 4, change.shape[0] // 4), Image.Resampling.BOX).resize((change.shape[1], change.shape[0]), Image.Resampling.BILINEAR))
    keep = np.clip(1.4 - smooth / 20, 0, 1)[..., None] * amount
    return np.rint(np.clip(result + keep * (start.astype(np.float32) - again), 0, 255)).astype(np.uint8)


def _credits(row: StickerRow) -> tuple[Credit, ...]:
    if row.plan is None:
        return ()
    shares: dict[str, float] = {}
    for part, share in zip(row.plan.parts, row.shares, strict=True):
        shares[part.reference.id] = shares.get(part.reference.id, 0.0) + share
    references = {part.reference.id: part.reference for part in row.plan.parts}
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
