"""Enlarges small pictures four times with Real-ESRGAN (animevideov3), run by ncnn on the CPU.

Source: Wang et al., "Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic Data", 2021.
The weights lie in `embedded/upscaler/` with their license (BSD-3-Clause).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from generation.errors import GenerationError

FACTOR = 4
FOLDER = Path(__file__).parent / "embedded" / "upscaler"
_NAME = "realesr-animevideov3-x4"


class UpscalerError(GenerationError):
    """The upscaler's files cannot be loaded or run."""

    code = "upscaler"


class Upscaler:
    """The loaded network; not for use by two threads at once."""

    def __init__(self, folder: Path = FOLDER) -> None:
        import ncnn  # noqa: PLC0415 - loaded with the model, not with this module

        self._ncnn = ncnn
        self._net = ncnn.Net()
        self._net.opt.use_vulkan_compute = False
        self._net.opt.num_threads = 1  # one thread: the same bits on every machine of a kind
        parameters, weights = folder / f"{_NAME}.param", folder / f"{_NAME}.bin"
        if not (parameters.is_file() and weights.is_file()):
            raise UpscalerError(f"the upscaler's weights are missing in {folder}")
        if self._net.load_param(str(parameters)) or self._net.load_model(str(weights)):
            raise UpscalerError(f"the upscaler's weights in {folder} are damaged")

    def enlarge(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Enlarge (H, W, 3) sRGB to (4 H, 4 W, 3).

        Raises:
            UpscalerError: the network cannot be run.
        """
        planes = np.ascontiguousarray(pixels.transpose(2, 0, 1).astype(np.float32) / 255)
        given = self._ncnn.Mat(planes)  # borrows the memory of `planes`, which must outlive it
        extractor = self._net.create_extractor()
        extractor.input("data", given)
        status, result = extractor.extract("output")
        if status:
            raise UpscalerError(f"the upscaler failed with status {status}")
        enlarged = np.array(result).transpose(1, 2, 0)
        del given, planes
        pixels_out: npt.NDArray[np.uint8] = np.rint(np.clip(enlarged, 0, 1) * 255).astype(np.uint8)
        return pixels_out
