"""The few sentences that only this platform can need; all others come with the reply."""

from __future__ import annotations

APOLOGY = "Something went wrong on our side. Please tell the operator this code: {code}"
ASK = "Please say why, in a sentence"
COMMAND_CHANGED = "This command has just changed. Please wait a moment and try it again."
DOWNLOAD_FAILED = "Discord did not hand out that picture. Please try again."
NO_PICTURE = "There is no picture attached to that message. Links are never followed."
PICTURE_LEFT_OUT = "{count} of {total} pictures did not fit this server's upload limit and were left out."
PICTURE_TOO_LARGE = "That picture is larger than {limit} MB, which is the most I look at."
POSTED_BELOW = "Posted below."
PREVIEW_ALT = "Unfinished preview"
TWO_PICTURES = "Please give exactly two pictures: ids of yours, or files."
