"""What members say and what they see, through the SDK's real command tree on a simulated Discord."""

from __future__ import annotations

import json
import logging

import discord
import pytest

from bot.conversation import (
    AskCommand,
    Button,
    ButtonCommand,
    CancelCommand,
    Field,
    ImageFile,
    ImagineCommand,
    Reply,
    ReviewCommand,
    WhoMadeCommand,
)

pytestmark = pytest.mark.simcord(settle_timeout=60)
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 64
MENU = "Who made this?"


async def test_imagine_is_acknowledged_in_private_and_becomes_a_command(town, desk):
    desk.answer = Reply(text="You are third in the queue.")

    result = await town.ada.slash(
        town.channel, "imagine", prompt="a red apple", negative="worms", aspect="3:2", seed=7, count=4
    )

    assert _first_word(town) == {"type": 5, "data": {"flags": 64}}
    assert result.ephemeral
    assert result.response.content == "You are third in the queue."
    assert town.channel.last_message is None
    command = desk.last
    assert isinstance(command, ImagineCommand)
    assert (command.prompt, command.negative_prompt, command.model_id) == ("a red apple", "worms", None)
    assert (command.aspect, command.seed, command.count) == ("3:2", 7, 4)


async def test_the_origin_says_where_it_came_from(town, desk):
    await town.ada.slash(town.channel, "quota")

    origin = desk.last.origin
    assert origin.platform == "discord"
    assert origin.workspace_id == f"discord:{town.guild.id}"
    assert (origin.channel_id, origin.user_id) == (str(town.channel.id), str(town.ada.id))
    assert origin.user_name == "ada"
    assert origin.locale == "en-US"
    assert origin.upload_limit == 26_214_400
    assert int(origin.event_id) > 0
    assert not origin.age_restricted
    assert not origin.is_moderator
    assert not origin.private
    assert json.loads(origin.token)["app"] == str(town.env.backend.application_id)


async def test_private_travels_in_the_origin(town, desk):
    await town.ada.slash(town.channel, "imagine", prompt="x", private=True)

    assert desk.last.origin.private


async def test_age_restricted_channels_say_so(town, desk):
    adults = town.guild.create_text_channel("late")
    await town.env.settle()
    town.env.bot.get_channel(adults.id).nsfw = True  # the simulator has no such flag of its own

    await town.ada.slash(adults, "quota")

    assert desk.last.origin.age_restricted


async def test_direct_messages_have_their_own_workspace(simcord_env, desk):
    eve = simcord_env.create_user("eve")

    result = await eve.slash("history")

    assert result.response.content == "Done."
    assert desk.last.origin.workspace_id == "discord:dm"
    assert desk.last.origin.user_id == str(eve.id)


@pytest.mark.parametrize("name", ["queue", "quota", "terms", "history"])
async def test_questions_about_oneself(town, desk, name):
    result = await town.ada.slash(town.channel, name)

    assert result.ephemeral
    assert desk.last == AskCommand(origin=desk.last.origin, what=name)


async def test_cancel_one_or_all(town, desk):
    await town.ada.slash(town.channel, "cancel")
    assert desk.last == CancelCommand(origin=desk.last.origin)

    await town.ada.slash(town.channel, "cancel", job="00ff")
    assert desk.last == CancelCommand(origin=desk.last.origin, job_id="00ff")


async def test_models_are_offered_while_typing(town, desk):
    desk.answer = Reply(
        text="",
        fields=(
            Field(label="sticker-v1", value="Small and fast"),
            Field(label="sd-turbo", value="A larger model, " + "x" * 200),
        ),
    )

    every = await town.ada.autocomplete(town.channel, "imagine", "model", "")
    some = await town.ada.autocomplete(town.channel, "imagine", "model", "STICK")

    assert [choice["value"] for choice in every] == ["sticker-v1", "sd-turbo"]
    assert all(len(choice["name"]) <= 100 for choice in every)
    assert [choice["name"] for choice in some] == ["sticker-v1: Small and fast"]
    assert isinstance(desk.last, AskCommand)
    assert desk.last.what == "models"


async def test_a_broken_handler_offers_no_models(town, desk):
    def broken(_command):
        raise RuntimeError("secret words")

    desk.answer = broken

    assert await town.ada.autocomplete(town.channel, "imagine", "model", "") == []


async def test_a_card_shows_title_text_fields_and_tone(town, desk):
    desk.answer = Reply(
        text="Two are left until noon.",
        title="Your quota",
        fields=(
            Field(label="License", value="MIT", url="https://example.org/mit"),
            Field(label="Odd", value="x", url="javascript:alert(1)"),
            Field(label="Empty", value=""),
        ),
        tone="good",
    )

    result = await town.ada.slash(town.channel, "quota")

    (embed,) = result.response.embeds
    assert (embed.title, embed.description) == ("Your quota", "Two are left until noon.")
    assert [field.value for field in embed.fields] == ["[MIT](https://example.org/mit)", "x", "\u200b"]
    assert embed.color is not None
    assert not result.response.content


