"""An in-painted image's bundle holds its picture and its mask, and suffices to draw it again."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attribution.standalone.verify import read_container
from attribution.verify import verify_bundle
from bot.usecases.redraw import check_model, given_of, read_recorded, redraw
from generation.families.tiny import build_tiny_model
from generation.job import ImageRequest


@pytest.fixture
def settings_values(tmp_path: Path) -> dict[str, object]:
    """A house that has, beside its own model, a small one which can in-paint."""
    card = build_tiny_model(tmp_path / "tiny")
    file = tmp_path / "catalog.toml"
    file.write_text(
        f"""[[model]]
id = "tiny"
name = "Tiny"
family = "stable_diffusion"
folder = "{card.folder}"
revision = "1"
weights_sha256 = "{card.weights_sha256}"
license_id = "MIT"
width = 64
height = 64
max_pixels = 4096
default_steps = 4
max_steps = 8
default_guidance = 1.0
"""
    )
    return {"catalog": {"path": file}}


def png(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.timeout(600)
async def test_an_in_painted_image_is_replayed_from_its_bundle_alone(house) -> None:
    app, origin = house.app, house.origin()
    left = np.zeros((64, 64), dtype=np.uint8)
    left[:, :40] = 255
    shades = np.linspace(40, 220, 64).astype(np.uint8)
    source = png(np.stack([np.tile(shades, (64, 1)), np.tile(shades[:, None], (1, 64)), left // 2], axis=-1))
    mask = png(left)
    await app.imagine.accept_terms(origin, model_id="tiny")
    subject = await app.vault.subject("room", origin.workspace_id, "ada")
    blobs = [await app.blobs.put(await app.vault.seal(subject, one)) for one in (source, mask)]
    request = ImageRequest(
        prompt="a red apple",
        model_id="tiny",
        width=64,
        height=64,
        seed=3,
        num_inference_steps=4,
        guidance_scale=1.0,
        source_blob=blobs[0],
        mask_blob=blobs[1],
    )
    submission = await app.queue.submit(
        request,
        workspace_id=origin.workspace_id,
        user_id=subject,
        reply_to=origin.to_bytes(),
        dedupe_key="room:masked",
    )
    async with house.drawing():
        await app.courier.settled(submission.job.id)
    (made,) = await app.releases.of_job(submission.job.id)
    bundle = await app.evidence.collect(origin, made.image_id)
    assert verify_bundle(bundle, app.ledger.verifier_key).ok
    members, _ = read_container(bundle)
    assert (members["source.png"], members["mask.png"]) == (source, mask)

    for blob in blobs:
        await app.blobs.delete(blob)  # the bundle suffices
    recorded = read_recorded(bundle)
    check_model(app.catalog, recorded)
    given = await given_of(recorded, blobs=app.blobs, vault=app.vault)
    engine = app.engine()
    try:
        again = await redraw(engine, recorded, given=given)
        other = await redraw(engine, recorded, given=replace(given, mask=png(255 - left)))
    finally:
        await engine.close()
    assert again.same
    assert not other.same  # the mask counts
