"""Reading `/verso vary|upscale|blend`, the rows of buttons, and commands that wait."""

from __future__ import annotations

import pytest

from bot.cli.iterate import _sides
from bot.conversation import BlendCommand, ImagineCommand, Origin, UpscaleCommand, VaryCommand
from bot.errors import UsageError
from bot.picture_buttons import picture_buttons
from bot.platforms.discord.views import Questions
from bot.platforms.slack.blocks import card, split_action
from bot.platforms.slack.translate import verso
from bot.posts import command_from_bytes, command_to_bytes

ORIGIN = Origin(platform="slack", workspace_id="slack:T1", user_id="U1", event_id="e1")


def test_slack_words_become_commands() -> None:
    assert verso(ORIGIN, "vary abc") == VaryCommand(origin=ORIGIN, image_id="abc")
    assert verso(ORIGIN, 'vary abc "a blue one" --strength 0.3') == VaryCommand(
        origin=ORIGIN, image_id="abc", prompt="a blue one", strength=0.3
    )
    assert verso(ORIGIN, "upscale abc 4") == UpscaleCommand(origin=ORIGIN, image_id="abc", factor=4)
    blended = verso(ORIGIN, "blend abc def a cat with a hat")
    assert blended == BlendCommand(origin=ORIGIN, first="abc", second="def", prompt="a cat with a hat")
    for wrong in ("vary", "upscale abc 3", "blend abc", "vary abc --strength 1.2.3"):
        with pytest.raises(UsageError):
            verso(ORIGIN, wrong)


def test_four_pictures_have_numbered_rows_on_both_platforms() -> None:
    ids = [f"{n:016x}" for n in range(4)]
    buttons = picture_buttons(ids, job_id="j" * 16, prompt="a cat", upscaled=False, large=False)
    rows = Questions().view(buttons).to_components()
    assert [[one["label"] for one in row["components"]] for row in rows][:2] == [
        ["U1", "U2", "U3", "U4"],
        ["V1", "V2", "V3", "V4"],
    ]
    from bot.conversation import Reply

    blocks = [b for b in card(Reply(text="x", buttons=buttons)) if b["type"] == "actions"]
    assert [len(block["elements"]) for block in blocks] == [4, 4, 4, 4, 2]
    for block in blocks:
        for element in block["elements"]:
            name, target, _ = split_action(element["action_id"], element["value"])
            assert (name, target) in {(button.name, button.target) for button in buttons}


def test_one_picture_offers_what_can_be_done_with_it() -> None:
    names = [b.name for b in picture_buttons(["a"], job_id="j", prompt="p", upscaled=False, large=True)]
    assert "upscale4" not in names
    assert "zoom_out" in names
    assert picture_buttons(["a"], job_id="j", prompt="p", upscaled=True, large=True) == ()
    wordy = picture_buttons(["a"], job_id="j", prompt="p", upscaled=False, large=True, extends=False)
    assert "zoom_out" not in [button.name for button in wordy]  # the model draws from words alone


def test_the_modal_of_remix_starts_with_the_words() -> None:
    questions = Questions()
    view = questions.view(picture_buttons(["a"], job_id="j", prompt="a cat", upscaled=False, large=True))
    click = next(child.click for child in view.children if child.click.name == "remix")
    text = questions.modal(click).to_dict()["components"][0]["component"]
    assert text["value"] == "a cat"


def test_a_waiting_command_survives_storage() -> None:
    command = ImagineCommand(
        origin=ORIGIN,
        prompt="a cat",
        step="blend",
        source_images=("a", "b"),
        source_blob="c",
        strength=0.3,
        size=(1024, 512),
        extend=(64, 0, 64, 0),
    )
    assert command_from_bytes(command_to_bytes(command)) == command


def test_sides_are_read_from_the_command_line() -> None:
    assert _sides("left=64, right=32") == (64, 0, 32, 0)
    assert _sides("bottom=8,top=16") == (0, 16, 0, 8)
    for wrong in ("", "left", "left=-8", "left=1e3", "middle=8", "left=999999", "left=٣"):
        with pytest.raises(UsageError):
            _sides(wrong)