async def test_everyone_in_a_prompt_pings_nobody_and_is_escaped(town, desk):
    shout = "@everyone <@123456789012345678> **now** [x](https://evil.example) <#1> # big"
    desk.answer = lambda command: Reply(text=command.prompt, private=False)

    result = await town.ada.slash(town.channel, "imagine", prompt=shout)

    (public,) = result.followups
    assert public.content == (
        "@\u200beveryone \\<@\u200b123456789012345678\\> \\*\\*now\\*\\* "
        "\\[x\\](https:\\/\\/evil.example) \\<#1\\> # big"
    )
    assert not public.message.mention_everyone
    assert public.message.mentions == []
    bodies = [entry.json for entry in town.env.http_requests if entry.json and "content" in entry.json]
    assert bodies
    assert all(body["allowed_mentions"]["parse"] == [] for body in bodies)


async def test_a_public_reply_is_posted_beside_the_private_one(town, desk):
    desk.answer = Reply(text="Everybody may know.", private=False, buttons=(_button("share"),))

    result = await town.ada.slash(town.channel, "queue")

    assert result.response.ephemeral
    assert result.response.content == "Posted below."
    (public,) = result.followups
    assert public.content == "Everybody may know."
    assert not public.ephemeral
    assert public.components[0]["components"][0]["custom_id"] == "v:share:42"


async def test_long_text_becomes_a_card_within_every_limit(town, desk):
    desk.answer = Reply(
        text="*" * 9000,
        title="t" * 500,
        fields=tuple(Field(label=f"n{i}" + "n" * 400, value="v" * 3000) for i in range(40)),
    )

    result = await town.ada.slash(town.channel, "terms")

    (embed,) = result.response.embeds
    assert len(embed) <= 6000
    assert len(embed.title) <= 256
    assert embed.description.endswith("…")
    assert not embed.description.rstrip("…").endswith("\\*\\")
    assert 1 <= len(embed.fields) <= 25
    assert all(len(field.name) <= 256 and len(field.value) <= 1024 for field in embed.fields)
    (full,) = result.response.attachments
    assert full.filename == "full-text.txt"
    assert (await full.read()).decode().startswith("*" * 9000 + "\n\nn0n")

    desk.answer = Reply(text="word " * 700)
    result = await town.ada.slash(town.channel, "terms")
    assert result.response.embeds[0].description.strip() == ("word " * 700).strip()
    assert not result.response.content
    assert result.response.attachments == []


async def test_a_prompt_too_long_for_a_field_comes_as_a_file_too(town, desk):
    prompt = "apple " * 300
    desk.answer = Reply(text="Decide.", title="Review", fields=(Field(label="Prompt", value=prompt),))

    result = await town.ada.slash(town.channel, "queue")

    assert len(result.response.embeds[0].fields[0].value) <= 1024
    (full,) = result.response.attachments
    assert prompt in (await full.read()).decode()


async def test_private_pictures_come_with_alt_text(town, desk):
    desk.answer = Reply(text="Here.", images=(_picture("a.png", "An apple"), _picture("b.png", "B" * 2000)))

    result = await town.ada.slash(town.channel, "history")

    first, second = result.response.attachments
    assert (first.filename, first.description) == ("a.png", "An apple")
    assert len(second.description) == 1024


async def test_a_click_carries_the_clicker_not_the_owner(town, desk):
    await _post_public(town, desk, _button("delete"))

    result = await town.bo.click(town.channel.last_message, label="delete")

    assert _first_word(town) == {"type": 5, "data": {"flags": 64}}
    assert result.ephemeral
    assert isinstance(desk.last, ButtonCommand)
    assert (desk.last.name, desk.last.target, desk.last.text) == ("delete", "42", "")
    assert desk.last.origin.user_id == str(town.bo.id)


async def test_a_click_under_a_private_picture_stays_private(town, desk):
    desk.answer = Reply(text="Here.", images=(_picture("a.png", "An apple"),), buttons=(_button("vary"),))
    result = await town.ada.slash(town.channel, "imagine", prompt="x", private=True)
    await town.ada.click(result.response, label="vary")
    assert desk.last.origin.private

    desk.answer = Reply(text="Do you accept?", buttons=(_button("accept"),))
    result = await town.ada.slash(town.channel, "imagine", prompt="x")
    await town.ada.click(result.response, label="accept")
    assert not desk.last.origin.private


