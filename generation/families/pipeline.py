"""Any other diffusers pipeline, run as it is, one picture at a time: ControlNet, refiners, what comes next.

A pipeline owns its loop, so it runs on a thread of its own that stands still at the end of each step
(`callback_on_step_end`) until the engine gives the next one. Only one of the two threads ever runs; a picture
that nobody wants any more ends at that point.
"""

from __future__ import annotations

import copy
import inspect
import threading
import weakref
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image, ImageOps

from generation.card import ModelCard
from generation.errors import GenerationError, ModelLoadError, RequestLimitError
from generation.families.base import Decoded, Mask, Pixels
from generation.families.diffusion_folder import PICKLES, attempt, read_index
from generation.families.latents import readable, tensor_sha256
from generation.families.lora import lora_facts, merge_loras
from generation.families.noise_schedulers import config_sha256, make_noise_scheduler
from generation.families.offline import quiet_and_offline
from generation.job import ImageRequest

_LIBRARIES = frozenset({"diffusers", "transformers"})


class _AbandonedError(Exception):
    """Ends a pipeline in the middle: nobody waits for its picture."""


class _Run:
    """A pipeline's call on its thread; knows nothing of the row, whose end ends it."""

    def __init__(self, pipeline: Any, arguments: dict[str, object]) -> None:  # noqa: ANN401 - untyped library
        self.picture: Image.Image | None = None
        self.error: Exception | None = None
        self.latents: torch.Tensor | None = None
        self.over = False
        self._threads = torch.get_num_threads()  # holds for the calling thread only
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._stop = False
        self._thread = threading.Thread(
            target=self._call, args=(pipeline, arguments), name="verso-pipeline", daemon=True
        )
        self._thread.start()

    def advance(self) -> None:
        """Let the pipeline take a step, and wait for its end."""
        self._go.release()
        self._back.acquire()
        if self.error is not None:
            raise self.error

    def abandon(self) -> None:
        """End it without a picture; does not wait."""
        self._stop = True
        self._go.release()

    def _call(self, pipeline: Any, arguments: dict[str, object]) -> None:  # noqa: ANN401
        self._go.acquire()
        try:
            if not self._stop:
                torch.set_num_threads(self._threads)
                self.picture = pipeline(**arguments, callback_on_step_end=self._pause).images[0]
        except _AbandonedError:
            return
        except Exception as error:  # noqa: BLE001 - raised again on the engine's thread
            self.error = error
        self.over = True
        self._back.release()

    def _pause(
        self, _pipeline: object, _step: int, _time: object, values: dict[str, object]
    ) -> dict[str, object]:
        latents = values.get("latents")
        self.latents = latents if isinstance(latents, torch.Tensor) else None
        self._back.release()
        self._go.acquire()
        if self._stop:
            raise _AbandonedError
        return values


@dataclass(kw_only=True, slots=True, weakref_slot=True, eq=False)
class PipelineRow:
    """One picture on its way."""

    request: ImageRequest
    steps: int
    run: _Run
    noise_scheduler: Any
    dtype: torch.dtype
    step: int = 0


class PipelineFamily:
    """Folders that `DiffusionPipeline.from_pretrained` reads without code of their own."""

    uses: ClassVar[tuple[str, ...]] = ()

    def load(self, card: ModelCard, *, device: str) -> LoadedPipeline:
        """See `Family.load`."""
        pickles = sorted(path for path in card.folder.rglob("*") if path.suffix in PICKLES)
        if pickles:
            name = pickles[0].relative_to(card.folder).as_posix()
            raise ModelLoadError(
                card.id, f"{name} is a pickle, which can run code: only safetensors are loaded"
            )
        quiet_and_offline()
        import diffusers  # noqa: PLC0415 - heavy, and only after `quiet_and_offline`

        index = read_index(card)
        class_name = index.get("_class_name")
        pipeline_class = getattr(diffusers, class_name, None) if isinstance(class_name, str) else None
        if not (isinstance(pipeline_class, type) and issubclass(pipeline_class, diffusers.DiffusionPipeline)):
            raise ModelLoadError(card.id, f"{class_name!r} is not a pipeline of diffusers")
        if "callback_on_step_end" not in inspect.signature(pipeline_class.__call__).parameters:
            raise ModelLoadError(card.id, f"{class_name} cannot be stopped between two steps")
        for part, entry in index.items():
            if isinstance(entry, list) and entry[0] not in {None, *_LIBRARIES}:
                raise ModelLoadError(card.id, f"{part}: brings code of its own, which is never run")
        options = {"variant": card.options["variant"]} if "variant" in card.options else {}
        dtype = torch.float16 if device.startswith("cuda") else torch.float32
        load: Callable[..., Any] = pipeline_class.from_pretrained
        pipeline = attempt(
            card,
            str(class_name),
            lambda: load(card.folder, local_files_only=True, use_safetensors=True, **options).to(
                device, dtype
            ),
        )
        merge_loras(card, pipeline)
        return LoadedPipeline(card, pipeline)


