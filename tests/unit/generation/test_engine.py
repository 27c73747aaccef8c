"""The engine with a real model: in the mix as alone, cancelled, broken, closed."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import threading
from collections.abc import AsyncIterator

import numpy as np
import pytest
from PIL import Image

from generation.card import ModelCard
from generation.catalog import Catalog
from generation.engine import Engine
from generation.errors import (
    DeviceStuckError,
    GenerationError,
    JobCancelledError,
    ModelLoadError,
    OutOfMemoryError,
    RequestLimitError,
    SourceImageError,
    UnknownModelError,
)
from generation.job import ImageRequest
from generation.knees import Knee, Knees, load_knees
from generation.profile import pixels_sha256
from generation.tickets import as_generation_error

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)  # diffusers' own


def a_request(**changes: object) -> ImageRequest:
    request = ImageRequest(
        prompt="a red apple",
        model_id="tiny",
        width=64,
        height=64,
        seed=11,
        num_inference_steps=4,
        guidance_scale=5.0,
    )
    return dataclasses.replace(request, **changes)


def pixels_of(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.fixture
async def engine_(tiny_card: ModelCard) -> AsyncIterator[Engine]:
    engine = Engine(Catalog([tiny_card]), threads=1)
    yield engine
    await engine.close()


async def test_a_request_becomes_pictures_with_a_profile(engine_: Engine, tiny_card: ModelCard) -> None:
    pictures = await engine_.generate(a_request(count=2, strength=0.5))
    assert [picture.index for picture in pictures] == [0, 1]
    assert [picture.seed for picture in pictures] == [11, 12]
    for picture in pictures:
        opened = Image.open(io.BytesIO(picture.png))
        assert (opened.format, opened.mode, opened.size) == ("PNG", "RGB", (64, 64))
        assert opened.info == {}  # no metadata yet
        profile = picture.profile
        assert profile["pixels_sha256"] == pixels_sha256(np.asarray(opened))
        assert profile["weights_sha256"] == tiny_card.weights_sha256
        assert profile["seed"] == picture.seed
        assert profile["mode"] == "exact"
        assert profile["machine"]["threads"] == 1
        assert set(profile["machine"]["libraries"]) >= {"torch", "diffusers"}
        assert len(profile["latents_sha256"]) == 64
    assert pictures[0].profile["latents_sha256"] != pictures[1].profile["latents_sha256"]


async def test_a_replay_gives_the_same_profile_and_bytes(engine_: Engine, tiny_card: ModelCard) -> None:
    (first,) = await engine_.generate(a_request())
    other = Engine(Catalog([tiny_card]), threads=1)
    try:
        (second,) = await other.generate(a_request())
    finally:
        await other.close()
    assert first == second


async def test_exact_in_the_mix_as_alone(engine_: Engine) -> None:
    requests = [
        a_request(),
        a_request(prompt="a dog", seed=1, num_inference_steps=7, noise_scheduler="dpm++"),
        a_request(prompt="a cat", seed=2, num_inference_steps=3, guidance_scale=1.0),
        a_request(prompt="a car", seed=3, width=128, noise_scheduler="euler_a"),
    ]
    alone = [await engine_.generate(request) for request in requests]
    assert await asyncio.gather(*(engine_.generate(request) for request in requests)) == alone


@pytest.mark.parametrize("guidance", [5.0, 1.0])
@pytest.mark.parametrize("rows", [2, 3, 4, 8])
async def test_bucket_in_the_mix_as_alone(tiny_card: ModelCard, rows: int, guidance: float) -> None:
    engine = Engine(Catalog([tiny_card]), threads=1, mode="bucket", rows=rows)
    samplers = ["ddim", "euler_a", "dpm++"]
    requests = [
        a_request(
            prompt=f"apple {seed}",
            seed=seed,
            num_inference_steps=3 + seed % 4,
            guidance_scale=guidance,
            noise_scheduler=samplers[seed % 3],
        )
        for seed in range(7)
    ]
    try:
        alone = [await engine.generate(request) for request in requests]
        assert await asyncio.gather(*(engine.generate(request) for request in requests)) == alone
    finally:
        await engine.close()
    assert alone[0][0].profile["rows"] == rows


async def test_requests_advance_together(engine_: Engine) -> None:
    order: list[str] = []

    def note(name: str):
        return lambda step, _steps, _preview: order.append(f"{name}{step}")

    await asyncio.gather(
        engine_.generate(a_request(num_inference_steps=20), on_progress=note("long")),
        engine_.generate(a_request(num_inference_steps=3), on_progress=note("short")),
    )
    assert order.index("short3") < order.index("long20")
    assert order.index("short2") < order.index("long10")  # its first preview did not wait


async def test_progress_comes_with_small_previews(engine_: Engine) -> None:
    seen: list[tuple[int, int, bytes | None]] = []
    await engine_.generate(a_request(num_inference_steps=9), on_progress=lambda *news: seen.append(news))
    assert [(step, steps) for step, steps, _ in seen] == [(step, 9) for step in range(1, 10)]
    shown = [step for step, _, preview in seen if preview]
    assert shown[0] == 2
    assert set(shown[1:]) <= {4, 8}  # fewer on a fast machine: at most four in a second
    assert max(pixels_of(preview).shape[0] for _, _, preview in seen if preview) <= 128


async def test_a_cancelled_request_ends_within_two_ticks_and_spares_the_others(engine_: Engine) -> None:
    steps: list[int] = []
    cancelled = threading.Event()

    def watch(step: int, _steps: int, _preview: bytes | None) -> None:
        steps.append(step)
        if step == 3:
            cancelled.set()

    doomed = engine_.generate(
        a_request(num_inference_steps=50), on_progress=watch, should_cancel=cancelled.is_set
    )
    (fine,) = await engine_.generate(a_request())
    with pytest.raises(JobCancelledError):
        await doomed
    assert max(steps) <= 4
    assert (await engine_.generate(a_request()))[0] == fine


async def test_whoever_stops_waiting_frees_his_rows(engine_: Engine) -> None:
    steps: list[int] = []
    started = asyncio.Event()
    loop = asyncio.get_running_loop()

    def watch(step: int, _steps: int, _preview: bytes | None) -> None:
        steps.append(step)
        loop.call_soon_threadsafe(started.set)

    waiting = asyncio.create_task(engine_.generate(a_request(num_inference_steps=50), on_progress=watch))
    await started.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await engine_.generate(a_request(seed=1))
    done = len(steps)
    await engine_.generate(a_request(seed=2))
    assert len(steps) == done < 50


async def test_image_to_image_reads_common_files(engine_: Engine) -> None:
    stream = io.BytesIO()
    Image.new("RGBA", (90, 70), (255, 0, 0, 0)).save(stream, "WEBP", lossless=True)
    (varied,) = await engine_.generate(
        a_request(strength=0.5, source_blob="f" * 64), source=stream.getvalue()
    )
    assert varied.profile["source"] is True
    assert varied.profile["strength"] == 0.5


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a" + b"\0" * 50, b"<svg/>"])
async def test_a_broken_source_is_refused(engine_: Engine, data: bytes) -> None:
    with pytest.raises(SourceImageError):
        await engine_.generate(a_request(strength=0.5), source=data)


async def test_a_bomb_is_refused_by_its_header(engine_: Engine) -> None:
    stream = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(stream, "PNG")
    with pytest.raises(SourceImageError):
        await engine_.generate(a_request(strength=0.5), source=stream.getvalue())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"width": 8192, "height": 8192}, "size"),
        ({"width": 65}, "size"),
        ({"width": -64}, "size"),
        ({"count": 0}, "count"),
        ({"count": 5}, "count"),
        ({"num_inference_steps": 51}, "num_inference_steps"),
        ({"guidance_scale": float("nan")}, "guidance_scale"),
        ({"guidance_scale": float("inf")}, "guidance_scale"),
        ({"strength": 1.5}, "strength"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**64}, "seed"),
        ({"prompt": " "}, "prompt"),
        ({"prompt": "x" * 2001}, "prompt"),
        ({"negative_prompt": "x" * 2001}, "negative_prompt"),
        ({"noise_scheduler": "magic"}, "noise_scheduler"),
    ],
)
async def test_requests_beyond_the_card_are_refused(engine_: Engine, change, field: str) -> None:
    with pytest.raises(RequestLimitError) as refusal:
        await engine_.generate(a_request(**change))
    assert refusal.value.field == field


async def test_an_unknown_model_is_refused(engine_: Engine) -> None:
    with pytest.raises(UnknownModelError) as refusal:
        await engine_.generate(a_request(model_id="huge"))
    assert refusal.value.known == ("tiny",)


async def test_weights_that_are_not_the_cards_are_refused(tiny_card: ModelCard) -> None:
    engine = Engine(Catalog([dataclasses.replace(tiny_card, weights_sha256="0" * 64)]), threads=1)
    try:
        with pytest.raises(ModelLoadError, match="not those of the card"):
            await engine.generate(a_request())
    finally:
        await engine.close()


async def test_a_failing_request_does_not_take_the_others_along(engine_: Engine, caplog) -> None:
    def broken(_step: int, _steps: int, _preview: bytes | None) -> None:
        raise ValueError("SECRETWORDS")

    fails = engine_.generate(a_request(num_inference_steps=8), on_progress=broken)
    works = engine_.generate(a_request(num_inference_steps=8))
    outcomes = await asyncio.gather(fails, works, return_exceptions=True)
    assert isinstance(outcomes[0], GenerationError)
    assert "SECRETWORDS" not in str(outcomes[0])
    assert len(outcomes[1]) == 1
    assert "drawing failed" in caplog.text


async def test_models_make_room_for_each_other(tiny_card: ModelCard) -> None:
    cards = [dataclasses.replace(tiny_card, id=name) for name in ("a", "b", "c")]
    engine = Engine(Catalog(cards), threads=1, models=1)
    try:
        pictures = [await engine.generate(a_request(model_id=name)) for name in ("a", "b", "c", "a")]
    finally:
        await engine.close()
    assert len({picture.png for (picture,) in pictures}) == 1


async def test_closing_cancels_what_is_in_flight(tiny_card: ModelCard) -> None:
    engine = Engine(Catalog([tiny_card]), threads=1)
    started = asyncio.Event()
    loop = asyncio.get_running_loop()
    waiting = asyncio.create_task(
        engine.generate(
            a_request(num_inference_steps=50),
            on_progress=lambda *_news: loop.call_soon_threadsafe(started.set),
        )
    )
    await started.wait()
    await engine.close()
    with pytest.raises(JobCancelledError):
        await waiting
    with pytest.raises(JobCancelledError):
        await engine.generate(a_request())
    await engine.close()  # again does no harm


async def test_an_unused_engine_closes_at_once(tiny_card: ModelCard) -> None:
    await Engine(Catalog([tiny_card])).close()


def test_memory_errors_are_told_apart() -> None:
    assert isinstance(as_generation_error(MemoryError()), OutOfMemoryError)
    bare = RuntimeError(
        "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
    )
    assert isinstance(as_generation_error(bare), OutOfMemoryError)
    assert as_generation_error(bare).retryable
    known = RequestLimitError(field="f", value=1, limit="l")
    assert as_generation_error(known) is known
    assert not as_generation_error(KeyError("k")).retryable


async def test_memory_that_runs_out_halves_the_rows(tiny_card: ModelCard, monkeypatch) -> None:
    from generation.families.stable_diffusion import LoadedStableDiffusion

    whole, drawn_steps = LoadedStableDiffusion.denoise, []

    def small_device(self, rows, *, pad_to=None) -> None:
        if len(rows) > 2 and drawn_steps:  # after the self-test
            raise MemoryError
        whole(self, rows, pad_to=pad_to)

    monkeypatch.setattr(LoadedStableDiffusion, "denoise", small_device)
    engine = Engine(Catalog([tiny_card]), threads=1, mode="bucket", rows=4)
    try:
        drawing = [
            asyncio.create_task(
                engine.generate(a_request(seed=seed), on_progress=lambda *news: drawn_steps.append(news))
            )
            for seed in range(3)
        ]
        drawn = await asyncio.gather(*drawing)
    finally:
        await engine.close()
    assert [pictures[0].profile["rows"] for pictures in drawn] == [2, 2, 2]
    fresh = Engine(Catalog([tiny_card]), threads=1, mode="bucket", rows=2)
    try:
        assert await fresh.generate(a_request(seed=0)) == drawn[0]  # the bits of the rows that it states
    finally:
        await fresh.close()


async def test_a_measured_knee_turns_bucket_mode_on_for_its_size(tiny_card: ModelCard, tmp_path) -> None:
    knee = Knee(
        model_id="tiny",
        weights_sha256=tiny_card.weights_sha256,
        width=64,
        height=64,
        dtype="float32",
        device="cpu",
        rows=2,
        invariant=True,
        ms_per_row=((1, 2.0), (2, 1.0)),
    )
    Knees([knee]).save(tmp_path / "knees.json")
    engine = Engine(Catalog([tiny_card]), threads=1, knees=load_knees(tmp_path / "knees.json"))
    try:
        (small,) = await engine.generate(a_request())
        (wide,) = await engine.generate(a_request(width=128))
    finally:
        await engine.close()
    assert (small.profile["mode"], small.profile["rows"]) == ("bucket", 2)
    assert (wide.profile["mode"], wide.profile["rows"]) == ("exact", 1)
    assert load_knees(tmp_path / "none.json").rows("tiny", width=64, height=64) is None
    (tmp_path / "knees.json").write_text('[{"rows": 9999}]')
    assert load_knees(tmp_path / "knees.json").rows("tiny", width=64, height=64) is None


async def test_a_hung_device_ends_the_requests(tiny_card: ModelCard, monkeypatch, caplog) -> None:
    from generation.families.stable_diffusion import LoadedStableDiffusion

    over = threading.Event()
    monkeypatch.setattr(LoadedStableDiffusion, "denoise", lambda *_args, **_more: over.wait())
    engine = Engine(Catalog([tiny_card]), threads=1, stuck_s=1.0)
    engine._shelf.get(tiny_card, in_use=lambda _: False)  # loading is no hanging
    try:
        with pytest.raises(DeviceStuckError):
            await engine.generate(a_request())
        with pytest.raises(DeviceStuckError):
            await engine.generate(a_request())
        await engine.close()  # does not wait for it
    finally:
        over.set()
    assert "has not answered" in caplog.text
