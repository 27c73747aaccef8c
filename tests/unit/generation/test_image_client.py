"""The client of image servers, against a real one on this machine that behaves well and badly."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time

import pytest
from pydantic import SecretStr, ValidationError

from generation.errors import ImageServerError
from generation.image_client import TRIES, ImageClient
from generation.image_server import ImageServer

VALUES = {"prompt": "a red apple", "size": "64x64"}
KEY = "sk-do-not-tell"


def server_of(house, **changes: object) -> ImageServer:
    return ImageServer(base_url=house.url, model="flux", **{"timeout_s": 20.0, **changes})


class Pauses:
    """Counts the pauses and does not wait."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@contextlib.asynccontextmanager
async def client_of(house, pauses: Pauses, key: str | None = None, **changes: object):
    client = ImageClient(server_of(house, **changes), key=SecretStr(key) if key else None, sleep=pauses)
    try:
        yield client
    finally:
        await client.close()


async def failure(house, pauses: Pauses, **changes: object) -> ImageServerError:
    async with client_of(house, pauses, **changes) as client:
        with pytest.raises(ImageServerError) as caught:
            await client.generate(VALUES)
    return caught.value


def says(status: int, document: object, **headers: str):
    return lambda handler, _: handler.say(status, document, **headers)


def sends(body: bytes, media: str = "application/json", status: int = 200, **headers: str):
    return lambda handler, _: handler.send(status, body, media, **headers)


async def test_a_picture_is_asked_for_in_openais_words(image_server, pauses) -> None:
    async with client_of(image_server, pauses, key=KEY) as client:
        png = await client.generate({**VALUES, "seed": 7})
    assert png.startswith(b"\x89PNG")
    (asked,) = image_server.asked
    assert (asked.method, asked.path) == ("POST", "/v1/images/generations")
    assert asked.values == {
        "model": "flux", "n": 1, "response_format": "b64_json", "prompt": "a red apple", "size": "64x64",
        "seed": 7,
    }  # fmt: skip
    assert asked.headers["Authorization"] == f"Bearer {KEY}"
    assert asked.headers["Accept-Encoding"] == "identity"


async def test_an_edit_sends_picture_and_mask_as_files(image_server, pauses) -> None:
    async with client_of(image_server, pauses) as client:
        await client.edit(VALUES, image=b"the picture", mask=b"the mask")
    (asked,) = image_server.asked
    assert asked.path == "/v1/images/edits"
    assert asked.files == {"image": b"the picture", "mask": b"the mask"}
    assert asked.values["prompt"] == "a red apple"
    assert asked.values["n"] == "1"
    assert "Authorization" not in asked.headers


async def test_models_are_listed(image_server, pauses) -> None:
    async with client_of(image_server, pauses) as client:
        assert await client.models() == ("flux",)
        image_server.behavior = says(200, {"models": []})
        with pytest.raises(ImageServerError):
            await client.models()


@pytest.mark.parametrize(
    ("behavior", "words"),
    [
        (sends(b"<html>Bad gateway</html>", "text/html"), "something else"),
        (sends(b'{"data": ['), "damaged JSON"),
        (sends(b"[" * 100_000), "damaged JSON"),
        (sends(b"9" * 100_000), "damaged JSON"),
        (says(200, []), "without pictures"),
        (says(200, {"data": "x"}), "without pictures"),
        (says(200, {"data": [7]}), "without pictures"),
        (says(200, {"data": []}), "0 pictures"),
        (says(200, {"data": [{"b64_json": "QUJD"}, {"b64_json": "QUJD"}]}), "2 pictures"),
        (says(200, {"data": [{"b64_json": "no base64!"}]}), "base64"),
        (says(200, {"data": [{"b64_json": None}]}), "without pictures"),
        (says(200, {"data": [{"url": "http://192.0.2.1/a.png"}]}), "another server"),
        (says(200, {"data": [{"url": "file:///etc/passwd"}]}), "another server"),
        (says(200, {"data": [{"url": "//192.0.2.1/a.png"}]}), "another server"),
        (says(200, {"data": [{"url": "http://[bad"}]}), "another server"),
        (says(302, {}, Location="http://192.0.2.1/"), "sends us elsewhere"),
        (says(307, {}, Location="/v1/images/generations"), "sends us elsewhere"),
        (says(401, {"error": {"message": KEY}}), "refuses the API key"),
        (sends(b"\x1f\x8b", Content_Encoding="gzip"), "compresses"),
    ],
)  # fmt: skip
async def test_an_answer_that_is_wrong_is_refused_for_good(image_server, pauses, behavior, words) -> None:
    image_server.behavior = behavior
    error = await failure(image_server, pauses, key=KEY)
    assert words in str(error)
    assert KEY not in str(error)
    assert not error.retryable
    assert not pauses.slept
    assert len(image_server.asked) == 1


