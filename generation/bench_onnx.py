"""Compares the embedded model's two back ends on the CPU: the same pictures by torch and by ONNX Runtime."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from generation.card import ModelCard
from generation.job import ImageRequest

_PROMPTS = ("a red apple on a blue plate", "two cats in the city", "a rocket")
_ROUNDS = 3
_STRENGTH = 1.0  # every step is taken, as in the plain pipeline


def bench_onnx(card: ModelCard, *, rounds: int | None = None) -> Mapping[str, object]:
    """Draw pictures in their native size by turns, in CPU time on one thread.

    Returns:
        onnx_cpu_ratio: CPU time of all steps and the decoding, ONNX Runtime by torch; the median.
        onnx_max_diff: the largest difference of a channel, in 1/255.
        onnx_picture_cpu_ratio: of a whole picture with the card's strength, draft included.
        onnx_threads_equal: whether two threads give the bits of one.
    """
    import torch  # noqa: PLC0415 - heavy

    from generation.families.sticker import StickerFamily, StickerModel  # noqa: PLC0415

    def load(backend: str) -> StickerModel:
        return StickerFamily().load(
            dataclasses.replace(card, options={**card.options, "backend": backend}), device="cpu"
        )

    def draw(
        model: StickerModel, prompt: str, strength: float | None
    ) -> tuple[float, float, npt.NDArray[np.int64]]:
        """CPU time from the first step on, of the whole picture, and its pixels."""
        request = ImageRequest(
            prompt=prompt,
            model_id=card.id,
            width=128,
            height=128,
            seed=7,
            num_inference_steps=card.default_steps,
            guidance_scale=card.default_guidance,
            strength=strength,
        )
        started = time.process_time()
        row = model.prepare(request, index=0, source=None)
        prepared = time.process_time()
        while row.step < row.steps:
            model.denoise([row])
        pixels = model.decode(row).pixels.astype(np.int64)
        return time.process_time() - prepared, time.process_time() - started, pixels

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        two = load("onnx")
        torch.set_num_threads(1)
        models = {"torch": load("torch"), "onnx": load("onnx")}
        for model in (two, *models.values()):
            draw(model, _PROMPTS[0], _STRENGTH)  # warm
        ratios, whole, differences = [], [], []
        for prompt in _PROMPTS * (rounds or _ROUNDS):
            full = {name: draw(model, prompt, _STRENGTH) for name, model in models.items()}
            own = {name: draw(model, prompt, None) for name, model in models.items()}
            ratios.append(full["onnx"][0] / full["torch"][0])
            whole.append(own["onnx"][1] / own["torch"][1])
            differences += [int(np.abs(pair["onnx"][2] - pair["torch"][2]).max()) for pair in (full, own)]
        same = all(
            np.array_equal(draw(two, prompt, _STRENGTH)[2], draw(models["onnx"], prompt, _STRENGTH)[2])
            for prompt in _PROMPTS
        )
    finally:
        torch.set_num_threads(before)
    return {
        "onnx_cpu_ratio": statistics.median(ratios),
        "onnx_max_diff": max(differences),
        "onnx_picture_cpu_ratio": statistics.median(whole),
        "onnx_threads_equal": same,
    }