async def test_buttons_work_after_a_restart(town, desk, build_platform):
    await _post_public(town, desk, _button("vary"))
    message = town.channel.last_message
    await town.env.restart_bot(build_platform().client)

    result = await town.ada.click(message, label="vary")

    assert (desk.last.name, desk.last.target) == ("vary", "42")
    assert result.response.content == "Done."


async def test_a_button_that_asks_opens_a_modal_first(town, desk):
    ask = "Why should a person look at this again?"
    await _post_public(town, desk, _button("appeal", ask=ask))
    asked_before = len(desk.asked)

    shown = await town.ada.click(town.channel.last_message, label="appeal")

    assert len(desk.asked) == asked_before
    assert not shown.deferred
    assert shown.modal["title"] == "appeal"
    assert shown.modal["components"][0]["label"] == ask

    result = await town.ada.submit_modal(shown, {"text": " It is only an apple. "})

    assert result.ephemeral
    assert result.response.content == "Done."
    assert desk.last == ButtonCommand(
        origin=desk.last.origin, name="appeal", target="42", text="It is only an apple."
    )


async def test_a_modal_survives_a_restart_between_question_and_answer(town, desk, build_platform):
    await _post_public(town, desk, _button("appeal", ask="A long question? " * 5))
    message = town.channel.last_message
    await town.env.restart_bot(build_platform().client)
    shown = await town.ada.click(message, label="appeal")
    assert shown.modal["components"][0]["label"] == "Please say why, in a sentence"
    await town.env.restart_bot(build_platform().client)

    await town.ada.submit_modal(shown, {"text": "Please."})

    assert (desk.last.name, desk.last.text) == ("appeal", "Please.")


async def test_a_modal_in_the_older_layout_is_read_too(town, desk):
    await _post_public(town, desk, _button("appeal", ask="Why?"))
    shown = await town.ada.click(town.channel.last_message, label="appeal")
    data = {
        "custom_id": shown.modal["custom_id"],
        "components": [
            {"type": 1, "components": [{"type": 4, "custom_id": "text", "value": "Because."}]},
            {"type": 1, "components": [{"type": 3, "custom_id": "other", "values": ["no text"]}]},
        ],
    }

    await town.ada._dispatch_interaction(5, town.channel, data)

    assert desk.last.text == "Because."


async def test_foreign_modals_and_buttons_are_left_alone(town, desk):
    await town.ada._dispatch_interaction(5, town.channel, {"custom_id": "other", "components": []})

    assert desk.asked == []


async def test_who_made_this_reads_the_attached_picture(town, desk):
    message = await town.bo.send(town.channel, "look", attachments=[("n.txt", b"no"), ("found.png", PNG)])
    desk.answer = Reply(text="Ada asked for it.")

    result = await town.ada.context_menu(town.channel, MENU, message)

    assert result.ephemeral
    assert result.response.content == "Ada asked for it."
    assert desk.last == WhoMadeCommand(origin=desk.last.origin, image=PNG)
    assert desk.last.origin.user_id == str(town.ada.id)


async def test_who_made_this_never_follows_a_link(town, desk):
    message = await town.bo.send(town.channel, "http://169.254.169.254/latest/picture.png")

    result = await town.ada.context_menu(town.channel, MENU, message)

    assert "no picture attached" in result.response.embeds[0].description
    assert desk.asked == []


async def test_who_made_this_has_a_limit(town, desk, build_platform):
    await town.env.restart_bot(build_platform(download_limit=1024).client)
    message = await town.bo.send(town.channel, "", attachments=[("big.png", b"x" * 1025)])

    result = await town.ada.context_menu(town.channel, MENU, message)

    assert "larger" in result.response.embeds[0].description
    assert desk.asked == []


async def test_who_made_this_says_when_discord_does_not_hand_it_out(town, desk):
    message = await town.bo.send(town.channel, "", attachments=[("gone.png", PNG)])
    town.env.backend.cdn._blobs.clear()

    result = await town.ada.context_menu(town.channel, MENU, message)

    assert "did not hand out" in result.response.embeds[0].description
    assert desk.asked == []


async def test_moderation_is_hidden_from_members(town):
    commands = town.ada.available_commands(town.channel)

    assert "imagine" in commands
    assert not [name for name in commands if name.startswith("moderation")]