async def test_the_code_of_a_refusal_is_told_but_not_its_words(image_server, pauses) -> None:
    image_server.behavior = says(
        400, {"error": {"message": "'a red apple' is against the rules", "code": "content_policy_violation"}}
    )
    error = await failure(image_server, pauses)
    assert str(error) == "the image server refuses (HTTP 400, content_policy_violation)"
    assert not error.retryable
    image_server.behavior = says(400, {"error": {"code": "A red apple!"}})
    assert str(await failure(image_server, pauses)) == "the image server refuses (HTTP 400)"


async def test_a_passing_failure_may_be_tried_again_with_the_job(image_server, pauses) -> None:
    image_server.behavior = says(500, {"error": {"message": "out of memory"}})
    assert (await failure(image_server, pauses)).retryable
    image_server.behavior = lambda handler, _: handler.connection.close()
    assert (await failure(image_server, pauses)).retryable
    assert len(image_server.asked) == 2
    assert not pauses.slept


async def test_a_busy_server_is_asked_again_after_what_it_asks_for(image_server, pauses) -> None:
    image_server.behaviors = [
        says(429, {}, Retry_After="3"),
        says(503, {}),
        says(503, {}, Retry_After="soon"),
    ]
    async with client_of(image_server, pauses) as client:
        assert (await client.generate(VALUES)).startswith(b"\x89PNG")
    assert pauses.slept[0] == 3
    assert 1.5 <= pauses.slept[1] <= 2.5
    assert 3 <= pauses.slept[2] <= 5
    assert len(image_server.asked) == TRIES


async def test_a_date_says_how_long_to_wait(image_server, pauses) -> None:
    stamp = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 5))
    image_server.behaviors = [says(503, {}, Retry_After=stamp)]
    async with client_of(image_server, pauses) as client:
        await client.generate(VALUES)
    assert 2 < pauses.slept[0] <= 5


async def test_a_server_that_stays_busy_is_given_up(image_server, pauses) -> None:
    image_server.behavior = says(429, {})
    error = await failure(image_server, pauses)
    assert error.retryable
    assert "busy (HTTP 429)" in str(error)
    assert len(image_server.asked) == TRIES


async def test_nobody_waits_longer_than_the_card_allows(image_server, pauses) -> None:
    image_server.behavior = says(429, {}, Retry_After="86400")
    assert (await failure(image_server, pauses)).retryable
    assert not pauses.slept


async def test_a_server_that_is_not_there_yet_is_asked_again(pauses) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    server = ImageServer(base_url=f"http://127.0.0.1:{port}", model="flux")
    client = ImageClient(server, sleep=pauses)
    with pytest.raises(ImageServerError, match="cannot be reached") as caught:
        await client.generate(VALUES)
    await client.close()
    assert caught.value.retryable
    assert len(pauses.slept) == TRIES - 1


async def test_a_server_that_hangs_is_left_in_time(image_server, pauses) -> None:
    image_server.behavior = image_server.hang
    started = time.monotonic()
    error = await failure(image_server, pauses, timeout_s=1.0)
    assert time.monotonic() - started < 15
    assert error.retryable
    assert "1 s" in str(error)


async def test_a_body_that_does_not_end_is_cut_off(image_server, pauses) -> None:
    sent = 0

    def flood(handler, _asked) -> None:
        nonlocal sent
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.end_headers()
        for _ in range(500):
            handler.wfile.write(b" " * 1_000_000)
            sent += 1_000_000

    image_server.behavior = flood
    error = await failure(image_server, pauses, max_bytes=2_000_000)
    assert "more than 2000000 bytes" in str(error)
    assert not error.retryable
    assert sent < 100_000_000


