"""Makes a U-Net's arithmetic depend less on how many pictures share a forward.

Nearly all layers see hundreds of rows for each picture (pixels, tokens), and libraries treat these alike for
few pictures and for many. But the layers that embed the timestep see one row for each picture, and a matrix
product of one, two or four rows is computed in different orders, with different last bits. Filled up to a
fixed number of rows, which costs next to nothing, these layers give the same bits for every count; whether
the whole forward then does is for `generation.self_test` to find out.
"""

from __future__ import annotations

from typing import Any

import torch

_ROWS = 32  # of network input; more are filled up to a multiple
_EMBEDDINGS = ("time_embedding.", "add_embedding.")
_PROJECTION = ".time_emb_proj"


class RowLayers:
    """The layers of one U-Net that see one row for each picture; used by one thread."""

    def __init__(self, network: torch.nn.Module) -> None:
        """Find them; the network stays as it is until `filled` is first set."""
        self._layers = [
            layer
            for name, layer in network.named_modules()
            if isinstance(layer, torch.nn.Linear)
            and (name.startswith(_EMBEDDINGS) or name.endswith(_PROJECTION))
        ]
        self._hooked = False
        self._filled = False
        self._rows = 0

    def fill(self, wanted: bool) -> None:  # noqa: FBT001 - a switch
        """Fill them up from now on, or leave them as the plain pipeline has them."""
        self._filled = wanted
        if wanted and not self._hooked:
            self._hooked = True
            for layer in self._layers:
                layer.register_forward_pre_hook(self._before)
                layer.register_forward_hook(self._after)

    def _before(self, _layer: torch.nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if not self._filled:
            return None
        rows: torch.Tensor = inputs[0]
        self._rows = len(rows)
        missing = -len(rows) % _ROWS
        return (torch.cat([rows, rows[:1].expand(missing, -1)]), *inputs[1:]) if missing else None

    def _after(
        self, _layer: torch.nn.Module, _inputs: tuple[Any, ...], output: torch.Tensor
    ) -> torch.Tensor | None:
        return output[: self._rows].contiguous() if self._filled else None
