"""A picture that the image check is not sure about: a moderator looks, and both answers are told."""

from __future__ import annotations

import pytest

from bot.conversation import AskCommand, ReviewCommand
from bot.usecases.protect import ProtectRequest
from moderation.errors import AlreadyDecidedError

PROMPT = "a red apple on a blue plate"


def mod(house, workspace="room:1"):
    return house.origin("mod", moderator=True, workspace=workspace)


async def held(house) -> tuple[str, str]:
    """Draw a picture, protect it, let somebody draw it again: the job and the review of the second."""
    _, post = await house.drawn(PROMPT, seed=5)
    await house.app.protect.add(
        mod(house),
        ProtectRequest(
            kind="image", term="a print", image=post.images[0].data, requested_by="its maker", reason="mine"
        ),
    )
    job_id = await house.job_of(await house.imagine(PROMPT, seed=5, user="bob"))
    settled = await house.app.courier.settled(job_id)
    assert settled.images == ()
    (review_id,) = settled.reviews
    return job_id, review_id


async def test_a_moderator_sees_it_and_lets_it_pass_with_the_original_card(house) -> None:
    app = house.app
    async with house.drawing():
        job_id, review_id = await held(house)
        assert house.room.notices[-1][1].title == "A moderator takes a look at the picture"
        assert job_id not in house.room.filled

        job = await app.queue.get(job_id)
        again = await app.finisher.finish(job, house.origin("bob"))  # as after a crash
        assert again[0] == ()
        assert len(await app.reviews.pending("room:1")) == 1

        shown = await house.say(ReviewCommand(origin=mod(house), step="show", review_id=review_id))
        assert shown.private
        assert shown.images[0].data.startswith(b"\x89PNG")
        member = await house.say(ReviewCommand(origin=house.origin("eve"), step="show", review_id=review_id))
        foreign = await house.say(
            ReviewCommand(origin=mod(house, "room:2"), step="show", review_id=review_id)
        )
        assert (member.images, foreign.images) == ((), ())

        answer = await house.say(ReviewCommand(origin=mod(house), step="approve", review_id=review_id))
        assert "being posted" in answer.text
        await app.courier.drain()
        while not await app.courier._outbox.is_done(job_id):
            await app.courier.drain()

    (release,) = await app.releases.of_job(job_id)
    (post,) = house.room.filled[release.image_id]
    assert {field.label for field in post.fields} >= {"Model", "License"}
    assert not post.private
    kinds = [str(entry.entry.kind) for entry in await app.ledger.of_job(job_id)]
    assert kinds == ["prompt_submitted", "job_accepted", "image_released", "posted"]
    bob = await app.vault.find("room", "room:1", "bob")
    assert "appeal_decided" in [line.kind for line in (await app.accounts.show(bob)).lines]
    quota = await house.say(AskCommand(origin=house.origin("bob"), what="quota"))
    assert "99 of 100" in quota.text  # the picture that was asked for, once
    with pytest.raises(AlreadyDecidedError):
        await app.review_room.decide(mod(house), review_id, step="uphold", reason="")
    late = await house.say(ReviewCommand(origin=mod(house), step="show", review_id=review_id))
    assert late.images == ()  # decided: nobody needs to look again


async def test_an_upheld_picture_is_told_and_never_shown(house) -> None:
    app = house.app
    async with house.drawing():
        job_id, review_id = await held(house)
        await house.say(
            ReviewCommand(origin=mod(house), step="uphold", review_id=review_id, reason="Too close.")
        )
        origin, notice = house.room.notices[-1]
        assert (origin.user_id, notice.title) == ("bob", "Not approved")
        assert "Too close." in notice.text
        await app.courier.drain()
    assert await app.releases.of_job(job_id) == ()
    settled = await app.courier.settled(job_id)
    assert (settled.images, settled.reviews) == ((), ())
    assert [verdict.action.name for verdict in settled.verdicts] == ["BLOCK"]


async def test_what_nobody_decides_in_time_is_told(house) -> None:
    app = house.app
    async with house.drawing():
        _, review_id = await held(house)
    assert await app.review_room.expire() == ()
    async with app.database.begin() as connection:
        from moderation.tables import reviews

        await connection.execute(reviews.update().values(deadline_ms=1))
    (view,) = await app.review_room.expire()
    assert (view.review.id, view.review.status, view.command.prompt) == (review_id, "expired", PROMPT)
    assert await app.review_room.expire() == ()
