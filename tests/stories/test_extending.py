"""What lies around a picture: asked for by button and command, by its owner alone, and recorded."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
from PIL import Image

from attribution.lineage import Lineage
from bot.conversation import ButtonCommand, ExtendCommand
from bot.usecases.extend import ZOOM
from bot.usecases.redraw import Given, read_recorded, redraw
from generation.outpainting import lay_out


def button(post, name: str):
    return next(one for one in post.buttons if one.name == name)


async def finished(house, reply):
    job_id = await house.job_of(reply)
    settled = await house.app.courier.settled(job_id)
    return job_id, settled, house.room.filled[job_id][0]


async def drawn_pixels(house, job_id: str) -> np.ndarray:
    job = await house.app.queue.get(job_id)
    (stored,) = await house.app.queue.results(job_id)
    png = await house.app.vault.unseal(job.user_id, await house.app.blobs.get(stored.blob))
    return np.asarray(Image.open(io.BytesIO(png)))


async def test_the_button_keeps_the_picture_and_draws_around_it(house) -> None:
    app = house.app
    app.iterate.clicks._monotonic = lambda: 0.0  # a busy machine may need longer than a double click
    async with house.drawing():
        job_id, post = await house.drawn("a red apple", seed=4)
        zoom = button(post, "zoom_out")
        assert (zoom.label, zoom.ask) == ("Zoom out", "")
        click = ButtonCommand(origin=house.origin(), name="zoom_out", target=zoom.target)
        one, two = await house.say(click), await house.say(replace(click, origin=house.origin()))
        assert await house.job_of(one) == await house.job_of(two)  # a double click is one picture
        out_id, settled, wider_post = await finished(house, one)
        assert button(wider_post, "zoom_out").target != zoom.target  # and on from there

        sides = ExtendCommand(origin=house.origin(), image_id=zoom.target, sides=(120, 0, 128, 0))
        wide_id, _, _ = await finished(house, await house.say(sides))
        refused = await house.say(replace(sides, origin=house.origin(), sides=(600, 0, 600, 0)))
        assert "Add less, or zoom out instead" in refused.text

    job = await app.queue.get(out_id)
    assert (job.request.step, job.request.width, job.request.height) == ("extend", 512, 512)
    left, _, right, _ = job.request.extend
    assert abs((512 - left - right) - 512 / ZOOM) <= 4
    canvas = lay_out(await drawn_pixels(house, job_id), job.request)
    result = await drawn_pixels(house, out_id)
    kept = canvas.keep == 1
    assert np.array_equal(result[kept], canvas.pixels[kept])
    assert not np.array_equal(result, canvas.pixels)

    wide = (await app.queue.get(wide_id)).request
    assert (wide.width, wide.height, wide.extend) == (768, 512, (120, 0, 136, 0))  # on the latents' grid
    before, after = await drawn_pixels(house, job_id), await drawn_pixels(house, wide_id)
    assert np.array_equal(after[:, 120 + 32 : 632 - 32], before[:, 32:-32])

    timeline = await Lineage(app.ledger).of_job(out_id)
    assert timeline.jobs == (out_id, job_id)
    (chosen,) = [step for step in timeline.steps if step.kind == "candidate_chosen"]
    assert chosen.public["step"] == "extend"
    assert chosen.hidden["extend"] == ",".join(map(str, job.request.extend))
    accepted = next(
        step for step in timeline.steps if step.kind == "job_accepted" and step.public["job_id"] == out_id
    )
    assert accepted.hidden["extend"] == ",".join(map(str, job.request.extend))
    assert accepted.hidden["source"] == job.request.source_blob
    image = settled.images[0].release.image_id
    profile = json.loads((await app.releases.details(image)).profile)
    assert profile["extend"] == list(job.request.extend)
    assert (await app.ledger.audit()).ok

    recorded = read_recorded(await app.evidence.collect(house.origin(), image))
    assert recorded.request.extend == job.request.extend
    engine = app.engine()
    source = await app.vault.unseal(job.user_id, await app.blobs.get(job.request.source_blob))
    try:
        assert (await redraw(engine, recorded, given=Given(source=source))).same
    finally:
        await engine.close()


async def test_it_is_refused_to_others_and_where_it_makes_no_sense(house) -> None:
    async with house.drawing():
        _, post = await house.drawn("a cat")
    image_id = button(post, "zoom_out").target
    before = len(house.room.placeholders)
    for command, words in (
        (ButtonCommand(origin=house.origin("eve"), name="zoom_out", target=image_id), "person who asked"),
        (ExtendCommand(origin=house.origin(), image_id=image_id), "Say how much"),
        (ExtendCommand(origin=house.origin(), image_id=image_id, zoom=1.5, aspect="3:2"), "Say how much"),
        (ExtendCommand(origin=house.origin(), image_id=image_id, zoom=1.0), "above 1"),
        (ExtendCommand(origin=house.origin(), image_id=image_id, zoom=float("nan")), "above 1"),
        (ExtendCommand(origin=house.origin(), image_id=image_id, aspect="1:1"), "this shape already"),
        (ExtendCommand(origin=house.origin(), image_id=image_id, aspect="7:1"), "aspects"),
        (ExtendCommand(origin=house.origin(), image_id=image_id, sides=(0, 0, 0, 0)), "at least one side"),
        (ExtendCommand(origin=house.origin(), image_id=image_id, sides=(-8, 0, 8, 0)), "at least one side"),
        (ExtendCommand(origin=house.origin(), image_id="0" * 16, zoom=2.0), "no image"),
    ):
        assert words in (await house.say(command)).text, words
    wanted = ExtendCommand(origin=house.origin(), image_id=image_id, zoom=2.0, prompt="a naked woman")
    assert (await house.say(wanted)).tone == "bad"  # the words are screened like any
    assert len(house.room.placeholders) == before
