"""Measures the engine on random models of the real architecture: exactness, and what the step loop costs."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from generation.batching import Mode
from generation.bench_onnx import bench_onnx
from generation.bench_trace import bench_traces
from generation.card import ModelCard
from generation.catalog import Catalog
from generation.engine import Engine
from generation.families.base import InFlight, LoadedModel
from generation.families.tiny import build_tiny_model
from generation.job import GeneratedImage, ImageRequest
from generation.models import ModelShelf
from generation.profiling import measure_knee

SAMPLERS = {
    "DDIM": "ddim", "Euler": "euler", "Euler-a": "euler_a", "DPM++": "dpm++", "UniPC": "unipc", "LCM": "lcm"
}  # fmt: skip
"""Name in the table -> name of the noise scheduler."""

_ROUNDS = 5
_CHANNELS = (64, 128, 256)  # of the U-Net whose loop is timed
_LAUNCH_BOUND = (16, 32)  # of the model that the traces draw with
_FEW, _MANY = 4, 24  # steps; their difference leaves out encoding and decoding
_REQUEST = ImageRequest(
    prompt="a red fox in snow, oil painting",
    model_id="tiny",
    width=64,
    height=64,
    seed=7,
    num_inference_steps=6,
    guidance_scale=7.5,
)


async def bench_engine() -> dict[str, object]:
    """Measure; takes some minutes on two cores. Ratios are of CPU time, the traces' on a virtual clock.

    Returns:
        bit_exact: for each sampler, whether the engine alone gives the latents and pixels of
            `StableDiffusionPipeline`.
        exact_equal: whether a request in the mix has the bytes that it has alone, in exact mode.
        bucket_equal: the same in bucket mode.
        overhead_ratio: CPU time of the engine's step loop in exact mode by that of the bare U-Net calls.
        further keys: of `bench_traces` and `bench_onnx`.
    """
    with tempfile.TemporaryDirectory(prefix="verso-bench") as folder:
        tiny = await asyncio.to_thread(build_tiny_model, Path(folder) / "tiny")
        medium = await asyncio.to_thread(
            build_tiny_model, Path(folder) / "medium", channels=_CHANNELS, text_width=64
        )
        return {
            "bit_exact": await _bit_exact(tiny),
            "exact_equal": await _same_in_the_mix(tiny, "exact", 1),
            "bucket_equal": await _same_in_the_mix(tiny, "bucket", 4),
            "overhead_ratio": await _overhead_ratio(medium),
            **await asyncio.to_thread(_traces, Path(folder) / "small"),
            **await asyncio.to_thread(bench_onnx, Catalog.load([]).get(None)),
        }


def _traces(folder: Path) -> Mapping[str, object]:
    import torch  # noqa: PLC0415 - heavy

    torch.set_num_threads(1)
    card = build_tiny_model(folder, channels=_LAUNCH_BOUND, text_width=64)
    model: LoadedModel[InFlight] = ModelShelf(device="cpu", room=1, services={}).get(
        card, in_use=lambda _: False
    )
    knee = measure_knee(card, model, aspect="1:1", device="cpu")
    return bench_traces(card, _REQUEST, rows=knee.rows if knee.invariant else 1)


async def _draw(
    card: ModelCard, requests: Sequence[ImageRequest], mode: Mode, rows: int
) -> list[GeneratedImage]:
    engine = Engine(Catalog([card]), threads=1, mode=mode, rows=rows)
    try:
        drawn = await asyncio.gather(*(engine.generate(request) for request in requests))
    finally:
        await engine.close()
    return [pictures[0] for pictures in drawn]


async def _bit_exact(card: ModelCard) -> dict[str, bool]:
    requests = [replace(_REQUEST, noise_scheduler=name) for name in SAMPLERS.values()]
    drawn = [(await _draw(card, [request], "exact", 1))[0] for request in requests]
    wanted = await asyncio.to_thread(_pipeline_digests, card, requests)
    return {
        name: (picture.profile["latents_sha256"], picture.profile["pixels_sha256"]) == digests
        for name, picture, digests in zip(SAMPLERS, drawn, wanted, strict=True)
    }


def _pipeline_digests(card: ModelCard, requests: Sequence[ImageRequest]) -> list[tuple[str, str]]:
    """Digests of latents and pixels as the plain pipeline draws them."""
    import numpy as np  # noqa: PLC0415 - heavy, like the rest
    import torch  # noqa: PLC0415
    from diffusers import StableDiffusionPipeline  # noqa: PLC0415

    from generation.families.latents import tensor_sha256  # noqa: PLC0415
    from generation.families.noise_schedulers import make_noise_scheduler  # noqa: PLC0415
    from generation.profile import pixels_sha256  # noqa: PLC0415

    torch.set_num_threads(1)
    load: Callable[..., Any] = StableDiffusionPipeline.from_pretrained
    pipeline = load(card.folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    own = pipeline.scheduler
    digests = []
    for request in requests:
        outputs = []
        for kind in ("latent", "pil"):
            pipeline.scheduler = make_noise_scheduler(own, request.noise_scheduler)
            outputs.append(
                pipeline(
                    request.prompt,
                    num_inference_steps=request.num_inference_steps,
                    guidance_scale=request.guidance_scale,
                    width=request.width,
                    height=request.height,
                    generator=torch.Generator().manual_seed(request.seed),
                    output_type=kind,
                ).images
            )
        digests.append((tensor_sha256(outputs[0]), pixels_sha256(np.asarray(outputs[1][0]))))
    return digests


async def _same_in_the_mix(card: ModelCard, mode: Mode, rows: int) -> bool:
    requests = [
        replace(_REQUEST, seed=seed, num_inference_steps=4 + seed, noise_scheduler=name)
        for seed, name in enumerate(SAMPLERS.values())
    ]
    alone = [(await _draw(card, [request], mode, rows))[0] for request in requests]
    return await _draw(card, requests, mode, rows) == alone


async def _overhead_ratio(card: ModelCard) -> float:
    request = replace(_REQUEST, width=128, height=128)
    engine = Engine(Catalog([card]), threads=1)

    async def cpu_s(steps: int) -> float:
        started = time.process_time()
        await engine.generate(replace(request, num_inference_steps=steps))
        return time.process_time() - started

    try:
        await cpu_s(2)  # load
        bare = await asyncio.to_thread(_BareLoop, card, request)
        ratios = []
        for _ in range(_ROUNDS):
            loop_s = await cpu_s(_MANY) - await cpu_s(_FEW)
            ratios.append(loop_s / await asyncio.to_thread(bare.cpu_s, _MANY - _FEW))
    finally:
        await engine.close()
    return statistics.median(ratios)


class _BareLoop:
    """The U-Net called again and again, with nothing around it."""

    def __init__(self, card: ModelCard, request: ImageRequest) -> None:
        import torch  # noqa: PLC0415 - heavy

        from generation.families.diffusion_folder import load_components  # noqa: PLC0415

        self._unet = load_components(card, device="cpu").unet
        self._sample = torch.randn(2, 4, request.height // 8, request.width // 8)
        self._embeddings = torch.randn(2, 77, self._unet.config.cross_attention_dim)
        self.cpu_s(1)

    def cpu_s(self, steps: int) -> float:
        """CPU time of so many forwards."""
        import torch  # noqa: PLC0415 - heavy

        torch.set_num_threads(1)
        started = time.process_time()
        with torch.inference_mode():
            for step in range(steps):
                self._unet(
                    self._sample,
                    torch.tensor(900 - step),
                    encoder_hidden_states=self._embeddings,
                    return_dict=False,
                )
        return time.process_time() - started
