"""What people say to Verso and what it answers, in no platform's words."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where a command came from, and so where its answer goes. Serialisable: a restart can still answer."""

    platform: str  # "terminal", "discord", "slack"
    workspace_id: str  # guild or team; "terminal"
    channel_id: str = ""
    user_id: str  # the platform's own id of the person
    user_name: str = ""  # display name, only for greeting
    locale: str = "en"
    event_id: str  # the platform's id of this event: the key against replays
    token: str = ""  # Discord interaction token or Slack response_url; short-lived
    upload_limit: int = 10 * 1024 * 1024  # bytes one file may have there
    age_restricted: bool = False
    roles: tuple[str, ...] = ()  # role or user-group ids, for moderators
    is_moderator: bool = False  # by the platform's own right (Manage Messages, workspace admin)
    private: bool = False  # the answer is for the asker alone

    def to_bytes(self) -> bytes:
        """Serialise as JSON."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Origin:
        """Read what `to_bytes` wrote."""
        values = json.loads(data)
        values["roles"] = tuple(values.get("roles", ()))
        return cls(**values)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagineCommand:
    """Draw this."""

    origin: Origin
    prompt: str
    negative_prompt: str = ""
    model_id: str | None = None
    aspect: str = "1:1"
    seed: int | None = None
    count: int = 1
    accept_terms: bool = False  # terminal only: accept the shown terms with the same command
    step: str = ""  # "vary", "remix", "reroll", "blend", "extend", "inpaint", "upscale"; empty: asked anew
    source_images: tuple[str, ...] = ()  # ids of the asker's own pictures that it goes on from
    source_blob: str | None = None  # the picture to start from, sealed for the asker; None: words alone
    mask_blob: str | None = None  # where to draw in that picture, sealed as it is; None: all of it
    strength: float | None = None  # share of the way from that picture (0) to words alone (1)
    upscale: int = 0  # 2 or 4: enlarge the picture, and draw nothing
    extend: tuple[int, ...] = ()  # left, top, right, bottom: px to draw around that picture
    size: tuple[int, int] | None = None  # of an enlarged or extended picture, px
    chosen: str | None = None  # what the asker set besides the words, for the record; None: not looked at yet


@dataclass(frozen=True, kw_only=True, slots=True)
class VaryCommand:
    """Draw one more picture from this one: `strength` is "weak", "strong" or a share from 0 to 1."""

    origin: Origin
    image_id: str
    prompt: str | None = None  # other words
    strength: float | str = "strong"
    mask: bytes | None = field(default=None, repr=False)  # a picture's file: only where it is white is drawn


@dataclass(frozen=True, kw_only=True, slots=True)
class UpscaleCommand:
    """Enlarge a picture 2 or 4 times."""

    origin: Origin
    image_id: str
    factor: int = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtendCommand:
    """Draw what lies around a picture: one of `sides`, `zoom` and `aspect` says how much."""

    origin: Origin
    image_id: str
    sides: tuple[int, int, int, int] | None = None  # left, top, right, bottom: px to add
    zoom: float | None = (
        None  # above 1 to 4: the picture is shown so much smaller, on a canvas of its own size
    )
    aspect: str | None = None  # one of the model's: the picture in the middle of that shape
    prompt: str | None = None  # other words


@dataclass(frozen=True, kw_only=True, slots=True)
class BlendCommand:
    """Draw one picture from two: each is the id of one of the asker's own, or the bytes of a file."""

    origin: Origin
    first: str | bytes = field(repr=False)
    second: str | bytes = field(repr=False)
    prompt: str = ""  # empty: the words of both
    strength: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class DescribeCommand:
    """Say what can be told of a picture: bytes that the platform's client has downloaded."""

    origin: Origin
    image: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class ButtonCommand:
    """A click on one of our buttons. `name` and `target` are those of the Button that was posted."""

    origin: Origin
    name: str
    target: str
    text: str = ""  # what the user typed in the modal that the button opened, e.g. an appeal


@dataclass(frozen=True, kw_only=True, slots=True)
class AskCommand:
    """A question about one's own state, and the rights one has in it."""

    origin: Origin
    what: Literal["terms", "quota", "history", "queue", "models", "mydata", "forgetme"]


@dataclass(frozen=True, kw_only=True, slots=True)
class WhoMadeCommand:
    """Find who made this picture: bytes that the platform's client has downloaded, within its limits."""

    origin: Origin
    image: bytes


