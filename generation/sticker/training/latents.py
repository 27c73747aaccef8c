"""Fixed target latents: a PCA of 8 x 8 pixel patches.

The autoencoder's latents are anchored to them, so that its decoder and the U-Net can be trained apart, at the
same time, from the first minute on.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from generation.sticker.colors import Pixels
from generation.sticker.packages import DatasetError
from generation.sticker.training.pictures import PictureFolder, to_patches

CHANNELS = 12
SHIPPED = Path(__file__).with_name("latents.npz")
"""The map that the shipped model was trained with; a model that goes on from it needs the same."""
_FLATTEN = 0.6  # component i is divided by its deviation to this power: details keep less weight than shapes
_PICTURES = 1200
_PATCHES = 120_000


@dataclass(frozen=True, slots=True)
class PatchLatents:
    """The linear map from patches to latents."""

    mean: npt.NDArray[np.float32]  # (192,)
    basis: npt.NDArray[np.float32]  # (192, 12)
    scale: npt.NDArray[np.float32]  # (12,)

    @classmethod
    def open(cls, path: Path, pictures: PictureFolder) -> Self:
        """Load the map from `path`, or fit and save it there.

        Raises:
            DatasetError: the file is damaged.
        """
        if not path.exists():
            fitted = cls.fit(pictures)
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(path, mu=fitted.mean, V=fitted.basis, sc=fitted.scale)
            return fitted
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return cls(arrays["mu"], arrays["V"], arrays["sc"])
        except (OSError, ValueError, KeyError) as error:
            raise DatasetError(f"{path} holds no latents: {error}") from error

    @classmethod
    def fit(cls, pictures: PictureFolder) -> Self:
        """Fit the map to composed training pictures."""
        rng = random.Random(0)
        sampled = np.stack([pictures.sample(rng)[0] for _ in range(_PICTURES)]).astype(np.float32) / 127.5 - 1
        patches = to_patches(sampled).reshape(-1, 192)
        chosen = patches[np.random.default_rng(0).permutation(len(patches))[:_PATCHES]]
        mean = chosen.mean(0)
        values, vectors = np.linalg.eigh(np.cov((chosen - mean).T))
        basis = vectors[:, ::-1][:, :CHANNELS]
        scale = np.sqrt(values[::-1][:CHANNELS]) ** _FLATTEN
        scale = scale * (((chosen - mean) @ basis) / scale).std()
        return cls(mean.astype(np.float32), basis.astype(np.float32), scale.astype(np.float32))

    def weights(self) -> npt.NDArray[np.float32]:
        """What an error of each channel weighs in training (12,), 1 on average: by how much it shows."""
        return np.asarray(self.scale / self.scale.mean(), np.float32)

    def encode(self, pixels: Pixels) -> npt.NDArray[np.float32]:
        """(n, H, W, 3) sRGB -> (n, 12, H / 8, W / 8)."""
        patches = to_patches(pixels.astype(np.float32) / 127.5 - 1)
        return np.ascontiguousarray(
            (((patches - self.mean) @ self.basis) / self.scale).transpose(0, 3, 1, 2), np.float32
        )
