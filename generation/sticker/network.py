"""The trained networks of the sticker model, in memory: text encoder, U-Net and autoencoder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from generation.errors import ModelLoadError
from generation.families.offline import quiet_and_offline
from generation.sticker.colors import Pixels

TOKENS = 32
_ENCODED_TEXTS = 256  # kept: 20 kB each


class Network:
    """Everything in float32: the model is small, and float16 is slow on a CPU."""

    backend = "torch"

    def __init__(self, folder: Path, *, model_id: str, device: str) -> None:
        if not (folder / "model_index.json").is_file():
            raise ModelLoadError(model_id, f"{folder} holds no model")
        quiet_and_offline()
        import diffusers  # noqa: PLC0415 - heavy, and only after `quiet_and_offline`
        import transformers  # noqa: PLC0415

        # The libraries build their classes at run time, so their types cannot be checked.
        hub: Any = diffusers
        words: Any = transformers
        self.device = torch.device(device)
        self._load(folder, hub=hub, words=words)
        self._tokenizer = words.BertTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
        self._scheduler_class = hub.DDIMScheduler
        self._scheduler_folder = folder / "scheduler"
        self._texts: dict[str, torch.Tensor] = {}

    def _load(self, folder: Path, *, hub: Any, words: Any) -> None:  # noqa: ANN401 - modules without types
        kind = {"use_safetensors": True, "local_files_only": True}
        self._unet = hub.UNet2DConditionModel.from_pretrained(
            folder / "unet", torch_dtype=torch.float32, **kind
        )
        self._vae = hub.AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32, **kind)
        self._text_encoder = words.CLIPTextModel.from_pretrained(
            folder / "text_encoder", dtype=torch.float32, **kind
        )
        for part in (self._unet, self._vae, self._text_encoder):
            part.eval().to(self.device)

    @property
    def parts(self) -> dict[str, torch.nn.Module]:
        """The networks by the names of their folders."""
        return {"unet": self._unet, "vae": self._vae, "text_encoder": self._text_encoder}

    @property
    def width(self) -> int:
        """Of an embedded word."""
        return int(self._text_encoder.config.hidden_size)

    def noise_scheduler(self) -> NoiseScheduler:
        """A fresh one for one picture."""
        return NoiseScheduler(self._scheduler_class.from_pretrained(self._scheduler_folder))

    def read(self, text: str) -> torch.Tensor:
        """Encode words to (1, 32, d)."""
        if text not in self._texts:
            readable = text.encode("utf-8", "replace").decode()  # the tokenizer refuses half a surrogate pair
            ids = self._tokenizer(
                readable, padding="max_length", truncation=True, max_length=TOKENS, return_tensors="pt"
            ).input_ids
            if len(self._texts) >= _ENCODED_TEXTS:
                self._texts.clear()
            with torch.inference_mode():
                self._texts[text] = self._embed(ids)
        return self._texts[text]

    def encode(self, pixels: Pixels) -> torch.Tensor:
        """(H, W, 3) sRGB -> the mean latents (1, 12, H / 8, W / 8)."""
        planes = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], dtype=np.float32))
        with torch.inference_mode():
            return self._encode(planes / 127.5 - 1)

    def decode(self, latents: torch.Tensor) -> Pixels:
        """Latents (1, 12, h, w) -> (8 h, 8 w, 3) sRGB."""
        with torch.inference_mode():
            planes = self._decode(latents)[0].clamp(-1, 1).cpu().numpy()
        pixels: Pixels = np.rint((planes.transpose(1, 2, 0) + 1) * 127.5).astype(np.uint8)
        return pixels

    def predict(self, latents: torch.Tensor, timesteps: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """One forward of the U-Net over n rows: (n, 12, h, w), (n,), (n, 32, d) -> v (n, 12, h, w)."""
        with torch.inference_mode():
            predicted: torch.Tensor = self._unet(latents, timesteps, words).sample
        return predicted

    def _embed(self, ids: torch.Tensor) -> torch.Tensor:
        words: torch.Tensor = self._text_encoder(ids.to(self.device)).last_hidden_state
        return words

    def _encode(self, planes: torch.Tensor) -> torch.Tensor:
        encoded: torch.Tensor = self._vae.encode(planes.to(self.device)).latent_dist.mean
        return encoded

    def _decode(self, latents: torch.Tensor) -> torch.Tensor:
        planes: torch.Tensor = self._vae.decode(latents).sample
        return planes


class NoiseScheduler:
    """DDIM without fresh noise (Song et al., 2021) on the schedule of the model's own folder."""

    def __init__(self, scheduler: Any) -> None:  # noqa: ANN401 - diffusers' classes are built at run time
        self._scheduler = scheduler
        self.name = type(scheduler).__name__
        settings = json.dumps(dict(scheduler.config), sort_keys=True, default=str)
        self.digest = hashlib.sha256(settings.encode()).hexdigest()

    def start(self, steps: int, strength: float) -> tuple[int, ...]:
        """The timesteps of a run that begins at `strength`: its share of `steps`, at least one above 0."""
        self._scheduler.set_timesteps(steps)
        taken = min(steps, max(1, round(steps * strength))) if strength > 0 else 0
        return tuple(int(timestep) for timestep in self._scheduler.timesteps[steps - taken :])

    def noised(self, clean: torch.Tensor, noise: torch.Tensor, timestep: int) -> torch.Tensor:
        """`clean` with `noise` at `timestep`."""
        noisy: torch.Tensor = self._scheduler.add_noise(clean, noise, torch.tensor([timestep]))
        return noisy

    def advance(
        self, predicted: torch.Tensor, timestep: int, latents: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The latents one step on, and the present estimate of the clean ones."""
        with torch.inference_mode():
            done = self._scheduler.step(predicted, timestep, latents)
        return done.prev_sample, done.pred_original_sample