ReviewStep = Literal["list", "show", "approve", "uphold", "warn", "timeout"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewCommand:
    """A moderator's step: `step` is one of list, show, approve, uphold, warn, timeout."""

    origin: Origin
    step: ReviewStep
    review_id: str = ""
    reason: str = ""


ModerationStep = Literal[
    "protected",
    "unprotect",
    "takedowns",
    "takedown",
    "takedown_confirm",
    "takedown_dismiss",
    "quarantined",
    "quarantine",
    "digest",
    "policy",
    "takedown_open",
    "quarantine_lift",
    "history",
    "strikes",
    "pause",
    "unpause",
    "cancel",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModerationCommand:
    """A moderator's step beside reviews: lists, take-downs, quarantine, figures, the policies in force.

    `target` is the id that the step is about; of "protected" a word to look for; of history, strikes, pause,
    unpause and cancel the platform's own id of a person.
    """

    origin: Origin
    step: ModerationStep
    target: str = ""
    only: tuple[str, ...] = ()  # pictures: of takedown_confirm (empty: all candidates), and of takedown_open
    reason: str = ""  # of takedown_open, history, pause and cancel
    requested_by: str = ""  # of takedown_open: the person or rights holder
    received: str = ""  # same: when they asked, ISO 8601; empty: now


@dataclass(frozen=True, kw_only=True, slots=True)
class ProtectCommand:
    """Protect a name, a mark or a picture, as somebody asked for."""

    origin: Origin
    kind: Literal["name", "mark", "image"]
    term: str  # the name or mark; of a picture what it is called
    requested_by: str
    reason: str
    block: bool = False  # refuse, instead of asking a moderator
    received: str = ""  # when they asked, ISO 8601; empty: now
    image: bytes | None = field(default=None, repr=False)  # the picture's file


@dataclass(frozen=True, kw_only=True, slots=True)
class ScreenCommand:
    """A dry run: what would be decided about these words here. Nothing is recorded."""

    origin: Origin
    prompt: str
    negative_prompt: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class CancelCommand:
    """Stop one's own waiting jobs (`job_id` empty: all of mine)."""

    origin: Origin
    job_id: str = ""


ModeratorsCommand = ReviewCommand | ModerationCommand | ProtectCommand | ScreenCommand
NextCommand = VaryCommand | UpscaleCommand | ExtendCommand | BlendCommand | DescribeCommand
PlainCommand = ButtonCommand | AskCommand | WhoMadeCommand | CancelCommand
Command = ImagineCommand | NextCommand | PlainCommand | ModeratorsCommand


@dataclass(frozen=True, kw_only=True, slots=True)
class Button:
    """Something to click. Platforms encode (name, target) into their own id: at most 80 characters."""

    name: str  # what to do: "vary", "reroll", "delete", "accept", "appeal", ...; see `bot.handle`
    target: str  # an image, job, review or terms id
    label: str
    style: Literal["primary", "secondary", "danger"] = "secondary"
    ask: str = ""  # not empty: open a modal that asks this for a sentence before the click counts
    given: str = ""  # what stands in that modal at first, for the asker to change
    row: int = 0  # buttons of one row stand side by side, where the platform lets them


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageFile:
    """A picture to post."""

    name: str
    data: bytes
    alt_text: str
    width: int
    height: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A file for the asker that is no picture to look at, such as a copy of their data."""

    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One line of a card: a label and its value."""

    label: str
    value: str
    url: str = ""
    at_ms: int | None = None  # a moment before the value, Unix ms: each platform shows it in its own way


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """An answer. Plain text only: each platform escapes it, and no mention ever pings anyone."""

    text: str
    title: str = ""
    fields: tuple[Field, ...] = ()  # the license card, a receipt, findings
    images: tuple[ImageFile, ...] = ()
    documents: tuple[Document, ...] = ()  # only in private replies
    buttons: tuple[Button, ...] = ()
    private: bool = True  # for the asker alone
    tone: Literal["neutral", "good", "warning", "bad"] = "neutral"


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a job is; lossy, latest wins."""

    job_id: str
    place: int = 0  # in the queue, 0 once it runs
    eta_s: float | None = None
    fraction: float = 0.0  # 0..1 of the denoising steps
    elsewhere_s: float | None = None  # since an image server was asked, which tells no share until the end
    preview: bytes | None = None  # small PNG
    text: str = ""  # the sentence to show
