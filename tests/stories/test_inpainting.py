"""A part of a picture drawn anew: the mask is a stranger's file, and the model must be one that can."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bot.conversation import VaryCommand
from bot.settings import CatalogFile
from generation.families.tiny import build_tiny_model

CARD = """
[[model]]
id = "tiny"
name = "Tiny"
family = "stable_diffusion"
folder = "tiny"
revision = "1"
weights_sha256 = "{digest}"
license_id = "Apache-2.0"
width = 128
height = 128
max_pixels = 65536
default_steps = 3
max_steps = 10
default_guidance = 4.0
"""


@pytest.fixture
def settings_values(tmp_path: Path) -> dict[str, object]:
    card = build_tiny_model(tmp_path / "tiny")
    file = tmp_path / "catalog.toml"
    file.write_text(CARD.format(digest=card.weights_sha256))
    return {"catalog": CatalogFile(path=file)}


def mask_of(size: tuple[int, int] = (128, 128), *, white: bool = True) -> bytes:
    gray = np.zeros((size[1], size[0]), np.uint8)
    gray[:, : size[0] // 2] = 255 * white
    out = io.BytesIO()
    Image.fromarray(gray).save(out, "PNG")
    return out.getvalue()


async def test_a_mask_says_what_is_drawn_anew(house) -> None:
    app = house.app
    stored = app.blobs

    def command(user: str = "ada", **values: object) -> VaryCommand:
        return VaryCommand(origin=house.origin(user), image_id=image_id, **{"mask": mask_of(), **values})

    async with house.drawing():
        _, post = await house.drawn("a red apple")
        image_id = next(button for button in post.buttons if button.name == "vary").target  # a sticker
        assert "cannot draw a part" in (await house.say(command())).text

        job_id = await house.job_of(await house.imagine("a red apple", model_id="tiny"))
        settled = await app.courier.settled(job_id)
        image_id = settled.images[0].release.image_id

        for values, words in (
            ({"mask": mask_of(white=False)}, "marks nothing"),
            ({"mask": mask_of((128, 64))}, "shape of the picture"),
            ({"mask": b"no picture"}, ""),
            ({"user": "eve"}, "person who asked"),
            ({"strength": 7.0}, "above 0"),
        ):
            reply = await house.say(command(**values))
            assert words in reply.text
            assert not [button for button in reply.buttons if button.name == "cancel"], words

        new_id = await house.job_of(await house.say(command(prompt="a green apple")))
        await app.courier.settled(new_id)
    job = await app.queue.get(new_id)
    assert (job.request.step, job.request.prompt, job.request.strength) == ("inpaint", "a green apple", None)
    mask = await app.vault.unseal(job.user_id, await stored.get(job.request.mask_blob))
    assert (np.asarray(Image.open(io.BytesIO(mask)))[:, :64] == 255).all()
    (result,) = await app.queue.results(new_id)
    profile = json.loads(json.dumps(dict(result.profile)))
    assert (profile["mask"], profile["source"]) == (True, True)
    accepted = next(
        entry for entry in await app.ledger.of_job(new_id) if entry.entry.kind.value == "job_accepted"
    )
    opened = (await app.ledger.openings([accepted.entry.id]))[accepted.entry.id]
    assert opened.fields["mask"] == job.request.mask_blob
