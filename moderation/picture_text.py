"""Reads the text in a picture, with the detection and recognition networks that ship inside rapidocr.

The networks are PP-OCRv6 small by PaddlePaddle (Apache-2.0). Their files are named and checked here, so that
the package never looks for one elsewhere: left alone, it downloads what it does not find.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import numpy.typing as npt

from moderation.errors import RuleError
from moderation.networks import WeightFile

if TYPE_CHECKING:
    from rapidocr.main import RapidOCR

DETECTION: Final = WeightFile(
    package="rapidocr",
    path="models/PP-OCRv6_det_small.onnx",
    sha256="090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
)
RECOGNITION: Final = WeightFile(
    package="rapidocr",
    path="models/PP-OCRv6_rec_small.onnx",
    sha256="6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
)
MAX_SIDE: Final = 960  # pixels; larger pictures are shrunk to it before text is looked for
MAX_PIECES: Final = 80  # places with text; a picture with more would take too long to read


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One piece of text, and how sure the network is of it (0 to 1)."""

    text: str
    certainty: float


class TextReader:
    """Finds and reads text, on one CPU thread; one picture at a time."""

    def __init__(self, engine: RapidOCR) -> None:
        """Take an engine; build one with `open`."""
        self._engine = engine
        self._lock = threading.Lock()  # the engine keeps what it works on in itself

    @classmethod
    def open(cls) -> Self:
        """Load both networks.

        Raises:
            RuleDataError: a file is missing, or not the one that was measured.
        """
        for file in (DETECTION, RECOGNITION):
            file.read()
        from rapidocr.main import RapidOCR  # noqa: PLC0415 - brings OpenCV, which only pictures need

        return cls(
            RapidOCR(
                params={
                    "Global.log_level": "error",
                    "Global.use_cls": False,
                    "Det.model_path": str(DETECTION.find()),
                    "Det.limit_type": "max",
                    "Det.limit_side_len": MAX_SIDE,
                    "Det.max_candidates": 4 * MAX_PIECES,
                    "Rec.model_path": str(RECOGNITION.find()),
                    "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                }
            )
        )

    def read(self, pixels: npt.NDArray[np.uint8]) -> tuple[Line, ...]:
        """Return the text of (H, W, 3) 8-bit RGB pixels, from the top left to the bottom right.

        Raises:
            RuleError: there is more text than can be read in time.
        """
        from rapidocr.main import RapidOCRError  # noqa: PLC0415 - see `open`

        with self._lock:
            bgr = np.ascontiguousarray(pixels[:, :, ::-1])
            prepared, record = self._engine.preprocess_img(bgr)
            try:
                pieces, _ = self._engine.detect_and_crop(prepared, record)
            except RapidOCRError:  # its way of saying that there is no text
                return ()
            if len(pieces) > MAX_PIECES:
                raise RuleError("watermark", f"the picture has more than {MAX_PIECES} pieces of text")
            read = self._engine.recognize_txt(pieces)
        return tuple(
            Line(text=text.strip(), certainty=float(certainty))
            for text, certainty in zip(read.txts or (), read.scores or (), strict=True)
            if text.strip()
        )
