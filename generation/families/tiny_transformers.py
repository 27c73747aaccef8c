"""Builds small random models of the real flow-matching architectures, for benchmarks and tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from generation.card import ModelCard
from generation.families.offline import quiet_and_offline
from generation.families.tiny import byte_characters, clip_config, tiny_card, tiny_vae, write_clip_tokenizer

_WIDTH = 16  # of embeddings


def build_tiny_sd3(folder: Path, *, seed: int = 0, large_encoder: bool = True) -> ModelCard:
    """Write a small random Stable Diffusion 3 folder, and return its card."""
    quiet_and_offline()
    import diffusers  # noqa: PLC0415 - heavy, and only after `quiet_and_offline`
    import torch  # noqa: PLC0415
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer  # noqa: PLC0415

    library: Any = diffusers
    vocabulary = write_clip_tokenizer(folder / "tokenizer")
    tokenizer: Any = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    config = CLIPTextConfig(**clip_config(vocabulary, _WIDTH), projection_dim=_WIDTH)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipeline = library.StableDiffusion3Pipeline(
            transformer=library.SD3Transformer2DModel(
                sample_size=16,
                patch_size=2,
                in_channels=16,
                num_layers=2,
                attention_head_dim=8,
                num_attention_heads=2,
                caption_projection_dim=16,
                joint_attention_dim=2 * _WIDTH,
                pooled_projection_dim=2 * _WIDTH,
                out_channels=16,
                pos_embed_max_size=64,
            ),
            vae=tiny_vae(channels=16, **_FLOW_VAE),
            text_encoder=CLIPTextModelWithProjection(config),
            text_encoder_2=CLIPTextModelWithProjection(config),
            text_encoder_3=_t5(2 * _WIDTH) if large_encoder else None,
            tokenizer=tokenizer,
            tokenizer_2=tokenizer,
            tokenizer_3=_t5_tokenizer() if large_encoder else None,
            scheduler=library.FlowMatchEulerDiscreteScheduler(shift=3.0),
        )
    pipeline.save_pretrained(folder)
    return tiny_card(folder, family="stable_diffusion_3", revision=f"seed-{seed}")


def build_tiny_flux(folder: Path, *, seed: int = 0, guidance_embeds: bool = True) -> ModelCard:
    """Write a small random FLUX folder (with `guidance_embeds` a dev, without a schnell); return its card."""
    quiet_and_offline()
    import diffusers  # noqa: PLC0415 - heavy, and only after `quiet_and_offline`
    import torch  # noqa: PLC0415
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer  # noqa: PLC0415

    library: Any = diffusers
    vocabulary = write_clip_tokenizer(folder / "tokenizer")
    tokenizer: Any = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipeline = library.FluxPipeline(
            transformer=library.FluxTransformer2DModel(
                patch_size=1,
                in_channels=64,
                num_layers=1,
                num_single_layers=1,
                attention_head_dim=16,
                num_attention_heads=2,
                joint_attention_dim=_WIDTH,
                pooled_projection_dim=_WIDTH,
                guidance_embeds=guidance_embeds,
                axes_dims_rope=(4, 4, 8),
            ),
            vae=tiny_vae(channels=16, **_FLOW_VAE),
            text_encoder=CLIPTextModel(CLIPTextConfig(**clip_config(vocabulary, _WIDTH))),
            text_encoder_2=_t5(_WIDTH),
            tokenizer=tokenizer,
            tokenizer_2=_t5_tokenizer(),
            scheduler=library.FlowMatchEulerDiscreteScheduler(
                shift=3.0 if guidance_embeds else 1.0, use_dynamic_shifting=guidance_embeds
            ),
        )
    pipeline.save_pretrained(folder)
    return tiny_card(folder, family="flux", revision=f"seed-{seed}", guidance=3.5)


def build_tiny_qwen(folder: Path, *, seed: int = 0) -> ModelCard:
    """Write a small random Qwen-Image folder, and return its card."""
    quiet_and_offline()
    import diffusers  # noqa: PLC0415 - heavy, and only after `quiet_and_offline`
    import torch  # noqa: PLC0415
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration  # noqa: PLC0415

    library: Any = diffusers
    tokenizer = _byte_tokenizer()
    config: Any = Qwen2_5_VLConfig(
        text_config={**_decoder(len(tokenizer)), "rope_scaling": _THREE_AXES},
        vision_config={
            "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": _WIDTH
        },
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipeline = library.QwenImagePipeline(
            transformer=library.QwenImageTransformer2DModel(
                patch_size=2,
                in_channels=16,
                out_channels=4,
                num_layers=2,
                attention_head_dim=16,
                num_attention_heads=2,
                joint_attention_dim=_WIDTH,
                axes_dims_rope=(4, 6, 6),
            ),
            vae=library.AutoencoderKLQwenImage(
                base_dim=8,
                z_dim=4,
                dim_mult=[1, 1, 1, 1],
                num_res_blocks=1,
                temperal_downsample=[False, True, True],
                latents_mean=[0.1, -0.2, 0.0, 0.3],
                latents_std=[1.0, 1.5, 0.8, 1.2],
            ),
            text_encoder=Qwen2_5_VLForConditionalGeneration(config),
            tokenizer=tokenizer,
            scheduler=library.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift_terminal=0.02),
        )
    pipeline.save_pretrained(folder)
    return tiny_card(folder, family="qwen_image", revision=f"seed-{seed}", guidance=4.0)


def build_tiny_z(folder: Path, *, seed: int = 0) -> ModelCard:
    """Write a small random Z-Image folder, and return its card."""
    quiet_and_offline()
    import diffusers  # noqa: PLC0415 - heavy, and only after `quiet_and_offline`
    import torch  # noqa: PLC0415
    from transformers import Qwen3Config, Qwen3Model  # noqa: PLC0415

    library: Any = diffusers
    tokenizer = _byte_tokenizer()
    tokenizer.chat_template = _CHAT
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        transformer = library.ZImageTransformer2DModel(
            in_channels=16,
            dim=32,
            n_layers=2,
            n_refiner_layers=1,
            n_heads=2,
            n_kv_heads=2,
            cap_feat_dim=_WIDTH,
            axes_dims=[4, 6, 6],
            axes_lens=[1024, 64, 64],
        )
        torch.nn.init.normal_(transformer.x_pad_token, std=0.02)
        torch.nn.init.normal_(transformer.cap_pad_token, std=0.02)
        pipeline = library.ZImagePipeline(
            transformer=transformer,
            vae=tiny_vae(channels=16, **_FLOW_VAE),
            text_encoder=Qwen3Model(Qwen3Config(**_decoder(len(tokenizer)), head_dim=8)),
            tokenizer=tokenizer,
            scheduler=library.FlowMatchEulerDiscreteScheduler(shift=3.0),
        )
    pipeline.save_pretrained(folder)
    return tiny_card(folder, family="z_image", revision=f"seed-{seed}", guidance=4.0)


_THREE_AXES = {"type": "mrope", "mrope_section": [1, 1, 2]}
_CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _decoder(vocabulary: int) -> dict[str, Any]:
    """Settings of a small Qwen decoder that serves as text encoder."""
    return {
        "vocab_size": vocabulary,
        "hidden_size": _WIDTH,
        "intermediate_size": 2 * _WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 2048,
    }


def _byte_tokenizer() -> Any:  # noqa: ANN401 - the library's class, untyped
    """A Qwen tokenizer that reads byte by byte."""
    import transformers  # noqa: PLC0415 - heavy

    library: Any = transformers
    vocabulary = {character: place for place, character in enumerate(byte_characters())}
    tokenizer = library.Qwen2Tokenizer(vocab={**vocabulary, "<|endoftext|>": 256}, merges=[])
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    return tokenizer


_FLOW_VAE: dict[str, object] = {
    "scaling_factor": 0.36,
    "shift_factor": 0.12,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
}


def _t5(width: int) -> Any:  # noqa: ANN401 - the library's class, untyped
    from transformers import T5Config, T5EncoderModel  # noqa: PLC0415 - heavy

    return T5EncoderModel(
        T5Config(vocab_size=len(_T5_PIECES), d_model=width, d_kv=8, d_ff=2 * width, num_layers=1, num_heads=2)
    )


_T5_PIECES = ("<pad>", "</s>", "<unk>", "\u2581", *map(chr, range(33, 127)))


def _t5_tokenizer() -> Any:  # noqa: ANN401 - the library's class, untyped
    """A T5 tokenizer that reads ASCII letter by letter."""
    import transformers  # noqa: PLC0415 - heavy

    library: Any = transformers
    return library.T5TokenizerFast(vocab=[(piece, -1.0) for piece in _T5_PIECES], extra_ids=0)
