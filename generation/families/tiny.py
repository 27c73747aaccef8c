"""Builds small random models of the real Stable Diffusion architectures, for benchmarks and tests.

They draw colored noise, but through every line that a trained model would take.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from generation.card import ModelCard, weights_digest
from generation.families.offline import quiet_and_offline

_START, _END = "<|startoftext|>", "<|endoftext|>"
_TEXT_TOKENS = 77


def build_tiny_model(
    folder: Path, *, channels: Sequence[int] = (8, 16), text_width: int = 16, seed: int = 0
) -> ModelCard:
    """Write a model folder with random weights, and return its card.

    Args:
        folder: is made; must not hold a model yet.
        channels: of the U-Net's levels, multiples of 8; the work of a step grows with their squares.
        text_width: of the embeddings, a multiple of 4.
        seed: of the weights.

    Returns:
        A card called "tiny" for pictures of 64x64 px and up.
    """
    quiet_and_offline()
    import diffusers  # noqa: PLC0415 - heavy, and only after `quiet_and_offline`
    import torch  # noqa: PLC0415
    from transformers import CLIPTextConfig, CLIPTextModel  # noqa: PLC0415

    library: Any = diffusers  # its classes are built by mixins at run time, so their types cannot be checked
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = write_clip_tokenizer(folder / "tokenizer")
    levels = len(channels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        text_encoder = CLIPTextModel(CLIPTextConfig(**clip_config(vocabulary, text_width)))
        unet = library.UNet2DConditionModel(
            sample_size=16,
            in_channels=4,
            out_channels=4,
            layers_per_block=1,
            block_out_channels=tuple(channels),
            norm_num_groups=8,
            attention_head_dim=8,
            cross_attention_dim=text_width,
            down_block_types=(*["CrossAttnDownBlock2D"] * (levels - 1), "DownBlock2D"),
            up_block_types=("UpBlock2D", *["CrossAttnUpBlock2D"] * (levels - 1)),
        )
        vae = tiny_vae(channels=4)
    noise_scheduler = library.DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    parts: dict[str, Any] = {
        "text_encoder": text_encoder,
        "unet": unet,
        "vae": vae,
        "scheduler": noise_scheduler,
    }
    for name, part in parts.items():
        part.save_pretrained(folder / name)
    classes = {"text_encoder": "transformers", "tokenizer": "transformers"}
    index: dict[str, list[str | None]] = {
        name: [classes.get(name, "diffusers"), type(part).__name__] for name, part in parts.items()
    }
    index |= {"tokenizer": ["transformers", "CLIPTokenizer"], "safety_checker": [None, None]}
    index |= {"feature_extractor": [None, None]}
    (folder / "model_index.json").write_text(
        json.dumps({"_class_name": "StableDiffusionPipeline", "requires_safety_checker": False, **index})
    )
    return tiny_card(folder, family="stable_diffusion", revision=f"seed-{seed}")


def build_tiny_xl(folder: Path, *, text_width: int = 16, seed: int = 0) -> ModelCard:
    """Write a small random SDXL folder, and return its card; see `build_tiny_model`."""
    quiet_and_offline()
    import diffusers  # noqa: PLC0415 - heavy, and only after `quiet_and_offline`
    import torch  # noqa: PLC0415
    from transformers import (  # noqa: PLC0415
        CLIPTextConfig,
        CLIPTextModel,
        CLIPTextModelWithProjection,
        CLIPTokenizer,
    )

    library: Any = diffusers
    vocabulary = write_clip_tokenizer(folder / "tokenizer")
    tokenizer: Any = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    config = CLIPTextConfig(**clip_config(vocabulary, text_width), projection_dim=text_width)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipeline = library.StableDiffusionXLPipeline(
            vae=tiny_vae(channels=4),
            text_encoder=CLIPTextModel(config),
            text_encoder_2=CLIPTextModelWithProjection(config),
            tokenizer=tokenizer,
            tokenizer_2=tokenizer,
            unet=library.UNet2DConditionModel(
                sample_size=16,
                layers_per_block=1,
                block_out_channels=(8, 16),
                norm_num_groups=8,
                attention_head_dim=(1, 2),
                transformer_layers_per_block=(1, 2),
                use_linear_projection=True,
                addition_embed_type="text_time",
                addition_time_embed_dim=8,
                projection_class_embeddings_input_dim=6 * 8 + text_width,
                cross_attention_dim=2 * text_width,
                down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
                up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            ),
            scheduler=library.EulerDiscreteScheduler(
                beta_start=0.00085,
                beta_end=0.012,
                beta_schedule="scaled_linear",
                steps_offset=1,
                timestep_spacing="leading",
            ),
        )
    pipeline.save_pretrained(folder)
    return tiny_card(folder, family="stable_diffusion_xl", revision=f"seed-{seed}")


def tiny_vae(*, channels: int, **options: object) -> Any:  # noqa: ANN401 - the library's class, untyped
    """A random autoencoder that shrinks by 8."""
    import diffusers  # noqa: PLC0415 - heavy, and only after `quiet_and_offline`

    library: Any = diffusers
    return library.AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        norm_num_groups=8,
        latent_channels=channels,
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        sample_size=128,
        **options,
    )


def clip_config(vocabulary: int, width: int) -> dict[str, Any]:
    """Settings of a small CLIP text encoder for the tokenizer of `write_clip_tokenizer`."""
    return {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": _TEXT_TOKENS,
        "bos_token_id": vocabulary - 2,
        "eos_token_id": vocabulary - 1,
        "pad_token_id": vocabulary - 1,
    }


def tiny_card(
    folder: Path, *, family: str, revision: str, guidance: float = 5.0, weights_sha256: str | None = None
) -> ModelCard:
    """The card of a small model that draws 64x64 px and up; `weights_sha256` None: of what lies there."""
    return ModelCard(
        id="tiny",
        name="Tiny random model",
        family=family,
        folder=folder,
        revision=revision,
        weights_sha256=weights_digest(folder) if weights_sha256 is None else weights_sha256,
        license_id="Apache-2.0",
        width=64,
        height=64,
        max_pixels=512 * 512,
        default_steps=4,
        max_steps=50,
        default_guidance=guidance,
        aspects={"1:1": (64, 64)},
        description="Random weights; draws noise.",
    )


def write_clip_tokenizer(folder: Path) -> int:
    """A CLIP tokenizer that reads byte by byte; returns the size of its vocabulary."""
    characters = byte_characters()
    tokens = [*characters, *(character + "</w>" for character in characters), _START, _END]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: place for place, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    special = {"bos_token": _START, "eos_token": _END, "unk_token": _END, "pad_token": _END}
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "CLIPTokenizer", "model_max_length": _TEXT_TOKENS, **special})
    )
    return len(tokens)


def byte_characters() -> list[str]:
    """The 256 printable characters by which byte-level BPE writes bytes (Radford et al. 2019)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + place) for place in range(len(others))]
