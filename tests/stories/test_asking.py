"""A member asks for a picture, and what becomes of it."""

from __future__ import annotations

import io
import json
import re

from PIL import Image

from attribution.checkpoint import VerifierKey
from attribution.receipt import Receipt
from bot.conversation import AskCommand, ButtonCommand, CancelCommand, ImagineCommand, WhoMadeCommand


async def test_terms_come_first_and_accepting_draws_the_parked_request(house) -> None:
    reply = await house.say(
        ImagineCommand(origin=house.origin(), prompt="a red apple on a blue plate", seed=7)
    )
    assert [button.name for button in reply.buttons] == ["accept", "decline"]
    assert "What is recorded" in reply.text
    assert reply.private
    assert not house.room.placeholders

    accept = reply.buttons[0]
    stranger = await house.say(ButtonCommand(origin=house.origin("eve"), name="accept", target=accept.target))
    assert "gone" in stranger.text  # another user's button does nothing for its clicker ...
    queued = await house.say(ButtonCommand(origin=house.origin(), name="accept", target=accept.target))
    assert "Queued" in queued.text  # ... and nothing against its owner
    job_id = await house.job_of(queued)
    async with house.drawing():
        settled = await house.app.courier.settled(job_id)

    (post,) = house.room.filled[job_id]
    assert len(house.room.placeholders) == 1
    assert post.images[0].alt_text == "AI-generated picture: a red apple on a blue plate"
    with Image.open(io.BytesIO(post.images[0].data)) as image:
        assert image.size == (512, 512)
    card = {field.label: field.value for field in post.fields}
    assert "sticker" in card["Model"]
    assert card["License"] == "Apache License 2.0"
    assert "apple" in card["Drawn from"]
    assert "receipt" in card["AI-generated"]
    assert [b.name for b in post.buttons] == [
        *("upscale", "upscale4", "vary", "vary_weak", "zoom_out", "reroll", "remix"),
        *("whomade", "credits", "delete"),
    ]

    receipt = settled.images[0].release.receipt
    again = Receipt.from_json(json.dumps(receipt.to_json()))
    again.verify([VerifierKey.parse(house.app.keys.ledger_verifier_key)])
    report = await house.app.ledger.audit()
    assert report.ok, report.problems
    second = await house.imagine("a green pear")
    assert "Queued" in second.text  # asked once only


async def test_the_same_event_is_drawn_once(house) -> None:
    command = ImagineCommand(origin=house.origin(), prompt="a dog", accept_terms=True)
    first, second = await house.say(command), await house.say(command)
    assert await house.job_of(first) == await house.job_of(second)
    assert len(house.room.placeholders) == 1


async def test_going_on_from_a_picture(house) -> None:
    async with house.drawing():
        job_id, post = await house.drawn("a cat", seed=5)
        vary = next(button for button in post.buttons if button.name == "vary")
        varied = await house.say(ButtonCommand(origin=house.origin("bob"), name="vary", target=vary.target))
        assert "person who asked" in varied.text  # another member's picture is not theirs to go on from
        again = await house.say(ButtonCommand(origin=house.origin(), name="reroll", target=job_id))
        other_id = await house.job_of(again)
        await house.app.courier.settled(other_id)
    other = house.room.filled[other_id][0]
    assert other.images[0].data != post.images[0].data

    foreign = house.origin(workspace="room:2")
    refused = await house.say(ButtonCommand(origin=foreign, name="vary", target=vary.target))
    assert "There is no image" in refused.text


async def test_only_the_requester_or_a_moderator_deletes(house) -> None:
    async with house.drawing():
        job_id, _ = await house.drawn("a cat")
    refused = await house.say(ButtonCommand(origin=house.origin("eve"), name="delete", target=job_id))
    assert refused.tone == "warning"
    assert not house.room.removed
    done = await house.say(
        ButtonCommand(origin=house.origin("mod", moderator=True), name="delete", target=job_id)
    )
    assert done.tone == "good"
    assert len(house.room.removed) == 1
    kinds = [str(e.entry.kind) for e in await house.app.ledger.of_job(job_id)]
    assert kinds[-1] == "take_down"


async def test_who_made_this_from_the_file_alone(house) -> None:
    async with house.drawing():
        _, post = await house.drawn("a cat under a night sky")
    file = post.images[0].data
    found = await house.say(WhoMadeCommand(origin=house.origin("bob"), image=file))
    assert "Certain match: Ada" in found.fields[0].label

    with Image.open(io.BytesIO(file)) as image:
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "JPEG", quality=60)
    found = await house.say(WhoMadeCommand(origin=house.origin("bob"), image=buffer.getvalue()))
    assert "Ada" in found.fields[0].label
    assert "pdq" in found.fields[0].value

    elsewhere = await house.say(WhoMadeCommand(origin=house.origin(workspace="room:2"), image=file))
    assert "another workspace" in elsewhere.fields[0].label
    nothing = await house.say(WhoMadeCommand(origin=house.origin(), image=b"no picture"))
    assert nothing.tone == "bad"


async def test_cancelling_costs_nothing_and_removes_the_placeholder(house) -> None:
    reply = await house.imagine("a dog")
    cancelled = await house.say(CancelCommand(origin=house.origin(), job_id=await house.job_of(reply)))
    assert "Cancelled: 1" in cancelled.text
    async with house.drawing():
        await house.app.courier.settled(await house.job_of(reply))
    assert len(house.room.removed) == 1
    quota = await house.say(AskCommand(origin=house.origin(), what="quota"))
    assert "100 of 100" in quota.text


async def test_a_rate_limit_only_delays(house) -> None:
    house.room.rate_limits = 2
    async with house.drawing():
        job_id, _ = await house.drawn("a dog")
    assert len(house.room.filled[job_id]) == 1


async def test_wrong_requests_are_told_what_is_wrong(house) -> None:
    for values, words in (
        ({"prompt": " \u202e "}, "empty"),
        ({"prompt": "x" * 10_000}, "10,000"),
        ({"prompt": "a dog", "count": 9}, "count"),
        ({"prompt": "a dog", "model_id": "nope"}, "no model"),
        ({"prompt": "a dog", "aspect": "1:99"}, "aspects"),
        ({"prompt": "a dog", "seed": -1}, "seed"),
    ):
        prompt = values.pop("prompt")
        reply = await house.imagine(prompt, **values)
        assert words in reply.text
        assert reply.tone == "bad"
    assert not house.room.placeholders


async def test_who_asks_too_often_is_told_when_again(house) -> None:
    asked = [await house.say(WhoMadeCommand(origin=house.origin(), image=b"no picture")) for _ in range(20)]
    assert {reply.tone for reply in asked} == {"bad"}
    for command in (
        WhoMadeCommand(origin=house.origin(), image=b"no picture"),
        ButtonCommand(origin=house.origin(), name="whomade", target="0" * 16),
    ):
        refused = await house.say(command)
        assert refused.tone == "warning"
        assert refused.private
        assert re.search(r"20 times an hour.*again from \d{4}-\d\d-\d\d \d\d:\d\d UTC", refused.text)
    other = await house.say(ButtonCommand(origin=house.origin("bob"), name="whomade", target="0" * 16))
    assert "again from" not in other.text
