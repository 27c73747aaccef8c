"""CLIP as the scorer of every model: from a folder in the layout of `transformers`, nothing is downloaded.

Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from transformers import CLIPModel, CLIPProcessor

from generation.card import weights_digest
from generation.errors import ModelLoadError
from generation.similarity import Pixels


class ClipSimilarity:
    """A loaded CLIP model, on the CPU.

    Args:
        folder: configuration, tokenizer, image processor and safetensors weights. A model from a hub is
            fetched into a folder first (`verso models fetch`).

    Raises:
        ModelLoadError: a file is missing or damaged, or the weights are no safetensors.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._model = CLIPModel.from_pretrained(  # in evaluation mode
                folder, local_files_only=True, use_safetensors=True, trust_remote_code=False
            )
            self._processor = CLIPProcessor.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
            raise ModelLoadError("clip", (str(error).splitlines() or [repr(error)])[0]) from error
        self._lock = threading.Lock()
        self.name = f"clip-{weights_digest(folder)[:12]}"

    def similarity(self, images: Sequence[Pixels], text: str) -> tuple[float, ...]:
        """A cosine for each picture (H, W, 3); the text is cut at the model's length (77 tokens)."""
        if not images:
            return ()
        given = self._processor(
            text=[text],
            images=[Image.fromarray(image) for image in images],
            return_tensors="pt",
            padding=True,
            truncation=True,
        )
        with self._lock, torch.inference_mode():
            found = self._model(**given)
            pictures = torch.nn.functional.normalize(found.image_embeds, dim=1)
            words = torch.nn.functional.normalize(found.text_embeds, dim=1)
        return tuple(float(value) for value in (pictures @ words.T)[:, 0])
