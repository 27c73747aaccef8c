"""A model on an image server, through the whole house: terms, progress, record, and what a replay says."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from attribution.errors import EvidenceError
from bot.settings import CatalogFile
from bot.usecases.redraw import read_recorded

CARD = """
[[model]]
id = "served"
name = "Served"
family = "openai_images"
revision = "as deployed"
license_id = "Apache-2.0"
width = 64
height = 64
max_pixels = 65536
default_steps = 8
max_steps = 50
default_guidance = 4.0
[model.server]
base_url = "{url}"
model = "flux"
{more}
[model.server.fields]
seed = "seed"
"""


@pytest.fixture
def settings_values(image_server, tmp_path: Path) -> dict[str, object]:
    file = tmp_path / "catalog.toml"
    file.write_text(CARD.format(url=image_server.url, more=""))
    return {"catalog": CatalogFile(path=file)}


async def test_a_served_picture_is_posted_and_its_record_says_who_drew_it(house, image_server) -> None:
    app = house.app
    image_server.behavior = image_server.hang
    async with house.drawing():
        reply = await house.imagine("a red apple", model_id="served", seed=7)
        job_id = await house.job_of(reply)
        for _ in range(400):
            if any(news.elsewhere_s is not None for news in house.room.progress):
                break
            await asyncio.sleep(0.05)
        news = next(news for news in house.room.progress if news.elsewhere_s is not None)
        assert news.text.startswith("Waiting for the image server, ")
        assert news.fraction == 0
        image_server.gate.set()
        settled = await app.courier.settled(job_id)
    (image,) = settled.images
    assert image_server.asked[0].values["prompt"] == "a red apple"
    assert image_server.asked[0].values["seed"] == 7
    with Image.open(io.BytesIO(image.png)) as picture:
        assert picture.size == (64, 64)
    details = await app.releases.details(image.release.image_id)
    profile = json.loads(details.profile)
    assert profile["replayable"] is False
    assert "no part of this program" in profile["not_replayable_because"]
    post = house.room.filled[job_id][0]
    assert "zoom_out" not in [one.name for one in post.buttons]  # the card claims no edits
    bundle = await app.evidence.collect(house.origin(), image.release.image_id)
    with pytest.raises(EvidenceError, match="image server"):
        read_recorded(bundle)
    assert (await app.ledger.audit()).ok


async def test_what_the_server_refuses_for_good_is_not_asked_again(house, image_server) -> None:
    image_server.behavior = lambda handler, _: handler.say(
        400, {"error": {"message": "a red apple is not allowed", "code": "content_policy_violation"}}
    )
    async with house.drawing():
        job_id = await house.job_of(await house.imagine("a red apple", model_id="served"))
        await house.app.courier.settled(job_id)
    job = await house.app.queue.get(job_id)
    assert (job.status, job.error_code) == ("failed", "image_server")
    assert len(image_server.asked) == 1


def verso(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VERSO_")}
    environment |= {"VERSO_DATA_DIR": str(folder / "data"), **more}
    return subprocess.run(  # noqa: S603 - our own interpreter, our own arguments
        [sys.executable, "-m", "bot", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        timeout=240,
        check=False,
    )


@pytest.mark.timeout(600)
def test_operators_see_whether_the_server_answers(image_server, tmp_path: Path) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(CARD.format(url=image_server.url, more='api_key_env = "IMAGE_KEY"'))
    catalog = {"VERSO_CATALOG__PATH": str(file), "COLUMNS": "200"}
    shown = verso(tmp_path, "models", "show", "served", IMAGE_KEY="sk-hidden", **catalog)
    assert shown.returncode == 0, shown.stderr
    assert "answers, lists 1 model; its API key goes there unencrypted" in " ".join(shown.stdout.split())
    assert "cannot be replayed" in " ".join(shown.stdout.split())
    assert "sk-hidden" not in shown.stdout + shown.stderr
    assert image_server.asked[0].headers["Authorization"] == "Bearer sk-hidden"
    assert image_server.asked[0].path == "/v1/models"
    unset = verso(tmp_path, "models", "show", "served", **catalog)
    assert "IMAGE_KEY" in unset.stdout
    (tmp_path / ".env").write_text("IMAGE_KEY=sk-from-a-file\n")
    image_server.behavior = lambda handler, _: handler.send(500, b"<html>", "text/html")
    broken = verso(tmp_path, "models", "show", "served", **catalog)
    assert "the image server refuses (HTTP 500)" in " ".join(broken.stdout.split())
    assert image_server.asked[-1].headers["Authorization"] == "Bearer sk-from-a-file"
    refused = verso(tmp_path, "models", "profile", "served", **catalog)
    assert refused.returncode == 2
    assert "nothing to measure" in refused.stderr