class LoadedPipeline:
    """See `LoadedModel`."""

    def __init__(self, card: ModelCard, pipeline: Any) -> None:  # noqa: ANN401 - untyped library
        self.card = card
        self.pipeline = pipeline

    def prepare(
        self, request: ImageRequest, *, index: int, source: Pixels | None, mask: Mask | None = None
    ) -> PipelineRow:
        """See `LoadedModel.prepare`; the pipeline starts with the first step."""
        pipeline = copy.copy(self._pipeline_for(source, mask))  # calls leave their marks on a pipeline
        scheduler: Any = make_noise_scheduler(self.pipeline.scheduler, request.noise_scheduler)
        pipeline.scheduler = scheduler
        pipeline.set_progress_bar_config(disable=True)
        steps = request.num_inference_steps
        arguments: dict[str, object] = {
            "prompt": readable(request.prompt),
            "negative_prompt": readable(request.negative_prompt),
            "num_inference_steps": steps,
            "guidance_scale": request.guidance_scale,
            "width": request.width,
            "height": request.height,
            "generator": torch.Generator("cpu").manual_seed(request.seed + index),
            "output_type": "pil",
        }
        size = (request.width, request.height)
        if source is not None:
            arguments["image"] = ImageOps.fit(Image.fromarray(source), size, Image.Resampling.LANCZOS)
            if request.strength is not None:
                arguments["strength"] = max(request.strength, 1 / steps)  # at least one step
        if mask is not None:
            arguments["mask_image"] = ImageOps.fit(Image.fromarray(mask), size, Image.Resampling.LANCZOS)
        known = inspect.signature(pipeline.__call__).parameters
        run = _Run(pipeline, {name: value for name, value in arguments.items() if name in known})
        row = PipelineRow(
            request=request, steps=steps, run=run, noise_scheduler=scheduler, dtype=self.pipeline.dtype
        )
        weakref.finalize(row, run.abandon)
        return row

    def compatibility(self, row: PipelineRow) -> Hashable:
        """See `LoadedModel.compatibility`: each runs alone, so nothing keeps rows apart."""
        del row
        return "pipeline"

    def denoise(self, rows: Sequence[PipelineRow], *, pad_to: int | None = None) -> None:
        """See `LoadedModel.denoise`; padding would change nothing, as no two pictures share a forward."""
        del pad_to
        for row in rows:
            row.run.advance()
            if row.step + 1 == row.steps:
                while not row.run.over:  # it decodes its picture; some pipelines also take further steps
                    row.run.advance()
            row.step = row.steps if row.run.over else row.step + 1  # img2img takes fewer

    def preview(self, row: PipelineRow) -> Pixels | None:
        """None: what its latents mean is known to the pipeline alone."""
        del row
        return None

    def decode(self, row: PipelineRow) -> Decoded:
        """See `LoadedModel.decode`."""
        if row.run.picture is None:
            raise GenerationError("the pipeline gave no picture")
        picture = row.run.picture.convert("RGB")
        size = (row.request.width, row.request.height)
        if picture.size != size:
            picture = ImageOps.fit(picture, size, Image.Resampling.LANCZOS)
        return Decoded(pixels=np.asarray(picture, np.uint8))

    def facts(self, row: PipelineRow) -> Mapping[str, str | int | float | bool | None]:
        """See `LoadedModel.facts`; embeddings stay inside the pipeline."""
        return {
            "pipeline": type(self.pipeline).__name__,
            "noise_scheduler": type(row.noise_scheduler).__name__,
            "noise_scheduler_sha256": config_sha256(row.noise_scheduler),
            "dtype": str(row.dtype).removeprefix("torch."),
            "embeddings_sha256": None,
            "latents_sha256": None if row.run.latents is None else tensor_sha256(row.run.latents),
            **lora_facts(self.card),
        }

    def _pipeline_for(self, source: Pixels | None, mask: Mask | None) -> Any:  # noqa: ANN401
        """The pipeline itself, or its sister that takes what is given."""
        needed = "mask_image" if mask is not None else "image" if source is not None else None
        if needed is None or needed in inspect.signature(self.pipeline.__call__).parameters:
            return self.pipeline
        import diffusers  # noqa: PLC0415 - loaded with the model

        library: Any = diffusers
        sisters = (
            library.AutoPipelineForInpainting if mask is not None else library.AutoPipelineForImage2Image
        )
        try:
            sister = sisters.from_pipe(self.pipeline)
        except ValueError:  # it has none
            sister = None
        if sister is None or "control_image" in inspect.signature(sister.__call__).parameters:
            field = "mask" if mask is not None else "source"  # we have one picture to give, not two
            raise RequestLimitError(field=field, value="", limit=f"model {self.card.id} cannot do this")
        return sister
