"""One's own record in one's own hands, and moderators who look at it with a reason."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from sqlalchemy import text

from bot.conversation import AskCommand, ButtonCommand, ModerationCommand
from bot.nearest import recorded

WORDS = 'an apple <img src=x onerror="alert(1)">'


async def test_a_copy_of_ones_data_opens_and_holds_everything(house) -> None:
    async with house.drawing():
        job_id, post = await house.drawn(WORDS)
    reply = await house.say(AskCommand(origin=house.origin(), what="mydata"))
    assert reply.private
    (document,) = reply.documents
    with zipfile.ZipFile(io.BytesIO(document.data)) as archive:
        log = json.loads(archive.read("usage-log.json"))
        page = archive.read("gallery.html").decode()
        (picture,) = log["pictures"]
        assert archive.read(picture["file"]) == post.images[0].data
    assert picture["prompt"] == WORDS
    assert picture["status"] == "posted"
    assert picture["receipt"]["leaf_index"] >= 0
    assert [event["kind"] for event in log["events"]][-1] == "posted"
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=" in page
    assert "<script" not in page
    assert "data:image/webp;base64," in page
    assert 'http-equiv="Content-Security-Policy" content="default-src \'none\'' in page
    assert await house.job_of(await house.imagine("x", user="bob")) != job_id
    bobs = await house.say(AskCommand(origin=house.origin("bob"), what="mydata"))
    assert WORDS.encode() not in b"".join(one.data for one in bobs.documents)


async def test_a_copy_that_is_too_large_leaves_pictures_out_and_says_so(house, draw_by_hand) -> None:
    await house.imagine("a red apple")
    await draw_by_hand(house.app)
    await house.app.courier.drain()
    origin = house.origin()
    whole = await house.say(AskCommand(origin=origin, what="mydata"))
    size = len(whole.documents[0].data)
    smaller = type(origin)(**{**_fields(origin), "upload_limit": size - 1})
    less = await house.say(AskCommand(origin=smaller, what="mydata"))
    assert "did not fit" in less.text
    assert len(less.documents[0].data) < size
    none = type(origin)(**{**_fields(origin), "upload_limit": 100})
    assert (await house.say(AskCommand(origin=none, what="mydata"))).documents == ()


def _fields(origin) -> dict[str, object]:
    return {name: getattr(origin, name) for name in type(origin).__dataclass_fields__}


async def test_erasing_oneself_takes_a_word_and_leaves_nothing(house, draw_by_hand) -> None:
    unknown = await house.say(AskCommand(origin=house.origin(), what="forgetme"))
    assert unknown.buttons == ()
    assert await house.app.vault.find("room", "room:1", "ada") is None  # asking makes nobody known
    await house.imagine("a zebra made of xylophones")
    await draw_by_hand(house.app)
    await house.app.courier.drain()
    asked = await house.say(AskCommand(origin=house.origin(), what="forgetme"))
    (button,) = asked.buttons
    assert button.ask

    def press(word: str) -> ButtonCommand:
        return ButtonCommand(origin=house.origin(), name=button.name, target=button.target, text=word)

    assert "Nothing was erased" in (await house.say(press("yes"))).text
    subject = await house.app.vault.find("room", "room:1", "ada")
    await house.app.vault.hold(subject, "a dispute about a zebra")
    held = await house.say(AskCommand(origin=house.origin(), what="forgetme"))
    assert held.buttons == ()
    assert "a dispute about a zebra" in held.text
    assert "disputed" in (await house.say(press("erase"))).text
    kinds = {str(one.entry.kind) for one in await house.app.ledger.entries(subject)}
    assert "erased" not in kinds  # the ledger does not say what did not happen
    await house.app.vault.release_hold(subject)
    assert (await house.say(press("erase"))).tone == "good"
    assert await house.app.vault.find("room", "room:1", "ada") is None
    raw = b"".join(path.read_bytes() for path in house.settings.data_dir.rglob("*") if path.is_file())
    assert b"xylophones" not in raw
    assert (await house.app.ledger.audit()).ok


async def test_a_moderator_looks_with_a_reason_that_the_member_reads(house) -> None:
    await house.imagine("a red apple")

    def look(origin, reason: str) -> ModerationCommand:
        return ModerationCommand(origin=origin, step="history", target="ada", reason=reason)

    assert "Only moderators" in (await house.say(look(house.origin("eve"), "curious"))).text
    mod = house.origin("mod", moderator=True)
    assert "reason" in (await house.say(look(mod, "  "))).text
    seen = await house.say(look(house.origin("mod", moderator=True), "a complaint about spam"))
    assert seen.title == "Usage log of Ada"
    assert any("a red apple" in field.value for field in seen.fields)
    abroad = house.origin("mod", moderator=True, workspace="room:2")
    assert "There is no person" in (await house.say(look(abroad, "a complaint"))).text
    own = await house.say(AskCommand(origin=house.origin(), what="history"))
    assert any("a complaint about spam" in field.value for field in own.fields)
    subject = await house.app.vault.find("room", "room:1", "ada")
    looks = [one for one in (await house.app.accounts.show(subject)).lines if one.kind == "looked_up"]
    assert len(looks) == 1
    assert looks[0].public["actor"] == await house.app.vault.find("room", "room:1", "mod")


async def test_moderators_pause_people_and_let_them_go_on(house) -> None:
    await house.imagine("a red apple")

    def step(name: str, target: str = "ada") -> ModerationCommand:
        return ModerationCommand(
            origin=house.origin("mod", moderator=True), step=name, target=target, reason="too many"
        )

    assert "0 live strikes" in (await house.say(step("strikes"))).text
    assert "No pause runs" in (await house.say(step("unpause"))).text
    paused = await house.say(step("pause"))
    assert "a pause runs" in paused.text
    told, notice = house.room.notices[-1]
    assert (told.user_id, notice.title) == ("ada", "Pause")
    assert "too many" in notice.text
    assert (await house.imagine("a pear")).title == "Pause"
    assert await house.app.queue.active(await house.app.vault.find("room", "room:1", "ada")) == ()
    assert (await house.say(step("unpause"))).tone == "good"
    assert (await house.imagine("a pear")).title != "Pause"
    assert "There is no person" in (await house.say(step("strikes", "nobody"))).text
    member = ModerationCommand(origin=house.origin("eve"), step="pause", target="ada")
    assert "Only moderators" in (await house.say(member)).text


async def test_take_downs_open_and_quarantines_lift_in_a_chat(house, draw_by_hand) -> None:
    job_id = await house.job_of(await house.imagine("a red apple"))
    await draw_by_hand(house.app)
    await house.app.courier.drain()
    (release,) = await house.app.releases.of_job(job_id)
    opened = await house.say(
        ModerationCommand(
            origin=house.origin("mod", moderator=True),
            step="takedown_open",
            only=(release.image_id,),
            requested_by="Zorblex Ltd",
            reason="our apple",
        )
    )
    assert "Zorblex Ltd" in opened.text
    assert opened.fields[0].label == "Decide by"
    case = await house.app.quarantine.mark(house.origin("mod", moderator=True), release.image_id)
    lift = ModerationCommand(
        origin=house.origin("mod", moderator=True), step="quarantine_lift", target=case.id
    )
    assert "is lifted" in (await house.say(lift)).text
    assert (await house.say(lift)).tone == "bad"


async def test_credits_name_references_and_the_nearest_training_pictures(house) -> None:
    async with house.drawing():
        job_id, post = await house.drawn("a red apple on a blue plate")
    (release,) = await house.app.releases.of_job(job_id)
    details = await house.app.releases.details(release.image_id)
    near = recorded(details.moderation, index=0)
    assert len(near) == 5
    assert all(one.title and one.author and one.license and one.source for one in near)
    assert not any(one.near_copy for one in near)
    button = next(one for one in post.buttons if one.name == "credits")
    click = ButtonCommand(origin=house.origin("bob"), name="credits", target=button.target)
    reply = await house.say(click)
    assert reply.private
    labels = [field.label for field in reply.fields]
    assert labels.count("Nearest in training") == 5
    assert "Drawn from" in labels
    assert all(field.url.startswith("https://") for field in reply.fields)
    abroad = ButtonCommand(origin=house.origin(workspace="room:2"), name="credits", target=job_id)
    assert "There is no" in (await house.say(abroad)).text


async def test_a_broken_index_holds_the_picture(house, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise OSError("the disk is gone")

    training = house.app.moderator._tools.near_copy.__self__
    monkeypatch.setattr(training, "_open", broken)
    async with house.drawing():
        job_id = await house.job_of(await house.imagine("a red apple"))
        settled = await house.app.courier.settled(job_id)
    assert settled.images == ()
    (verdict,) = settled.verdicts
    assert [finding.rule for finding in verdict.findings if finding.action == verdict.action] == ["near_copy"]
    assert len(settled.reviews) == 1


async def test_a_workspace_that_leaves_is_erased_on_its_day(house) -> None:
    app = house.app
    await house.imagine("a red apple")
    await app.vault.subject("room", "room:2", "eve", name="Eve")
    held = await app.vault.subject("room", "room:1", "hal", name="Hal")
    await app.vault.hold(held, "a dispute")
    await app.uninstall.left("room:1")
    await app.uninstall.returned("room:1")
    await _days(app, 31)
    assert await app.uninstall.sweep() == 0  # it came back

    await app.uninstall.left("room:1")
    await app.uninstall.left("room:1")  # Slack tells twice
    assert await app.uninstall.sweep() == 0  # not yet
    await _days(app, 31)
    assert await app.uninstall.sweep() == 1
    assert await app.vault.find("room", "room:1", "ada") is None
    assert await app.vault.find("room", "room:2", "eve") is not None
    assert await app.vault.find("room", "room:1", "hal") == held
    await app.vault.release_hold(held)
    assert await app.uninstall.sweep() == 1
    assert await app.uninstall.sweep() == 0
    assert (await app.ledger.audit()).ok
    await app.uninstall.left("room:1")  # there and gone again: a new day
    async with app.database.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM departures WHERE done_ms IS NULL")) == 1


async def _days(app, days: int) -> None:
    """Let days pass for what is on the schedule."""
    async with app.database.begin() as connection:
        await connection.execute(
            text("UPDATE departures SET due_ms = due_ms - :span"), {"span": days * 86_400_000}
        )
