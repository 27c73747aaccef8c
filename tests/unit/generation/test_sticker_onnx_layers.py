"""The layers that are rewritten for the export compute what diffusers' own compute."""

from __future__ import annotations

import copy

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

from generation.sticker.onnx_layers import rewrite


def a_unet(**changes):
    settings = {
        "in_channels": 12,
        "out_channels": 12,
        "block_out_channels": (32, 48),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "layers_per_block": 1,
        "norm_num_groups": 16,
        "cross_attention_dim": 24,
        "attention_head_dim": 4,
        "addition_embed_type": "text",
        "addition_embed_type_num_heads": 4,
        "resnet_time_scale_shift": "scale_shift",
    }
    return UNet2DConditionModel(**{**settings, **changes})


def stirred(network):
    """Norms and biases away from one and zero, where a mistake in them would not show."""
    torch.manual_seed(3)
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return network.eval()


def rewritten(network):
    other = copy.deepcopy(network)
    rewrite(other)
    return other


def changed(network):
    return {type(layer).__name__ for layer in network.modules() if "forward" in vars(layer)}


EVERYTHING = {"ResnetBlock2D", "Transformer2DModel", "Upsample2D", "AttentionPooling"}


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, EVERYTHING),
        # The wide network: no middle block, more layers in the first one.
        ({"mid_block_type": None, "layers_per_block": [2, 1], "time_embedding_dim": 64}, EVERYTHING),
        ({"use_linear_projection": True, "transformer_layers_per_block": 2}, EVERYTHING),
        ({"resnet_out_scale_factor": 2.0}, EVERYTHING),
        # Other settings than those handled: diffusers' own layers stay.
        ({"resnet_time_scale_shift": "default"}, EVERYTHING - {"ResnetBlock2D"}),
        ({"act_fn": "gelu"}, EVERYTHING - {"ResnetBlock2D"}),
        ({"only_cross_attention": True, "mid_block_type": None}, EVERYTHING - {"Transformer2DModel"}),
    ],
)
def test_a_unet(changes, kinds):
    network = stirred(a_unet(**changes))
    other = rewritten(network)
    assert changed(other) == kinds
    assert not changed(network)
    for rows, height, width in ((1, 8, 8), (3, 4, 6)):
        given = torch.randn(rows, 12, height, width), torch.arange(rows) * 9, torch.randn(rows, 7, 24)
        with torch.inference_mode():
            wanted, drawn = network(*given).sample, other(*given).sample
        assert torch.allclose(drawn, wanted, atol=1e-4 * float(wanted.abs().max()))


def test_an_autoencoder():
    network = stirred(
        AutoencoderKL(
            block_out_channels=(8, 16),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            latent_channels=12,
            norm_num_groups=4,
            mid_block_add_attention=False,
        )
    )
    other = rewritten(network)
    assert changed(other) == {"ResnetBlock2D", "Upsample2D", "Conv2d"}
    latents, pixels = torch.randn(2, 12, 5, 7), torch.randn(2, 3, 12, 8)
    with torch.inference_mode():
        wanted, drawn = network.decode(latents).sample, other.decode(latents).sample
        assert torch.allclose(drawn, wanted, atol=1e-4 * float(wanted.abs().max()))
        encoded, again = (one.encode(pixels).latent_dist.mean for one in (network, other))
        assert torch.allclose(again, encoded, atol=1e-4 * float(encoded.abs().max()))


def test_the_parameters_keep_their_names():
    network = stirred(a_unet())
    assert rewritten(network).state_dict().keys() == network.state_dict().keys()
