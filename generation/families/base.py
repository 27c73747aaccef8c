"""What a model family is: the four steps from a request to pixels, cut so that an engine can interleave them.

A *family* knows how to load one kind of model folder. A *loaded model* turns a request into a row that is
in flight, moves rows one denoising step at a time, and decodes a finished row. The engine owns the loop, so
several requests advance together and each can be cancelled between any two steps (the contract that vLLM-Omni
calls `prepare_encode / denoise_step / step_scheduler / post_decode`).

Everything here is called on the engine's own thread, never on the event loop and never by two threads at
once, but for `decode`: a thread of its own finishes one picture while the engine's goes on with others. So
`decode` shares no state with the rest but weights, which nobody writes. A family raises only
`GenerationError`s on purpose; the engine maps every other exception to one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from generation.card import ModelCard
from generation.job import Credit, ImageRequest

Pixels = npt.NDArray[np.uint8]
"""(H, W, 3) 8-bit sRGB, row-major."""

Mask = npt.NDArray[np.uint8]
"""(H, W) 8-bit, of the same size as its picture: 255 where to draw, 0 where the picture stays."""

Service = Callable[..., object]
"""An ability of another trade that the composition hands in, e.g. `embed(texts) -> (n, 512) float32`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoded:
    """One finished picture, before it becomes a PNG."""

    pixels: Pixels  # (height, width, 3) of the request
    credits: tuple[Credit, ...] = ()  # the pictures this one rests on
    note: str | None = None  # honest remark for the reader


class InFlight(Protocol):
    """One picture on its way: its own noise scheduler, generator, latents, embeddings and guidance.

    Families implement it as a mutable slotted dataclass of their own; the engine reads only what stands here.
    """

    @property
    def step(self) -> int:
        """Denoising steps done so far, from 0."""

    @property
    def steps(self) -> int:
        """Denoising steps in all; 0 is allowed for a picture that needs none. Done when `step >= steps`."""


@runtime_checkable
class Awaited(Protocol):
    """A picture in flight whose next step is done elsewhere: the engine does not wait for it.

    Its family calls the service `wake` when it is ready, from any thread.
    """

    @property
    def ready(self) -> bool:
        """Whether `denoise` would return at once, or fail."""

    def abandon(self) -> None:
        """Nobody wants it any more; does not wait."""


@runtime_checkable
class Closable(Protocol):
    """A loaded model with something that outlives it, such as a thread."""

    def close(self) -> None:
        """Let go of it; does not wait."""


def is_ready(row: InFlight) -> bool:
    """Whether a picture can take its next step now."""
    return not isinstance(row, Awaited) or row.ready


Row = TypeVar("Row", bound=InFlight)


class LoadedModel(Protocol[Row]):
    """A model in memory, ready to draw."""

    def prepare(self, request: ImageRequest, *, index: int, source: Pixels | None) -> Row:
        """Start picture `index` of the request.

        A family that in-paints also takes `mask: Mask | None = None`; the engine passes it only for models
        whose card has the ability "inpaint".

        Encodes the words, makes the generator from `request.seed + index`, the noise scheduler, the initial
        latents and the first step. All randomness comes from that generator: equal requests, equal pixels.

        Args:
            request: sizes and steps are within the card's limits: the queue has checked them.
            index: 0-based place in the job.
            source: the decoded source picture of img2img, of any size; None for text-to-image.

        Raises:
            RequestLimitError: the family cannot draw this, e.g. a size that it does not divide.
        """

    def compatibility(self, row: Row) -> Hashable:
        """Rows with equal keys may share a forward pass: latent shape, dtype, text length, weights."""

    def denoise(self, rows: Sequence[Row], *, pad_to: int | None = None) -> None:
        """Advance each of the compatible rows by one step: one forward, then each row's own scheduler step.

        Args:
            rows: at least one; all with the same compatibility key, none of them done.
            pad_to: fill the forward up to so many rows by repeating the first one. Of all that neighbours do,
                only their number changes a row's bits, so a constant number makes it reproducible. None: no
                padding, and a row alone has the bits of the plain pipeline. With any number, a family may
                use an arithmetic that depends less on how many rows there are.
        """

    def preview(self, row: Row) -> Pixels | None:
        """A cheap small picture of the present state, longest side at most 128 px; None if there is none."""

    def decode(self, row: Row) -> Decoded:
        """Turn a finished row into pixels of exactly the requested size."""

    def facts(self, row: Row) -> Mapping[str, str | int | float | bool | None]:
        """What a replay must find equal, beyond the request and the weights.

        Called after the last step, before `decode`. At least `noise_scheduler` (class name), `dtype`,
        `noise_scheduler_sha256` (digest of its configuration), `embeddings_sha256` and `latents_sha256` (of
        the final latents).
        """


class Family(Protocol[Row]):
    """Loads one kind of model folder.

    The constructor takes, as optional keyword arguments, the services named in `uses`.
    """

    uses: ClassVar[tuple[str, ...]]  # names of the services the constructor accepts; often ()

    def load(self, card: ModelCard, *, device: str) -> LoadedModel[Row]:
        """Read the weights in `card.folder`, safetensors only, onto `device` ("cpu" or "cuda[:n]").

        Raises:
            ModelLoadError: a file is missing, damaged, of a refused kind, or a needed service was not given.
        """
