"""Rights holders: what they protect, what is found again, and what is taken down."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from bot.conversation import ButtonCommand
from bot.errors import UsageError
from bot.usecases.protect import ProtectRequest
from bot.usecases.review import NotModerator
from moderation.errors import TakedownError
from moderation.types import Action

NAME = "Marlo Quibblestone"
PROMPT = "a red apple for Marlo Quibblestone"


def request(kind="name", term=NAME, **values) -> ProtectRequest:
    return ProtectRequest(
        kind=kind, term=term, requested_by="The Quibble estate", reason="no likeness", **values
    )


def mod(house, workspace="room:1"):
    return house.origin("mod", moderator=True, workspace=workspace)


async def test_a_protected_name_counts_at_once_and_only_here(house) -> None:
    refused = await house.app.protect.add(house.origin("eve"), request())
    assert isinstance(refused, NotModerator)
    before = await house.imagine(PROMPT)
    assert before.tone == "good"
    added = await house.app.protect.add(mod(house), request(action=Action.BLOCK))
    assert added.takedown is None  # nothing was drawn yet
    after = await house.imagine(PROMPT.upper())
    assert after.tone == "bad"
    assert {field.label: field.value for field in after.fields}["Rule"].startswith(
        "A person or rights holder"
    )
    assert NAME.lower() not in str(after).lower()
    elsewhere = await house.imagine(PROMPT, origin=house.origin(workspace="room:2"))
    assert elsewhere.tone == "good"
    await house.app.protect.remove(mod(house), added.entry.id)
    again = await house.imagine(PROMPT)
    assert again.tone == "good"


async def test_past_pictures_are_found_taken_down_and_never_shown_again(house) -> None:
    app = house.app
    async with house.drawing():
        job, post = await house.drawn(PROMPT, seed=5)
        copy, _ = await house.drawn(PROMPT, seed=5, user="bob")
        other, _ = await house.drawn("a blue teapot", seed=6)
        added = await app.protect.add(mod(house), request())
        assert added.searched == 3
        assert {item.job_id for item in added.takedown.items} == {job, copy}

        foreign = mod(house, workspace="room:2")
        with pytest.raises(TakedownError):
            await app.take_down.confirm(foreign, added.takedown.id)
        assert await app.take_down.pending(foreign) == ()
        first = next(item for item in added.takedown.items if item.job_id == job)
        with pytest.raises(UsageError):
            await app.take_down.confirm(mod(house), added.takedown.id, only=["0000000000000000"])
        done = await app.take_down.confirm(mod(house), added.takedown.id, only=[first.image_id])
        # Bob's has the same pixels: it goes, too.
        assert {item.job_id for item in done.takedown.items if item.status == "confirmed"} == {job, copy}
        await app.courier.drain()

    assert len(house.room.removed) == 2
    for job_id in (job, copy):
        kinds = [str(entry.entry.kind) for entry in await app.ledger.of_job(job_id)]
        assert kinds.count("take_down") == 1
        drawn = await app.queue.get(job_id)
        assert (await app.finisher.of_job(drawn))[0] == ()
    titles = [(origin.user_id, reply.title) for origin, reply in house.room.notices]
    assert sorted(titles) == [
        ("ada", "A picture of yours was taken down"),
        ("bob", "A picture of yours was taken down"),
    ]
    ada = await app.vault.find("room", "room:1", "ada")
    shown = [one.release.image_id for one in await app.accounts.pictures(ada) if one.png is not None]
    assert shown == [release.image_id for release in await app.releases.of_job(other)]
    vary = next(button for button in post.buttons if button.name == "vary")
    gone = await house.say(ButtonCommand(origin=house.origin(), name="vary", target=vary.target))
    assert "There is no image" in gone.text
    assert await app.take_down.pending(mod(house)) == ()
    assert (await app.ledger.audit()).ok


async def test_a_removal_survives_a_platform_that_fails(house) -> None:
    app = house.app
    async with house.drawing():
        job, _ = await house.drawn("a red apple", seed=5)
    (release,) = await app.releases.of_job(job)
    takedown = await app.take_down.open_(
        mod(house), [release.image_id], requested_by="somebody", reason="mine"
    )
    house.room.broken_removals = 1
    await app.take_down.confirm(mod(house), takedown.id)
    await app.courier.drain()
    assert house.room.removed == []
    (waiting,) = await app.take_down.pending(mod(house))
    assert waiting.status == "confirmed"
    await house.later()
    await app.courier.drain()
    assert len(house.room.removed) == 1
    assert await app.take_down.pending(mod(house)) == ()
    assert len([reply for _, reply in house.room.notices if "taken down" in reply.title]) == 1


async def test_only_the_operator_takes_down_copies_elsewhere(house) -> None:
    app = house.app
    async with house.drawing():
        job, _ = await house.drawn("a red apple", seed=5)
        there, _ = await house.drawn("a red apple", seed=5, origin=house.origin("zoe", workspace="room:2"))
    (release,) = await app.releases.of_job(job)
    takedown = await app.take_down.open_(mod(house), [release.image_id], requested_by="x", reason="y")
    done = await app.take_down.confirm(mod(house), takedown.id)
    assert done.elsewhere == 1
    drawn = await app.queue.get(there)
    assert len((await app.finisher.of_job(drawn))[0]) == 1


async def test_a_protected_picture_finds_its_likeness_and_stops_the_next(house) -> None:
    app = house.app
    async with house.drawing():
        job, post = await house.drawn("a red apple on a blue plate", seed=5)
        with Image.open(io.BytesIO(post.images[0].data)) as image:
            buffer = io.BytesIO()
            image.convert("RGB").save(buffer, "JPEG", quality=70)
        added = await app.protect.add(
            mod(house), request(kind="image", term="my print", image=buffer.getvalue(), action=Action.BLOCK)
        )
        assert [item.job_id for item in added.takedown.items] == [job]
        blank = io.BytesIO()
        Image.new("RGB", (64, 64), "white").save(blank, "PNG")
        with pytest.raises(UsageError, match="too flat"):
            await app.protect.add(mod(house), request(kind="image", term="x", image=blank.getvalue()))

        reply = await house.imagine("a red apple on a blue plate", seed=5, user="bob")
        settled = await app.courier.settled(await house.job_of(reply))
    assert settled.images == ()
    assert settled.verdicts[0].gravest.rule == "protected"
    raw = b"".join(path.read_bytes() for path in house.settings.data_dir.glob("verso.db*"))
    assert buffer.getvalue()[100:200] not in raw  # only the fingerprint is kept
