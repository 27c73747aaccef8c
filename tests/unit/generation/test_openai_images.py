"""Models on an image server, through the engine: beside local ones, cancelled, and with bad answers."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import struct
import threading
import time
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import SecretStr

from generation.card import ModelCard
from generation.catalog import Catalog
from generation.engine import Engine
from generation.errors import ImageServerError, JobCancelledError, ModelLoadError, RequestLimitError
from generation.families import open_family
from generation.image_server import ImageServer
from generation.job import ImageRequest
from generation.models import ModelShelf

CARD = """
id = "served"
name = "Served"
family = "openai_images"
revision = "as deployed on 2026-11-01"
license_id = "Apache-2.0"
width = 64
height = 64
max_pixels = 65536
default_steps = 8
max_steps = 50
default_guidance = 4.0
abilities = ["img2img", "inpaint"]

[server]
base_url = "{url}"
model = "flux"
timeout_s = 20
in_flight = 4
{more}
[server.fields]
seed = "seed"
num_inference_steps = "step"
negative_prompt = "negative_prompt"
strength = "strength"
"""


def card_of(folder: Path, url: str, more: str = "", text: str = CARD) -> ModelCard:
    file = folder / "served.toml"
    file.write_text(text.format(url=url, more=more))
    return Catalog.load([file], embedded=None).get("served")


def a_request(**changes: object) -> ImageRequest:
    request = ImageRequest(
        prompt="a red apple",
        model_id="served",
        width=64,
        height=64,
        seed=11,
        num_inference_steps=8,
        guidance_scale=4.0,
    )
    return dataclasses.replace(request, **changes)


@pytest.fixture
def card(image_server, tmp_path: Path) -> ModelCard:
    return card_of(tmp_path, image_server.url)


@pytest.fixture
async def engine(card: ModelCard, tiny_card: ModelCard) -> AsyncIterator[Engine]:
    engine = Engine(Catalog([card, tiny_card]), threads=1, mode="bucket", rows=2, models=1)
    yield engine
    await engine.close()


def pixels_of(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


async def test_a_server_draws_and_the_profile_says_so(engine: Engine, image_server, image_servers) -> None:
    pictures = await engine.generate(a_request(count=2, negative_prompt="blur"))
    assert [asked.values["seed"] for asked in sorted(image_server.asked, key=lambda a: a.values["seed"])] == [
        11, 12,
    ]  # fmt: skip
    for picture, asked in zip(
        pictures, sorted(image_server.asked, key=lambda asked: asked.values["seed"]), strict=True
    ):
        assert asked.values["step"] == 8
        assert asked.values["negative_prompt"] == "blur"
        assert "strength" not in asked.values
        assert np.array_equal(pixels_of(picture.png), pixels_of(image_servers.drawn(asked)))
        profile = picture.profile
        assert profile["replayable"] is False
        assert "no part of this program" in profile["not_replayable_because"]
        assert profile["weights_sha256"] == ""
        assert profile["server_model"] == "flux"
        assert image_server.url not in str(profile)  # an address in the operator's house is nobody's business
        assert profile["mode"] == "exact"  # no forward is shared, and no test picture was drawn there
    assert len(image_server.asked) == 2


async def test_the_engine_goes_on_with_others_while_a_server_draws(engine: Engine, image_server) -> None:
    image_server.behavior = image_server.hang
    waiting: list[tuple[int, int, float]] = []
    slow = asyncio.create_task(engine.generate(a_request(), on_waiting=lambda *news: waiting.append(news)))
    assert await asyncio.to_thread(image_server.arrived.wait, 10)
    (local,) = await engine.generate(a_request(model_id="tiny", guidance_scale=5.0))
    assert local.profile["model_id"] == "tiny"
    assert not slow.done()
    assert waiting[0][:2] == (0, 1)
    assert 0 <= waiting[0][2] < 10
    image_server.gate.set()
    (picture,) = await slow
    assert picture.width == 64


async def test_several_requests_are_under_way_at_once(engine: Engine, image_server) -> None:
    image_server.behavior = image_server.hang
    tasks = [asyncio.create_task(engine.generate(a_request(seed=seed, count=2))) for seed in (1, 5)]
    for _ in range(200):
        await asyncio.sleep(0.05)
        if len(image_server.asked) == 4:
            break
    assert len(image_server.asked) == 4
    image_server.gate.set()
    assert [len(pictures) for pictures in await asyncio.gather(*tasks)] == [2, 2]


async def test_a_cancelled_picture_closes_its_connection(engine: Engine, image_server) -> None:
    closed = threading.Event()

    def watch(handler, _asked) -> None:
        handler.connection.settimeout(20)
        if handler.connection.recv(1) == b"":
            closed.set()

    image_server.behavior = watch
    cancelled = threading.Event()
    task = asyncio.create_task(engine.generate(a_request(), should_cancel=cancelled.is_set))
    assert await asyncio.to_thread(image_server.arrived.wait, 10)
    started = time.monotonic()
    cancelled.set()
    with pytest.raises(JobCancelledError):
        await task
    assert await asyncio.to_thread(closed.wait, 10)
    assert time.monotonic() - started < 10
    image_server.behavior = image_server.hang
    image_server.gate.set()
    assert await engine.generate(a_request())  # the server's model is as good as before


async def test_closing_the_engine_does_not_wait_for_the_server(card: ModelCard, image_server) -> None:
    image_server.behavior = image_server.hang
    engine = Engine(Catalog([card]), threads=1)
    task = asyncio.create_task(engine.generate(a_request()))
    assert await asyncio.to_thread(image_server.arrived.wait, 10)
    started = time.monotonic()
    await engine.close()
    assert time.monotonic() - started < 10
    with pytest.raises(JobCancelledError):
        await task
    for _ in range(100):
        if not any(thread.name == "verso-image-server" for thread in threading.enumerate()):
            break
        await asyncio.sleep(0.05)
    assert not any(thread.name == "verso-image-server" for thread in threading.enumerate())


async def test_one_failure_leaves_the_others_alone(engine: Engine, image_server) -> None:
    def by_words(handler, asked) -> None:
        if asked.values["prompt"] == "bad":
            handler.say(400, {"error": {"code": "content_policy_violation"}})
        else:
            image_server.hang(handler, asked)

    image_server.behavior = by_words
    good = asyncio.create_task(engine.generate(a_request()))
    with pytest.raises(ImageServerError, match="content_policy_violation") as caught:
        await engine.generate(a_request(prompt="bad", count=2))
    assert not caught.value.retryable
    image_server.gate.set()
    assert len(await good) == 1


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header promises a huge picture of one color."""
    row = b"\0" + bytes(width * 3)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row) for _ in range(min(height, 200))) + packer.flush()

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bomb", "far too large"), ("large", "5000 x 5000"), ("shape", "128 x 64"), ("text", "no PNG"),
        ("cut", "damaged"), ("gif", "no PNG"), ("empty", "no PNG"),
    ],
)  # fmt: skip
async def test_a_bad_picture_is_refused(engine: Engine, image_server, image_servers, name, words) -> None:
    good = image_servers.drawn(image_servers.Asked("POST", "", {}, {}, {}), (64, 64))
    gif = io.BytesIO()
    Image.new("RGB", (64, 64)).save(gif, "GIF")
    files = {
        "bomb": bomb(50_000, 50_000),
        "large": bomb(5000, 5000),
        "shape": image_servers.drawn(image_servers.Asked("POST", "", {}, {}, {}), (128, 64)),
        "text": b"not a picture",
        "cut": good[: len(good) // 2],
        "gif": gif.getvalue(),
        "empty": b"",
    }
    image_server.behavior = lambda handler, _: handler.say(200, image_servers.answer(files[name]))
    with pytest.raises(ImageServerError, match=words) as caught:
        await engine.generate(a_request())
    assert not caught.value.retryable


async def test_a_picture_of_the_servers_own_size_is_scaled_with_a_note(
    engine: Engine, image_server, image_servers
) -> None:
    large = image_servers.drawn(image_servers.Asked("POST", "", {}, {}, {}), (256, 256))
    image_server.behavior = lambda handler, _: handler.say(200, image_servers.answer(large))
    (picture,) = await engine.generate(a_request())
    assert (picture.width, picture.height) == (64, 64)
    assert picture.note == "Drawn at 256 x 256 px by the image server, and scaled."


def png_of(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


async def test_source_and_mask_go_to_the_edits(engine: Engine, image_server) -> None:
    source = np.zeros((64, 64, 3), np.uint8)
    source[:, 32:] = (250, 200, 20)
    mask = np.zeros((64, 64), np.uint8)
    mask[:32] = 255
    await engine.generate(
        a_request(source_blob="s", mask_blob="m", strength=0.5), source=png_of(source), mask=png_of(mask)
    )
    (asked,) = image_server.asked
    assert asked.path == "/v1/images/edits"
    assert asked.values["strength"] == "0.5"
    assert np.array_equal(pixels_of(asked.files["image"]), source)
    sent = np.asarray(Image.open(io.BytesIO(asked.files["mask"])))
    assert sent.shape == (64, 64, 4)
    assert (sent[:32] == (255, 255, 255, 0)).all()  # OpenAI looks at alpha, others at colors
    assert (sent[32:] == (0, 0, 0, 255)).all()


async def test_without_abilities_a_server_draws_from_words_alone(image_server, tmp_path: Path) -> None:
    plain = card_of(tmp_path, image_server.url, text=CARD.replace('abilities = ["img2img", "inpaint"]\n', ""))
    assert plain.abilities == frozenset()
    with pytest.raises(RequestLimitError):
        plain.check(a_request(source_blob="s"))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("revision", 'folder = "x"\nrevision', "no folder"),
        ('family = "openai_images"', 'family = "flux"\nfolder = "."', "no others"),
        ('base_url = "{url}"', 'base_url = "http://me:secret@host"', "base_url"),
        ('"seed"', '"prompt"', "fields"),
        ("revision", 'lora = [{{name = "x", file = "x.safetensors", license_id = "MIT"}}]\nrevision', "lora"),
    ],
)  # fmt: skip
def test_a_card_that_cannot_be_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(ModelLoadError, match=words):
        card_of(tmp_path, "http://127.0.0.1:1", text=CARD.replace(old, new, 1))


