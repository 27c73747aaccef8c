from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel

from generation.sticker.packages import DatasetError
from generation.sticker.training.latents import PatchLatents
from generation.sticker.training.widen import NARROW, WIDE, widen


@pytest.fixture
def narrow():
    torch.manual_seed(3)
    return UNet2DConditionModel(**NARROW, cross_attention_dim=16).eval()


class NormOfTheWide(torch.nn.Module):
    """Normalizes a joint of 128 channels and 64 doubled ones in the groups that the wide U-Net sees."""

    def __init__(self, norm):
        super().__init__()
        self.norm = norm

    def forward(self, joint):
        doubled = torch.cat((joint[:, :128], joint[:, 128:].repeat_interleave(2, 1)), 1)
        alike = torch.nn.functional.group_norm(doubled, self.norm.num_groups, eps=self.norm.eps)
        single = torch.cat((alike[:, :128], alike[:, 128::2]), 1)
        return single * self.norm.weight[:, None, None] + self.norm.bias[:, None, None]


class Doubled(torch.nn.Module):
    def forward(self, channels):
        return channels.repeat_interleave(2, 1)


def test_a_widened_unet_goes_on_where_the_narrow_one_ended(narrow, tmp_path):
    narrow.save_pretrained(tmp_path / "narrow")
    widen(tmp_path / "narrow", tmp_path / "wide")
    wide = UNet2DConditionModel.from_pretrained(tmp_path / "wide").eval()
    assert wide.config.block_out_channels == [128, 128, 176]
    narrow.mid_block = None  # the wide one has none
    for layer in (narrow.up_blocks[1].resnets[1], narrow.up_blocks[2].resnets[0]):
        layer.norm1 = NormOfTheWide(layer.norm1)
    narrow.down_blocks[1].resnets[0].conv_shortcut = Doubled()  # both levels have the same width now
    torch.manual_seed(4)
    latents, words = torch.randn(3, 12, 16, 16), torch.randn(3, 32, 16)
    with torch.inference_mode():
        before, after = (net(latents, torch.tensor([40, 300, 700]), words).sample for net in (narrow, wide))
    assert torch.allclose(before, after, atol=1e-4)
    assert float(before.std()) > 0.1


def test_copies_part_from_each_other(narrow, tmp_path):
    narrow.save_pretrained(tmp_path / "narrow")
    widen(tmp_path / "narrow", tmp_path / "wide")
    wide = UNet2DConditionModel.from_pretrained(tmp_path / "wide").train()
    wide(
        torch.randn(2, 12, 16, 16), torch.tensor([9, 300]), torch.randn(2, 32, 16)
    ).sample.square().sum().backward()
    pull = wide.conv_in.weight.grad
    assert not torch.allclose(pull[::2], pull[1::2], rtol=1e-2)


def test_another_shape_is_refused(tmp_path):
    torch.manual_seed(0)
    UNet2DConditionModel(**WIDE, cross_attention_dim=16).save_pretrained(tmp_path / "wide")
    with pytest.raises(DatasetError, match="cannot be widened"):
        widen(tmp_path / "wide", tmp_path / "wider")
    assert not (tmp_path / "wider").exists()


def test_an_error_weighs_by_how_much_it_shows():
    scale = np.array([3, 1, 2] * 4, np.float32)
    weights = PatchLatents(mean=np.zeros(192), basis=np.zeros((192, 12)), scale=scale).weights()
    assert weights.mean() == pytest.approx(1)
    assert weights[0] == pytest.approx(3 * weights[1])
