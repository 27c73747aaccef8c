"""The models in memory: loaded when first needed, and the least recently used one makes room."""

from __future__ import annotations

import gc
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from generation.card import ModelCard
from generation.errors import ModelLoadError
from generation.families import open_family
from generation.families.base import Closable, InFlight, LoadedModel, Service

_log = logging.getLogger(__name__)


class ModelShelf:
    """Loaded models of one device. Used by one thread."""

    def __init__(self, *, device: str, room: int, services: Mapping[str, Service]) -> None:
        self._device = device
        self._room = max(1, room)
        self._services = services
        self._loaded: OrderedDict[str, LoadedModel[InFlight]] = OrderedDict()
        self._served: dict[str, LoadedModel[InFlight]] = {}  # on image servers: they take no room here

    def get(
        self, card: ModelCard, *, in_use: Callable[[LoadedModel[InFlight]], bool]
    ) -> LoadedModel[InFlight]:
        """The card's model, loaded.

        Args:
            card: of the model.
            in_use: whether a loaded model has pictures in flight, and so cannot make room.

        Raises:
            ModelLoadError: the files are not those of the card, or cannot be loaded.
            OutOfMemoryError: the device is too small.
        """
        if card.server is not None:
            if card.id not in self._served:
                self._served[card.id] = self._load(card)
            return self._served[card.id]
        if card.id in self._loaded:
            self._loaded.move_to_end(card.id)
            return self._loaded[card.id]
        idle = [name for name, model in self._loaded.items() if not in_use(model)]
        for name in idle[: max(0, len(self._loaded) + 1 - self._room)]:
            del self._loaded[name]
            gc.collect()  # the weights may sit in reference cycles
        started = time.monotonic()
        digest = card.digest()
        if digest != card.weights_sha256:
            # The record would name weights that did not draw the picture.
            raise ModelLoadError(
                card.id,
                f"the files are not those of the card: weights_sha256 is {digest}, not {card.weights_sha256}",
            )
        model = self._load(card)
        _log.info("model %s loaded in %.1f s", card.id, time.monotonic() - started)
        self._loaded[card.id] = model
        return model

    def clear(self) -> None:
        """Forget all models."""
        self._loaded.clear()
        for model in self._served.values():
            if isinstance(model, Closable):
                model.close()
        self._served.clear()
        gc.collect()

    def _load(self, card: ModelCard) -> LoadedModel[InFlight]:
        return open_family(card.family, **self._services).load(card, device=self._device)
