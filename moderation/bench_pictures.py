"""Measures the picture rules one by one: processor time and waiting time of each, at a given size."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from moderation.keypoints import KeyPoints
from moderation.policy import Policy
from moderation.protected import ProtectedEntry, ProtectedList
from moderation.rules import RULES, judges, lacking, open_rule
from moderation.rules.base import Context, Tools
from moderation.types import Action, ImageContent, Scope

SIDE = 512  # pixels
SLOW = "watermark"  # reads text: told apart from the rest
_ROUNDS = 9
_PROMPT = "a portrait of Tom Hanks beside a lighthouse"  # names a person, so that faces are looked for


def bench_pictures(policy: Policy, tools: Tools, *, side: int = SIDE) -> dict[str, object]:
    """Run every picture rule that is on over pictures of `side` x `side` pixels, in turns.

    A rule's figure is the median of nine pictures. As in a review, what two rules share is computed once: the
    first vote on sexual content counts for image_safety, which asks first.

    Returns:
        `picture_cpu_ms` and `picture_ms` by rule (processor and waiting time), `picture_cpu_ms_without_text`
        and `picture_cpu_ms_with_text` (the sums), and `picture_rules_off` (rule: what to install).
    """
    sample = next(iter(_samples(side)))
    content = ImageContent(pixels=sample, prompt=_PROMPT)
    names = [name for name in RULES if policy.runs(name) and judges(name, content)]
    off = {name: needed for name in names if (needed := lacking(name)) is not None}
    rules = {name: open_rule(name, tools) for name in names if name not in off}
    protected = _one_protected(tools, sample)
    cpu: dict[str, list[float]] = {name: [] for name in rules}
    wall: dict[str, list[float]] = {name: [] for name in rules}
    for rule in rules.values():
        rule.check(content, Scope(), Context(policy, protected=protected))
    for pixels in _samples(side):
        content = ImageContent(pixels=pixels, prompt=_PROMPT)
        context = Context(policy, protected=protected)
        for name, rule in rules.items():
            started, worked = time.perf_counter(), time.process_time()
            rule.check(content, Scope(), context)
            cpu[name].append((time.process_time() - worked) * 1e3)
            wall[name].append((time.perf_counter() - started) * 1e3)
    medians = {name: round(float(np.median(times)), 1) for name, times in cpu.items()}
    return {
        "picture_side": side,
        "picture_cpu_ms": medians,
        "picture_ms": {name: round(float(np.median(times)), 1) for name, times in wall.items()},
        "picture_cpu_ms_without_text": round(sum(ms for name, ms in medians.items() if name != SLOW), 1),
        "picture_cpu_ms_with_text": round(sum(medians.values()), 1),
        "picture_rules_off": off,
    }


def _samples(side: int) -> list[npt.NDArray[np.uint8]]:
    """Pictures that differ a little: soft waves, a few hard edges and one line of text."""
    y, x = np.mgrid[0:side, 0:side] * (512 / side)
    pictures = []
    for turn in range(_ROUNDS):
        waves = [np.sin(x / (31 + turn)), np.cos(y / (53 - turn)), np.sin((x + y) / (67 + turn))]
        image = Image.fromarray(((np.stack(waves, axis=2) + 1) * 110).astype(np.uint8))
        draw = ImageDraw.Draw(image)
        draw.ellipse((side // 3, side // 4, side // 2, side // 2), fill=(200, 60 + turn, 40))
        font = ImageFont.load_default(size=max(10, side // 16))
        draw.text((side // 8, 3 * side // 4), f"lighthouse no {turn}", font=font, fill=(250, 250, 240))
        pictures.append(np.asarray(image, dtype=np.uint8))
    return pictures


def _one_protected(tools: Tools, pixels: npt.NDArray[np.uint8]) -> ProtectedList:
    """A list with one picture, so that the comparison is measured where there is a fingerprint."""
    hashes = tools.fingerprint(255 - pixels[::-1]) if tools.fingerprint is not None else ()
    if not hashes:
        return ProtectedList()
    entry = ProtectedEntry(
        id="bench",
        workspace_id="bench",
        kind="image",
        term="bench",
        pdq=hashes[0],
        action=Action.HOLD,
        requested_by="bench",
        reason="bench",
        actor="bench",
        created_ms=0,
        keypoints=KeyPoints.of(255 - pixels[::-1]).to_bytes(),
    )
    return ProtectedList([entry])
