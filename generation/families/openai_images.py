"""Pictures drawn by an image server that the operator already runs: LocalAI, vLLM-Omni, SGLang and others.

A picture is one step: the server's answer. While it is awaited the engine goes on with others; the requests
run on an event loop of their own, so that nobody waits for a thread. What arrives is checked like an upload.
The bits are those of a foreign program, so the profile says that no replay will give them again.
"""

from __future__ import annotations

import asyncio
import io
import threading
import warnings
import weakref
from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from PIL import Image, ImageOps
from pydantic import SecretStr

from generation.card import ModelCard
from generation.errors import ImageServerError, JobCancelledError, ModelLoadError, SourceImageError
from generation.families.base import Decoded, Mask, Pixels, Service
from generation.image_client import ImageClient, Value
from generation.image_server import ImageServer, Sent
from generation.job import ImageRequest
from generation.pictures import decode_source, to_png

WHY_NO_REPLAY: Final = "the picture was drawn by an image server that is no part of this program"
_SLACK: Final = 0.02  # how far the shape of an answer may be from the one asked for
_MOST_PIXELS: Final = 4096 * 4096


@dataclass(kw_only=True, slots=True, eq=False)
class ServerRow:
    """One picture that the server has been asked for."""

    request: ImageRequest
    answer: Future[bytes]
    file: bytes = b""
    step: int = 0
    steps: int = 1

    @property
    def ready(self) -> bool:
        """Whether the server has answered, or failed to."""
        return self.answer.done()

    def abandon(self) -> None:
        """Nobody waits for it: close its connection."""
        self.answer.cancel()


class OpenAIImagesFamily:
    """Models that an image server has.

    Args:
        secret: name of an environment variable -> SecretStr, or None where it is not set.
        wake: called from another thread when an answer has come.
    """

    uses: ClassVar[tuple[str, ...]] = ("secret", "wake")

    def __init__(self, *, secret: Service | None = None, wake: Service | None = None) -> None:
        self._secret, self._wake = secret, wake

    def load(self, card: ModelCard, *, device: str) -> ServerModel:
        """Prepare to ask; nothing is sent yet, and the device stays as it is.

        Raises:
            ModelLoadError: the card names no server, or its API key is not set.
        """
        del device
        if card.server is None:
            raise ModelLoadError(card.id, "its card has no [model.server] table")
        return ServerModel(card, card.server, key=key_of(card, self._secret), wake=self._wake)


def key_of(card: ModelCard, secret: Service | None) -> SecretStr | None:
    """The API key that a card names; None: it names none.

    Raises:
        ModelLoadError: its variable is not set.
    """
    name = card.server.api_key_env if card.server else None
    if name is None:
        return None
    key = secret(name) if secret else None
    if not isinstance(key, SecretStr):
        raise ModelLoadError(card.id, f"the environment variable {name}, its server's API key, is not set")
    return key