async def test_a_body_that_announces_too_much_is_not_read(image_server, pauses) -> None:
    def announce(handler, _asked) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(500_000_000))
        handler.end_headers()

    image_server.behavior = announce
    assert "more than" in str(await failure(image_server, pauses, max_bytes=2_000_000))


async def test_an_address_on_the_same_server_is_fetched(image_server, pauses) -> None:
    def by_address(handler, asked) -> None:
        if asked.method == "POST":
            handler.say(200, {"data": [{"url": "/pictures/1.png"}]})
        else:
            handler.send(200, b"a file", "image/png")

    image_server.behavior = by_address
    async with client_of(image_server, pauses) as client:
        assert await client.generate(VALUES) == b"a file"
        image_server.behaviors = [says(200, {"data": [{"url": f"{image_server.url}/pictures/1.png"}]})]
        assert await client.generate(VALUES) == b"a file"
        html = sends(b"<html>", "text/html")
        image_server.behaviors = [says(200, {"data": [{"url": "/pictures/1.png"}]}), html]
        with pytest.raises(ImageServerError, match="something else"):
            await client.generate(VALUES)
        away = says(302, {}, Location="http://192.0.2.1/")
        image_server.behaviors = [says(200, {"data": [{"url": "/pictures/1.png"}]}), away]
        with pytest.raises(ImageServerError, match="elsewhere"):
            await client.generate(VALUES)


async def test_no_more_requests_are_under_way_than_the_card_allows(image_server, pauses) -> None:
    image_server.behavior = image_server.hang
    async with client_of(image_server, pauses, in_flight=2) as client:
        asked = [asyncio.create_task(client.generate(VALUES)) for _ in range(4)]
        await asyncio.to_thread(image_server.arrived.wait, 10)
        await asyncio.sleep(0.3)
        assert len(image_server.asked) == 2
        image_server.gate.set()
        assert len(await asyncio.gather(*asked)) == 4


async def test_the_key_stands_nowhere(image_server, pauses, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    image_server.behaviors = [says(429, {}, Retry_After="1")]
    async with client_of(image_server, pauses, key=KEY) as client:
        await client.generate(VALUES)
        assert KEY not in repr(client) + repr(vars(client)["_key"])
    assert KEY not in caplog.text
    assert "red apple" not in caplog.text


@pytest.mark.parametrize(
    "base_url",
    ["ftp://host/v1", "http://", "host:8080", "http://me:secret@host/v1", "http://host/v1?key=1", "http://host:0",
     "http://host:99999", "http://[", "http://host/#x"],
)  # fmt: skip
def test_an_address_is_plain(base_url: str) -> None:
    with pytest.raises(ValidationError):
        ImageServer(base_url=base_url, model="flux")


def test_the_version_is_filled_in() -> None:
    assert ImageServer(base_url="http://host:8080", model="m").base_url == "http://host:8080/v1"
    assert ImageServer(base_url="https://host/openai/v1/", model="m").base_url == "https://host/openai/v1"


@pytest.mark.parametrize(
    ("url", "serves"),
    [
        ("http://host:8080/a.png", True), ("http://HOST:8080/a.png", True), ("https://host:8080/a", False),
        ("http://host/a.png", False), ("http://host:8081/a", False), ("http://host.evil:8080/a", False),
        ("http://host:8080@evil/a", False), ("http://evil\\@host:8080/a", False),
        ("", False), ("http://u@host:8080/", False), ("http://host:x/", False),
    ],
)  # fmt: skip
def test_an_address_belongs_to_the_server_or_does_not(url: str, serves: bool) -> None:  # noqa: FBT001
    assert ImageServer(base_url="http://host:8080", model="m").serves(url) is serves


def test_fields_and_keys_are_checked() -> None:
    with pytest.raises(ValidationError, match="one name"):
        ImageServer(base_url="http://host", model="m", fields={"seed": "prompt"})
    with pytest.raises(ValidationError, match="one name"):
        ImageServer(base_url="http://host", model="m", fields={"seed": "x", "strength": "x"})
    with pytest.raises(ValidationError):
        ImageServer(base_url="http://host", model="m", fields={"prompt": "x"})
    with pytest.raises(ValidationError, match="never sent"):
        ImageServer(base_url="http://host", model="m", api_key_env="VERSO_DISCORD__TOKEN")
