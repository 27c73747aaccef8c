"""What the trainings of the autoencoder and of its decoder share: optimizer, schedule and checkpoint."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from generation.sticker.training.run import Average, Clock, History, check_model, save_state

if TYPE_CHECKING:
    import torch

_DECAY = 0.998


def open_autoencoder(start: Path) -> Any:  # noqa: ANN401 - diffusers builds its classes at run time
    """The autoencoder of an exported model, in float32.

    Raises:
        DatasetError: `start` is no model folder.
    """
    import diffusers  # noqa: PLC0415
    import torch  # noqa: PLC0415

    check_model(start, "vae")
    hub: Any = diffusers
    return hub.AutoencoderKL.from_pretrained(
        start / "vae", torch_dtype=torch.float32, local_files_only=True
    ).train()


class AutoencoderRun:
    """An autoencoder with the optimizer of its trainable parameters, as a checkpoint keeps them.

    Args:
        out: holds `last.pt` (all state), `vae/` (the average) and the history.
        model: of diffusers; parameters that ask for no gradient are left alone.
        rate: the highest; it warms up, then follows a cosine over `steps`.
        warm_up: steps.
        steps: of the whole schedule.
        minutes: of this run at most; None: no limit.
        history: name of the file of losses.
    """

    def __init__(
        self,
        out: Path,
        model: Any,  # noqa: ANN401 - see `open_autoencoder`
        *,
        rate: float,
        warm_up: int,
        steps: int,
        minutes: float | None,
        history: str,
    ) -> None:
        import torch  # noqa: PLC0415

        self.model = model
        self.out = out
        self._rate, self._warm_up, self._steps = rate, warm_up, steps
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self._optimizer = torch.optim.AdamW(
            self._parameters, lr=rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True
        )
        self.average = Average(self._parameters, decay=_DECAY)
        self.step, spent = 0, 0.0
        last = out / "last.pt"
        if last.exists():
            state = torch.load(last, weights_only=True)
            model.load_state_dict(state["m"])
            self._optimizer.load_state_dict(state["opt"])
            self.average.values = state["ema"]
            self.step, spent = state["step"], state["spent"]
        self.clock = Clock(minutes=minutes, spent=spent)
        self._history = History.open(out / history)

    def descend(self, loss: torch.Tensor, *, shown: torch.Tensor) -> float | None:
        """Take one step down `loss`; returns the mean of `shown` now and then."""
        import torch  # noqa: PLC0415

        done = 0.5 * (1 + math.cos(math.pi * self.step / self._steps)) * 0.97 + 0.03
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate * min(1, (self.step + 1) / self._warm_up) * done
        back: Any = loss.backward  # torch gives it no type
        back()
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.average.update(self.step)
        return self._history.add(self.step, float(shown.detach()))

    def save(self) -> None:
        """Write the state, the averaged autoencoder and the history."""
        state = {
            "m": self.model.state_dict(),
            "opt": self._optimizer.state_dict(),
            "ema": self.average.values,
            "step": self.step,
            "spent": self.clock.spent,
        }
        save_state(state, self.out / "last.pt")
        with self.average.applied():
            self.model.save_pretrained(self.out / "vae")
        self._history.save()