def test_a_model_with_weights_still_needs_its_folder(tmp_path: Path) -> None:
    text = CARD.replace('"openai_images"', '"flux"').split("[server]", maxsplit=1)[0]
    with pytest.raises(ModelLoadError, match="folder is missing"):
        card_of(tmp_path, "http://127.0.0.1:1", text=text)


def test_a_key_that_is_not_set_is_named(image_server, tmp_path: Path) -> None:
    card = card_of(tmp_path, image_server.url, more='api_key_env = "IMAGE_SERVER_KEY"')
    with pytest.raises(ModelLoadError, match="IMAGE_SERVER_KEY"):
        open_family("openai_images", secret=lambda _: None).load(card, device="cpu")


async def test_the_key_is_sent_and_shown_nowhere(image_server, tmp_path: Path, caplog) -> None:
    caplog.set_level("DEBUG")
    card = card_of(tmp_path, image_server.url, more='api_key_env = "IMAGE_SERVER_KEY"')
    engine = Engine(
        Catalog([card]), threads=1, services={"secret": {"IMAGE_SERVER_KEY": SecretStr("sk-hidden")}.get}
    )
    (picture,) = await engine.generate(a_request())
    await engine.close()
    assert image_server.asked[0].headers["Authorization"] == "Bearer sk-hidden"
    assert "sk-hidden" not in caplog.text + str(picture.profile) + repr(card)


def test_a_served_model_takes_no_room_from_local_ones(card: ModelCard, tiny_card: ModelCard) -> None:
    shelf = ModelShelf(device="cpu", room=1, services={})
    local = shelf.get(tiny_card, in_use=lambda _: False)
    served = shelf.get(card, in_use=lambda _: False)
    assert shelf.get(tiny_card, in_use=lambda _: False) is local
    assert shelf.get(card, in_use=lambda _: False) is served
    shelf.clear()


def test_the_server_of_a_card_is_a_frozen_value(card: ModelCard) -> None:
    assert isinstance(card.server, ImageServer)
    assert card.digest() == card.weights_sha256 == ""
    with pytest.raises(ValueError, match="frozen"):
        card.server.model = "x"