async def test_managing_messages_makes_a_moderator(town, desk):
    role = town.guild.create_role("Mods", permissions=discord.Permissions(manage_messages=True))
    mod = town.guild.add_member(town.env.create_user("mod"), roles=[role])

    await mod.slash(town.channel, "moderation review")
    assert desk.last == ReviewCommand(origin=desk.last.origin, step="list")
    assert desk.last.origin.is_moderator
    assert str(role.id) in desk.last.origin.roles

    await mod.slash(town.channel, "moderation show", review="r1")
    assert (desk.last.step, desk.last.review_id) == ("show", "r1")
    for step in ("approve", "uphold", "warn", "timeout"):
        await mod.slash(town.channel, f"moderation {step}", review="r1", reason="Because")
        assert (desk.last.step, desk.last.review_id, desk.last.reason) == (step, "r1", "Because")


async def test_a_configured_role_makes_a_moderator(town, desk, build_platform):
    role = town.guild.create_role("Curators")
    curator = town.guild.add_member(town.env.create_user("curator"), roles=[role])
    await town.env.restart_bot(build_platform(moderator_roles=frozenset({str(role.id)})).client)

    await curator.slash(town.channel, "queue")
    assert desk.last.origin.is_moderator

    await town.ada.slash(town.channel, "queue")
    assert not desk.last.origin.is_moderator


async def test_a_broken_handler_gets_an_apology_with_a_code(town, desk, caplog):
    def broken(command):
        raise RuntimeError(command.prompt)

    desk.answer = broken
    with caplog.at_level(logging.INFO):
        result = await town.ada.slash(town.channel, "imagine", prompt="a very private prompt")

    (record,) = [entry for entry in caplog.records if entry.name.startswith("bot.")]
    code = result.response.content.rsplit(" ", 1)[1]
    assert code in record.getMessage()
    assert "RuntimeError" in record.getMessage()
    assert "a very private prompt" not in caplog.text
    assert desk.last.origin.token not in caplog.text


async def test_an_impossible_button_gets_an_apology(town, desk):
    desk.answer = Reply(text="x", buttons=(Button(name="vary", target="y" * 120, label="V"),))

    result = await town.ada.slash(town.channel, "queue")

    assert "this code" in result.response.content


async def test_a_repeated_event_is_answered_in_the_same_reply(town, desk):
    desk.answer = Reply(text="First.")
    result = await town.ada.slash(town.channel, "queue")
    first = desk.last.origin.event_id
    desk.answer = Reply(text="The same, again.")

    await _again(town, result, "queue")

    assert [command.origin.event_id for command in desk.asked] == [first, first]
    assert result.response.content == "The same, again."


async def test_too_late_means_no_work(town, desk):
    town.env.inject_error("POST", "/interactions/*", status=404, code=10062)

    result = await town.ada.slash(town.channel, "queue")

    assert not result.acknowledged
    assert desk.asked == []


async def test_a_command_that_changed_gets_a_word(town, desk):
    data = {"id": "1", "name": "imagine-old", "type": 1, "options": []}

    result = await town.ada._dispatch_interaction(2, town.channel, data)

    assert result.ephemeral
    assert "just changed" in result.response.content
    assert desk.asked == []
    assert [type(error).__name__ for error in town.env.errors] == ["CommandNotFound"]


async def test_twenty_five_buttons_at_most_and_none_twice(town, desk):
    many = tuple(Button(name="pick", target=str(i // 2), label=str(i)) for i in range(80))
    desk.answer = Reply(text="Pick one", buttons=many)

    result = await town.ada.slash(town.channel, "queue")

    ids = [button["custom_id"] for row in result.response.components for button in row["components"]]
    assert len(ids) == len(set(ids)) == 25


def _first_word(town) -> dict[str, object]:
    """What Discord heard first about the latest interaction."""
    callbacks = [entry.json for entry in town.env.http_requests if entry.path.endswith("/callback")]
    return callbacks[-1]


def _button(name: str, *, ask: str = "") -> Button:
    return Button(name=name, target="42", label=name, style="primary", ask=ask)


def _picture(name: str, alt: str) -> ImageFile:
    return ImageFile(name=name, data=PNG, alt_text=alt, width=8, height=8)


async def _post_public(town, desk, *buttons: Button) -> None:
    before = desk.answer
    desk.answer = Reply(text="A picture", private=False, buttons=buttons)
    await town.ada.slash(town.channel, "queue")
    desk.answer = before


async def _again(town, result, name: str) -> None:
    """Deliver the same interaction a second time, as a resumed gateway may."""
    record = result._interaction
    command = town.env.backend.find_command(name, town.guild.id, type=1)
    from simcord import interactions

    _, payload = interactions.base_payload(
        town.env.backend,
        type=2,
        channel_id=town.channel.id,
        guild_id=town.guild.id,
        user_id=town.ada.id,
        data={"id": command["id"], "name": name, "type": 1, "options": []},
    )
    town.env.backend.emit("INTERACTION_CREATE", payload | {"id": str(record.id), "token": record.token})
    await town.env.settle()
