"""Blocks, holds, appeals and the people who decide them."""

from __future__ import annotations

from bot.conversation import AskCommand, ButtonCommand, ReviewCommand

BLOCKED = "a naked woman having sex, explicit pornographic scene"
HELD = "mugshot of Taylor Swift"


async def test_a_block_is_private_names_its_clause_and_can_be_appealed(house) -> None:
    reply = await house.imagine(BLOCKED)
    assert reply.private
    assert "pornographic" not in reply.text + "".join(field.value for field in reply.fields)
    labels = {field.label: field.value for field in reply.fields}
    assert labels["Reason"] == "sexual content"
    assert labels["Rule"]
    appeal = next(button for button in reply.buttons if button.name == "appeal")
    assert appeal.ask

    sent = await house.say(
        ButtonCommand(origin=house.origin(), name="appeal", target=appeal.target, text="It is for a study.")
    )
    assert "at the latest by" in sent.text
    twice = await house.say(
        ButtonCommand(origin=house.origin(), name="appeal", target=appeal.target, text="Again!")
    )
    assert twice.tone == "bad"

    mod = house.origin("mod", moderator=True)
    waiting = await house.say(ReviewCommand(origin=mod, step="list"))
    assert BLOCKED in waiting.fields[0].value
    review_id = waiting.fields[0].label.split()[0]
    upheld = await house.say(
        ReviewCommand(
            origin=house.origin("mod", moderator=True), step="uphold", review_id=review_id, reason="Not here."
        )
    )
    assert upheld.tone == "good"
    _, notice = house.room.notices[-1]
    assert "Not here." in notice.text


async def test_an_approved_hold_runs_with_its_parameters_and_no_quota(house) -> None:
    reply = await house.imagine(HELD, seed=11)
    assert "moderator" in reply.title
    mod = house.origin("mod", moderator=True)
    waiting = await house.say(ReviewCommand(origin=mod, step="list"))
    review_id = waiting.fields[0].label.split()[0]
    member = await house.say(ReviewCommand(origin=house.origin("eve"), step="approve", review_id=review_id))
    assert member.text == "Only moderators can do this."

    async with house.drawing():
        await house.say(
            ReviewCommand(origin=house.origin("mod", moderator=True), step="approve", review_id=review_id)
        )
        job = await house.app.queue.find(f"review:{review_id}")
        assert job is not None
        assert (job.request.seed, job.request.prompt) == (11, HELD)
        await house.app.courier.settled(job.id)
    late = await house.say(
        ReviewCommand(origin=house.origin("mod2", moderator=True), step="uphold", review_id=review_id)
    )
    assert "already decided" in late.text


async def test_another_workspace_sees_nothing_of_it(house) -> None:
    await house.imagine(HELD)
    foreign = house.origin("mod", moderator=True, workspace="room:2")
    waiting = await house.say(ReviewCommand(origin=foreign, step="list"))
    assert waiting.text == "Nothing waits for a decision."


async def test_repeated_blocks_lead_to_a_pause(house) -> None:
    for _ in range(3):
        reply = await house.imagine(BLOCKED)
    assert "you can ask again from" in reply.text
    paused = await house.imagine("a red apple")
    assert paused.title == "Pause"
    quota = await house.say(AskCommand(origin=house.origin(), what="quota"))
    assert "100 of 100" in quota.text


async def test_who_is_timed_out_waits_for_nothing_any_more(house) -> None:
    waiting = await house.job_of(await house.imagine("a red apple"))
    bobs = await house.job_of(await house.imagine("a red apple", user="bob"))
    for _ in range(3):
        await house.imagine(BLOCKED)
    assert (await house.app.queue.get(waiting)).status == "cancelled"
    assert (await house.app.queue.get(bobs)).status == "queued"


async def test_a_moderators_time_out_cancels_what_waits(house) -> None:
    await house.imagine(HELD)
    waiting = await house.job_of(await house.imagine("a red apple"))
    (review,) = await house.app.reviews.pending("room:1")
    mod = house.origin("mod", moderator=True)
    await house.say(ReviewCommand(origin=mod, step="timeout", review_id=review.id, reason="Enough."))
    assert (await house.app.queue.get(waiting)).status == "cancelled"
    paused = await house.imagine("a red apple")
    assert paused.title == "Pause"
