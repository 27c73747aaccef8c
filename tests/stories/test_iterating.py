"""Going on from a picture: each step is screened, counted and recorded, and only its requester takes it."""

from __future__ import annotations

import io
import json
from dataclasses import replace

from PIL import Image

from attribution.lineage import Lineage
from bot.conversation import (
    BlendCommand,
    ButtonCommand,
    DescribeCommand,
    UpscaleCommand,
    VaryCommand,
)


def png(color: tuple[int, int, int], *, size: tuple[int, int] = (200, 120)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, color).save(out, "PNG")
    return out.getvalue()


def button(post, name: str):
    return next(one for one in post.buttons if one.name == name)


async def finished(house, reply):
    job_id = await house.job_of(reply)
    settled = await house.app.courier.settled(job_id)
    return job_id, settled, house.room.filled[job_id][0]


async def test_a_grid_is_ranked_and_every_step_from_it_is_in_the_lineage(house) -> None:
    app = house.app
    async with house.drawing():
        job_id, grid = await house.drawn("a red apple", count=2, seed=4)
        settled = await app.courier.settled(job_id)
        assert sorted(image.rank for image in settled.images) == [1, 2]
        assert all(-1 <= image.similarity <= 1 for image in settled.images)
        assert "By likeness to the words" in grid.text
        first, second = (image.release.image_id for image in settled.images)
        assert [b.label for b in grid.buttons if b.name == "upscale"] == ["U1", "U2"]

        up_id, up, post = await finished(
            house, await house.say(UpscaleCommand(origin=house.origin(), image_id=first))
        )
        with Image.open(io.BytesIO(post.images[0].data)) as image:
            assert image.size == (1024, 1024)
        assert "Real-ESRGAN" in post.text
        assert up.images[0].credits == settled.images[0].credits  # it rests on the same pictures
        profile = json.loads((await app.releases.details(up.images[0].release.image_id)).profile)
        assert profile["family"] == "upscale"
        again = await house.say(
            UpscaleCommand(origin=house.origin(), image_id=up.images[0].release.image_id, factor=4)
        )
        assert "2048" in again.text

        weak = ButtonCommand(origin=house.origin(), name="vary_weak", target=first)
        one, two = await house.say(weak), await house.say(replace(weak, origin=house.origin()))
        assert await house.job_of(one) == await house.job_of(two)  # a double click is one picture
        weak_id, varied, _ = await finished(house, one)
        assert varied.images[0].credits == settled.images[0].credits
        assert varied.images[0].release.pixels_sha256 != settled.images[0].release.pixels_sha256

        blend_id, blended, _ = await finished(
            house, await house.say(BlendCommand(origin=house.origin(), first=first, second=second))
        )
    report = app.finisher.stamper._credentials.read(varied.images[0].png)
    assert report.valid
    assert "source" in report.ingredients  # C2PA: the parent with its own manifest
    report = app.finisher.stamper._credentials.read(blended.images[0].png)
    named = "\n".join(report.ingredients)
    assert f"verso-{first}.png by" in named
    assert f"verso-{second}.png by" in named

    lineage = Lineage(app.ledger)
    for step_job, parents in ((up_id, [first]), (weak_id, [first]), (blend_id, [first, second])):
        timeline = await lineage.of_job(step_job)
        assert timeline.jobs == (step_job, job_id)
        chosen = [s.public["image_id"] for s in timeline.steps if s.kind == "candidate_chosen"]
        assert chosen == parents
        shown = [s for s in timeline.steps if s.kind == "candidate_shown"]
        assert [s.public["image_id"] for s in shown] == [first, second]
        assert {s.hidden["rank"] for s in shown} == {"1", "2"}
    assert (await app.ledger.audit()).ok


async def test_other_peoples_buttons_are_refused_politely(house) -> None:
    async with house.drawing():
        _, post = await house.drawn("a cat")
    before = len(house.room.placeholders)
    for one in post.buttons:
        if one.name in {"vary", "vary_weak", "upscale", "upscale4", "reroll", "remix"}:
            reply = await house.say(
                ButtonCommand(origin=house.origin("eve"), name=one.name, target=one.target, text="a dog")
            )
            assert "person who asked" in reply.text, one.name
    assert len(house.room.placeholders) == before


async def test_remix_keeps_the_seed_and_screens_the_new_words(house) -> None:
    async with house.drawing():
        job_id, post = await house.drawn("a cat", seed=11)
        remix = button(post, "remix")
        assert (remix.target, remix.given) == (job_id, "a cat")
        assert remix.ask
        new_id, _, _ = await finished(
            house,
            await house.say(ButtonCommand(origin=house.origin(), name="remix", target=job_id, text="a dog")),
        )
    job = await house.app.queue.get(new_id)
    assert (job.request.prompt, job.request.seed, job.request.step) == ("a dog", 11, "remix")
    refused = await house.say(
        ButtonCommand(origin=house.origin(), name="remix", target=job_id, text="a naked woman")
    )
    assert refused.tone == "bad"


async def test_what_is_gone_is_said_to_be_gone(house) -> None:
    async with house.drawing():
        job_id, post = await house.drawn("a cat")
    image_id = button(post, "vary").target
    await house.say(ButtonCommand(origin=house.origin(), name="delete", target=job_id))
    reply = await house.say(VaryCommand(origin=house.origin(), image_id=image_id))
    assert "deleted" in reply.text
    assert "no image" in (await house.say(VaryCommand(origin=house.origin(), image_id="0" * 16))).text
    subject = (await house.app.releases.get(image_id)).subject
    await house.app.accounts.erase(subject)
    reply = await house.say(UpscaleCommand(origin=house.origin(), image_id=image_id))
    assert "erased" in reply.text


async def test_a_blend_of_files_needs_words_and_passes_the_image_check(house) -> None:
    command = BlendCommand(origin=house.origin(), first=png((200, 30, 30)), second=png((30, 30, 200)))
    assert "in words" in (await house.say(command)).text
    broken = await house.say(replace(command, second=b"no picture"))
    assert broken.tone == "bad"


async def test_a_description_says_what_it_cannot_tell(house) -> None:
    reply = await house.say(DescribeCommand(origin=house.origin(), image=png((218, 50, 48))))
    said = {field.label: field.value for field in reply.fields}
    assert said["File"].startswith("PNG, 200 x 120 px")
    assert said["Colors"].startswith("red 100%")
    assert said["Text in it"] == "none that I can read"
    assert "who a person is" in reply.text
    async with house.drawing():
        _, post = await house.drawn("a red apple")
    reply = await house.say(DescribeCommand(origin=house.origin(), image=post.images[0].data))
    said = {field.label: field.value for field in reply.fields}
    assert "apple" in said["Looks most like"]
    assert "no picture" not in reply.text
    assert (await house.say(DescribeCommand(origin=house.origin(), image=b"x"))).tone == "bad"
