"""A part of a protected picture is found, and pictures that have nothing in common are not."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from moderation.errors import RuleError
from moderation.keypoints import POINTS, KeyPoints
from moderation.moderator import Moderator
from moderation.policy import Policy
from moderation.protections import Protections
from moderation.types import Action, ImageContent, Scope


def a_picture(seed=1, side=320) -> np.ndarray:
    """Blobs and edges at many sizes, as a photo has them; each seed is another picture."""
    rng = np.random.default_rng(seed)
    pixels = np.zeros((side, side, 3))
    for size in (5, 10, 20, 40, 80):
        tiles = Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8))
        pixels += np.asarray(tiles.resize((side, side), Image.Resampling.BICUBIC), dtype=np.float64)
    return (pixels / 5).astype(np.uint8)


def part(pixels, top, left, bottom, right):
    height, width = pixels.shape[:2]
    return pixels[int(top * height) : int(bottom * height), int(left * width) : int(right * width)]


def framed(pixels):
    canvas = np.full((500, 560, 3), 240, np.uint8)
    canvas[60 : 60 + pixels.shape[0], 150 : 150 + pixels.shape[1]] = pixels
    return canvas


def gray(pixels):
    return np.repeat(pixels.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)


CHANGES = {
    "whole": lambda p: p,
    "a quarter cut off": lambda p: part(p, 0.1, 0, 1, 0.85),
    "half of it": lambda p: part(p, 0.2, 0.25, 0.9, 0.95),
    "framed": framed,
    "smaller": lambda p: np.asarray(Image.fromarray(p).resize((200, 200))),
    "turned a little": lambda p: np.asarray(Image.fromarray(p).rotate(9)),
    "grey part": lambda p: np.asarray(
        Image.fromarray(part(p, 0.1, 0.1, 0.9, 0.9)).convert("L").convert("RGB")
    ),
    "darker part": lambda p: (part(p, 0.1, 0.1, 0.9, 0.9) * 0.6).astype(np.uint8),
}


async def verdict_of(engine, pixels, *, policy=None, action=Action.BLOCK):
    protections = Protections(engine)
    known = a_picture()
    await protections.add(
        "w1",
        kind="image",
        term="a print",
        pdq=bytes(32),
        keypoints=KeyPoints.of(known).to_bytes(),
        action=action,
        requested_by="them",
        reason="theirs",
        actor="mod",
    )
    moderator = Moderator.open(
        policy or Policy.load(), rules=("protected_parts",), protected=protections.current
    )
    try:
        return await moderator.review(ImageContent(pixels=pixels), Scope(workspace_id="w1"))
    finally:
        moderator.close()


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("mirrored", [False, True])
async def test_a_part_of_a_protected_picture_is_found(engine, name, mirrored):
    pixels = CHANGES[name](a_picture())
    verdict = await verdict_of(engine, np.ascontiguousarray(pixels[:, ::-1] if mirrored else pixels))
    assert verdict.action is Action.BLOCK
    assert (verdict.gravest.rule, verdict.gravest.clause) == ("protected_parts", "house/rights_holder")


@pytest.mark.parametrize("seed", [2, 3, 4])
async def test_other_pictures_are_other_pictures(engine, seed):
    assert (await verdict_of(engine, a_picture(seed))).action is Action.ALLOW


async def test_a_smooth_picture_has_nothing_to_find(engine):
    assert (await verdict_of(engine, np.full((64, 64, 3), 200, np.uint8))).action is Action.ALLOW
    assert len(KeyPoints.of(np.full((64, 64, 3), 200, np.uint8))) == 0


async def test_how_many_points_must_agree_is_the_policys(engine):
    policy = Policy.parse('extends = "community"\n[rule.protected_parts]\nthreshold = 500\n')
    pixels = CHANGES["half of it"](a_picture())
    assert (await verdict_of(engine, pixels, policy=policy)).action is Action.ALLOW


def test_key_points_survive_being_stored():
    points = KeyPoints.of(a_picture())
    data = points.to_bytes()
    again = KeyPoints.from_bytes(data)
    assert 100 < len(points) <= 2 * POINTS
    assert len(data) == 36 * len(points)
    assert np.array_equal(again.looks, points.looks)
    assert np.abs(again.places - points.places).max() < 1 / 32
    assert again.agreeing(points) > 0.9 * len(points)


@pytest.mark.parametrize("data", [b"x", bytes(35), bytes(36 * 2 * POINTS + 36)])
def test_damaged_key_points_raise(data):
    with pytest.raises(RuleError, match="damaged"):
        KeyPoints.from_bytes(data)


def test_hostile_key_points_agree_with_nothing():
    rng = np.random.default_rng(0)
    for data in (bytes(36 * 300), b"\xff" * 36 * 300, rng.bytes(36 * 300)):
        assert KeyPoints.from_bytes(data).agreeing(KeyPoints.of(a_picture())) < 6
