"""Forms: what to draw, the sentence a button asks for, and the parts that every form is made of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from bot.errors import UsageError
from bot.platforms.slack.blocks import plain_object
from bot.platforms.slack.options import MAX_COUNT, ImagineOptions, read_aspect, read_count, read_seed
from bot.platforms.slack.payload import Payload, flag, table, tables, word

IMAGINE_VIEW = "v:imagine"
ASK_VIEW = "v:ask"
ASPECTS = ("1:1", "3:2", "2:3", "4:3", "3:4", "16:9", "9:16")
PROMPT_LIMIT = 2000
_METADATA_LIMIT = 3000
_TITLE_LIMIT = 24
_QUESTION_LIMIT = 2000  # of an input's label
_OPTIONS = 100  # of a select

View = dict[str, object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Memo:
    """What a form must remember until it is sent: where to answer, and which button asked."""

    channel: str = ""
    response_url: str = ""
    name: str = ""
    target: str = ""
    replaces: bool = False

    def dump(self) -> str:
        """Serialise for `private_metadata`; the response URL is dropped first where it does not fit."""
        values = {
            "channel": self.channel,
            "response_url": self.response_url,
            "name": self.name,
            "target": self.target,
            "replaces": self.replaces,
        }
        text = json.dumps(values, separators=(",", ":"))
        if len(text) > _METADATA_LIMIT:
            text = json.dumps(values | {"response_url": "", "replaces": False}, separators=(",", ":"))
        return text

    @classmethod
    def parse(cls, text: str) -> Memo:
        """Read what `dump` wrote; whatever is damaged is empty."""
        try:
            values = json.loads(text)
        except ValueError:
            return cls()
        return cls(
            channel=word(values, "channel"),
            response_url=word(values, "response_url"),
            name=word(values, "name"),
            target=word(values, "target"),
            replaces=flag(values, "replaces"),
        )


def imagine_view(memo: Memo, *, models: Sequence[str], aspects: Sequence[str] = ASPECTS) -> View:
    """The form that `/imagine` opens when nothing follows it."""
    blocks = [
        titled(
            "prompt",
            "What shall I draw?",
            text_input(PROMPT_LIMIT, example="a red apple on a blue plate", lines=True),
        ),
        titled("no", "What to avoid", text_input(PROMPT_LIMIT, example="text, blur"), optional=True),
        titled("aspect", "Shape", select(aspects, aspects[0])),
        titled("count", "How many pictures", select([str(n + 1) for n in range(MAX_COUNT)], "1")),
        titled(
            "seed",
            "Seed: the same one draws the same picture again",
            text_input(10, example="any"),
            optional=True,
        ),
    ]
    if len(models) > 1:
        blocks.append(titled("model", "Model", select(models, models[0])))
    private = checkbox("private", "Answer in a direct message")
    blocks.append(titled("private", "Privacy", private, optional=True))
    return form(IMAGINE_VIEW, "Draw a picture", "Draw", memo, blocks)


def ask_view(memo: Memo, *, label: str, ask: str) -> View:
    """The form behind a button that wants a sentence first."""
    blocks = [titled("text", ask, text_input(PROMPT_LIMIT, lines=True), limit=_QUESTION_LIMIT)]
    return form(ASK_VIEW, label, "Send", memo, blocks)


def read_imagine(view: Payload) -> tuple[ImagineOptions | None, dict[str, str]]:
    """The options in a sent form, or what to say below which field."""
    values = table(view, "state", "values")
    errors: dict[str, str] = {}
    prompt = typed(values, "prompt")
    if not prompt:
        errors["prompt"] = "Please say what to draw."
    try:
        seed = read_seed(typed(values, "seed"))
    except UsageError as error:
        seed, errors["seed"] = None, str(error).removeprefix("--seed takes ").capitalize()
    try:
        aspect = read_aspect(chosen(values, "aspect") or "1:1")
        count = read_count(chosen(values, "count") or "1")
    except UsageError as error:
        aspect, count, errors[error.field] = "1:1", 1, str(error)
    if errors:
        return None, errors
    options = ImagineOptions(
        prompt=prompt,
        negative_prompt=typed(values, "no"),
        aspect=aspect,
        seed=seed,
        count=count,
        model_id=chosen(values, "model") or None,
        private=checked(values, "private"),
    )
    return options, {}


def read_ask(view: Payload) -> str:
    """The sentence in a sent form."""
    return typed(table(view, "state", "values"), "text")


def typed(values: Payload, name: str) -> str:
    """What was typed into a field."""
    return word(values, name, "value", "value").strip()


def chosen(values: Payload, name: str) -> str:
    """What was chosen from a list."""
    return word(values, name, "value", "selected_option", "value")


def checked(values: Payload, name: str) -> bool:
    """Whether a box is checked."""
    return bool(tables(values, name, "value", "selected_options"))


def uploaded(values: Payload, name: str) -> Payload | None:
    """Slack's object of the first uploaded file."""
    return next(iter(tables(values, name, "value", "files")), None)


def form(callback_id: str, title: str, submit: str, memo: Memo, blocks: list[View]) -> View:
    """A modal."""
    return {
        "type": "modal",
        "callback_id": callback_id,
        "title": plain_object(title, _TITLE_LIMIT),
        "submit": plain_object(submit, _TITLE_LIMIT),
        "close": plain_object("Close", _TITLE_LIMIT),
        "private_metadata": memo.dump(),
        "blocks": blocks,
    }


def titled(
    name: str, label: str, element: dict[str, object], *, optional: bool = False, limit: int = 200
) -> View:
    """One field of a modal: an element under its label."""
    return {
        "type": "input",
        "block_id": name,
        "label": plain_object(label, limit),
        "element": element,
        "optional": optional,
    }


def text_input(limit: int, *, example: str = "", value: str = "", lines: bool = False) -> dict[str, object]:
    """A place for at most `limit` characters, with `value` in it."""
    element: dict[str, object] = {
        "type": "plain_text_input",
        "action_id": "value",
        "max_length": limit,
        "multiline": lines,
    }
    if example:
        element["placeholder"] = plain_object(example, 150)
    if value:
        element["initial_value"] = value[:limit]
    return element


def select(values: Sequence[str], first: str) -> dict[str, object]:
    """A list to choose from."""
    options = [{"text": plain_object(value), "value": value} for value in values[:_OPTIONS]]
    initial = next(option for option in options if option["value"] == first)
    return {"type": "static_select", "action_id": "value", "options": options, "initial_option": initial}


def checkbox(value: str, label: str) -> dict[str, object]:
    """A single box."""
    option = {"text": plain_object(label), "value": value}
    return {"type": "checkboxes", "action_id": "value", "options": [option]}


def file_input(extensions: Sequence[str]) -> dict[str, object]:
    """A place for one file; Slack takes at most 10 MB there."""
    return {"type": "file_input", "action_id": "value", "filetypes": list(extensions), "max_files": 1}
