"""`/describe`, `/blend`, `/upscale`, `/vary` through the SDK's real command tree on a simulated Discord."""

from __future__ import annotations

import pytest

from bot.conversation import BlendCommand, DescribeCommand, Reply, UpscaleCommand, VaryCommand

pytestmark = pytest.mark.simcord(settle_timeout=60)
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 64


async def test_describe_reads_the_attached_file(town, desk):
    desk.answer = Reply(text="Red and round.")
    result = await town.ada.slash(town.channel, "describe", image=("a.png", PNG))
    assert result.ephemeral
    assert desk.last == DescribeCommand(origin=desk.last.origin, image=PNG)


async def test_blend_takes_ids_and_files(town, desk):
    await town.ada.slash(town.channel, "blend", first=" abc ", second_file=("b.png", PNG), prompt="a cat")
    assert desk.last == BlendCommand(origin=desk.last.origin, first="abc", second=PNG, prompt="a cat")
    asked = len(desk.asked)
    result = await town.ada.slash(town.channel, "blend", first="abc")
    assert "exactly two" in result.response.embeds[0].description
    assert len(desk.asked) == asked


async def test_upscale_and_vary_by_id(town, desk):
    await town.ada.slash(town.channel, "upscale", picture="abc", factor="4")
    assert desk.last == UpscaleCommand(origin=desk.last.origin, image_id="abc", factor=4)
    await town.ada.slash(town.channel, "vary", picture="abc", strength=0.2)
    assert desk.last == VaryCommand(origin=desk.last.origin, image_id="abc", strength=0.2)
    await town.ada.slash(town.channel, "vary", picture="abc")
    assert desk.last.strength == "strong"


async def test_vary_takes_a_mask(town, desk):
    await town.ada.slash(town.channel, "vary", picture="abc", prompt="a hat", mask=("mask.png", PNG))
    assert desk.last == VaryCommand(origin=desk.last.origin, image_id="abc", prompt="a hat", mask=PNG)
