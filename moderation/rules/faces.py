"""Reports a face in a picture whose prompt names a living person: the likeness, not merely the name.

The detector is dlib's own frontal one (histograms of oriented gradients; Boost license), which needs no
weight file. It sees faces turned towards the viewer in photographs and paintings, and hardly any drawn ones.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

from moderation.entities import EntityList, load_entities
from moderation.errors import RuleDataError
from moderation.rules.base import Context, Tools
from moderation.rules.image_safety import to_image
from moderation.types import Category, Content, Finding, ImageContent, Scope

_LIKENESS = 0.6  # more than the name in the prompt alone (0.55), less than a name in a bad context (0.75)
_MAX_SIDE: Final = 1024  # pixels; larger pictures are shrunk to it
_DOUBLED: Final = 1  # times that the picture is doubled first: faces from 40 pixels on are seen

Detect = Callable[[npt.NDArray[np.uint8], float], bool]
"""(H, W, 3) 8-bit RGB pixels, the score from which something is a face -> whether there is one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FacesRule:
    """Looks for a face only where the prompt names a living person. Faces are not recognized, only found."""

    entities: EntityList
    detect: Detect
    name: str = "faces"
    category: Category = Category.REAL_PERSON

    @classmethod
    def open(cls, tools: Tools) -> Self:
        """Load the names and the detector.

        Raises:
            RuleDataError: a list cannot be read, or dlib is not installed.
        """
        return cls(entities=load_entities(tools.data), detect=open_detector())

    def check(self, content: Content, scope: Scope, context: Context) -> tuple[Finding, ...]:
        """Return one finding, or none.

        Raises:
            RuleError: the pixels are not a (H, W, 3) 8-bit array of usable shape.
        """
        if not isinstance(content, ImageContent):
            return ()
        image = to_image(content.pixels, self.name)
        if not self._names_someone(content.prompt, context):
            return ()
        image.thumbnail((_MAX_SIDE, _MAX_SIDE), Image.Resampling.BILINEAR)
        if not self.detect(np.array(image), context.policy.rules[self.name].threshold):
            return ()
        return (context.finding(rule=self.name, category=Category.REAL_PERSON, score=_LIKENESS, scope=scope),)

    def _names_someone(self, prompt: str, context: Context) -> bool:
        if not prompt.strip():
            return False
        found = self.entities.find(context.normalized(prompt))
        return any(named.kind == "person" and named.living for named in found)


def open_detector() -> Detect:
    """Return dlib's frontal face detector.

    Raises:
        RuleDataError: dlib is not installed.
    """
    try:
        import dlib  # noqa: PLC0415 - an optional extra
    except ImportError:
        raise RuleDataError("dlib", "is not installed: pip install 'verso-bot[faces]'") from None
    detector: Any = dlib.get_frontal_face_detector()
    lock = threading.Lock()  # the detector keeps the picture's pyramid in itself

    def detect(pixels: npt.NDArray[np.uint8], score: float) -> bool:
        with lock:
            boxes, _, _ = detector.run(pixels, _DOUBLED, score)
        return len(boxes) > 0

    return detect