class ServerModel:
    """A server that can be asked; its event loop ends with this object."""

    def __init__(
        self, card: ModelCard, server: ImageServer, *, key: SecretStr | None, wake: Service | None
    ) -> None:
        self._card, self._server, self._wake = card, server, wake
        self._client = ImageClient(server, key=key)
        self._loop = asyncio.new_event_loop()
        thread = threading.Thread(
            target=_serve, args=(self._loop, self._client), name="verso-image-server", daemon=True
        )
        thread.start()
        self._end = weakref.finalize(self, self._loop.call_soon_threadsafe, self._loop.stop)

    def close(self) -> None:
        """Drop what is under way and end the event loop; does not wait."""
        self._end()

    def prepare(
        self, request: ImageRequest, *, index: int, source: Pixels | None, mask: Mask | None = None
    ) -> ServerRow:
        """See `LoadedModel.prepare`; the request is sent as soon as the server has room."""
        values = self._values(request, index=index, redraws=source is not None)
        if source is None:
            asked = self._client.generate(values)
        else:
            image = to_png(_fitted(source, request))
            asked = self._client.edit(
                values, image=image, mask=None if mask is None else _mask_png(_fitted(mask, request))
            )
        answer = asyncio.run_coroutine_threadsafe(asked, self._loop)
        if self._wake is not None:
            wake = self._wake
            answer.add_done_callback(lambda _: wake())
        return ServerRow(request=request, answer=answer)

    def compatibility(self, row: ServerRow) -> Hashable:
        """See `LoadedModel.compatibility`: nothing is shared, so nothing keeps rows apart."""
        del row
        return "openai_images"

    def denoise(self, rows: Sequence[ServerRow], *, pad_to: int | None = None) -> None:
        """Take the answers; whoever does not ask for `ready` first waits here.

        Raises:
            ImageServerError: there is no picture.
        """
        del pad_to
        for row in rows:
            try:
                row.file = row.answer.result()
            except CancelledError:
                raise JobCancelledError("the picture was abandoned") from None
            row.step = 1

    def preview(self, row: ServerRow) -> Pixels | None:
        """None: the server shows nothing before the end."""
        del row
        return None

    def decode(self, row: ServerRow) -> Decoded:
        """Read the file as the hostile thing it may be, and scale it where the server has sizes of its own.

        Raises:
            ImageServerError: it is no picture, or one of another shape than was asked for.
        """
        wanted = (row.request.width, row.request.height)
        size = _checked_size(row.file, wanted)
        try:
            pixels = decode_source(row.file)
        except SourceImageError:
            raise ImageServerError("answers with a damaged picture") from None
        if size == wanted:
            return Decoded(pixels=pixels)
        scaled = Image.fromarray(pixels).resize(wanted, Image.Resampling.LANCZOS)
        note = f"Drawn at {size[0]} x {size[1]} px by the image server, and scaled."
        return Decoded(pixels=np.asarray(scaled, np.uint8), note=note)

    def facts(self, row: ServerRow) -> Mapping[str, str | int | float | bool | None]:
        """See `LoadedModel.facts`; what happens inside the server is not known here."""
        del row
        return {
            "noise_scheduler": "",
            "noise_scheduler_sha256": None,
            "dtype": "",
            "embeddings_sha256": None,
            "latents_sha256": None,
            "replayable": False,
            "not_replayable_because": WHY_NO_REPLAY,
            "server_interface": "OpenAI Images",
            "server_model": self._server.model,
            "server_told": ",".join(self._server.fields),  # what it was told beside words and size
        }

    def _values(self, request: ImageRequest, *, index: int, redraws: bool) -> dict[str, Value]:
        values: dict[str, Value] = {
            "prompt": request.prompt.encode("utf-8", "replace").decode(),
            "size": f"{request.width}x{request.height}",
        }
        own: dict[Sent, Value | None] = {
            "seed": request.seed + index,
            "negative_prompt": request.negative_prompt.encode("utf-8", "replace").decode() or None,
            "num_inference_steps": request.num_inference_steps,
            "guidance_scale": request.guidance_scale,
            "strength": request.strength if redraws else None,
        }
        for name, field in self._server.fields.items():
            value = own[name]
            if value is not None:
                values[field] = value
        return values


def _serve(loop: asyncio.AbstractEventLoop, client: ImageClient) -> None:
    """Run the loop until it is stopped; then end what is still under way."""
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(client.close())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


def _fitted(picture: Pixels | Mask, request: ImageRequest) -> Pixels:
    """Cropped around the center and scaled to the request's size, as the other families do it."""
    size = (request.width, request.height)
    return np.asarray(ImageOps.fit(Image.fromarray(picture), size, Image.Resampling.LANCZOS), np.uint8)


def _mask_png(mask: Mask) -> bytes:
    """Where to draw: clear, as OpenAI has it, and white, as the servers have it that look at colors."""
    drawn = np.where(mask >= 128, 255, 0).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(np.dstack([drawn, drawn, drawn, 255 - drawn])).save(stream, "PNG")
    return stream.getvalue()


def _checked_size(file: bytes, wanted: tuple[int, int]) -> tuple[int, int]:
    """The size that a picture's header states, if it may be decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # judged below
            with Image.open(io.BytesIO(file), formats=("PNG", "JPEG", "WEBP")) as picture:
                width, height = picture.size
    except Image.DecompressionBombError:
        raise ImageServerError("answers with a picture that is far too large") from None
    except Exception:  # noqa: BLE001 - Pillow raises whatever a damaged file makes it stumble over
        raise ImageServerError("answers with something that is no PNG, JPEG or WebP picture") from None
    if width * height > _MOST_PIXELS:
        raise ImageServerError(f"answers with a picture of {width} x {height} px")
    if abs(width * wanted[1] - height * wanted[0]) > _SLACK * height * wanted[0]:
        raise ImageServerError(
            f"answers with {width} x {height} px where {wanted[0]} x {wanted[1]} were asked for"
        )
    return width, height
