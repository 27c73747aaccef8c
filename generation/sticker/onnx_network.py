"""The sticker model's networks on ONNX Runtime: less CPU time than torch's for the same pixels.

The graphs (`graphs/*.onnx`) hold no weights; those come out of the model folder's safetensors files. In
float32 the outputs stay within 1e-5 of torch's, and one thread gives the bits of two.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from generation.errors import ModelLoadError
from generation.sticker.network import Network
from generation.sticker.onnx_export import GRAPHS, PARTS, architecture_sha256

_log = logging.getLogger(__name__)

_WEIGHTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "unet": ("diffusion_pytorch_model.safetensors", ("",)),
    "vae_encoder": ("diffusion_pytorch_model.safetensors", ("encoder.", "quant_conv.")),
    "vae_decoder": ("diffusion_pytorch_model.safetensors", ("decoder.", "post_quant_conv.")),
    "text_encoder": ("model.safetensors", ("",)),
}
"""Graph -> file of its weights, and how the names of those that it uses begin."""

_NOT_FASTER = ["SkipLayerNormFusion", "BiasGeluFusion"]
"""Optimizations of ONNX Runtime whose operators take longer here than those that they replace."""

BACKENDS = ("auto", "onnx", "torch")


def open_network(folder: Path, *, model_id: str, device: str, backend: str = "auto") -> Network:
    """Load the networks.

    Args:
        folder: of the model.
        model_id: for errors.
        device: "cpu" or "cuda[:n]".
        backend: the card's `options.backend`. auto: ONNX Runtime on a CPU if it has graphs of this
            architecture, else torch. onnx, torch: this one.

    Raises:
        ModelLoadError: a file is missing or damaged, or the back end is unknown or cannot draw this.
    """
    if backend not in BACKENDS:
        raise ModelLoadError(model_id, f"backend {backend!r} is unknown; known are {', '.join(BACKENDS)}")
    if backend == "torch" or (backend == "auto" and not (device == "cpu" and _fits(folder))):
        return Network(folder, model_id=model_id, device=device)
    if device != "cpu":
        raise ModelLoadError(model_id, f"backend 'onnx' draws on the CPU, not on {device}")
    return OnnxNetwork(folder, model_id=model_id, device=device)


def _fits(folder: Path) -> bool:
    try:
        _check_architecture(folder)
    except (OSError, ValueError) as error:
        _log.warning("the model is drawn by torch, which is slower: %s", error)
        return False
    return True


def _check_architecture(folder: Path) -> None:
    """Compare the networks' configurations with those that the graphs were made from.

    Raises:
        ValueError: another architecture.
        OSError: a configuration or a graph is missing.
    """
    for name, part in PARTS.items():
        if architecture_sha256(folder / part).encode() not in (GRAPHS / f"{name}.onnx").read_bytes():
            raise ValueError(f"{name}.onnx was made from another architecture: run the export again")


class OnnxNetwork(Network):
    """See `Network`. Rows run together as they come, as they do in torch."""

    def _load(self, folder: Path, *, hub: Any, words: Any) -> None:  # noqa: ANN401, ARG002 - as in `Network`
        import onnxruntime  # noqa: PLC0415 - loaded with the model, not with this module

        self._sessions: dict[str, Any] = {}
        self._weights: list[Any] = []  # the sessions borrow their memory
        try:
            _check_architecture(folder)
            # Other graphs of the same networks round otherwise: a replay needs these.
            graphs = hashlib.sha256(b"".join((GRAPHS / f"{name}.onnx").read_bytes() for name in PARTS))
            self.backend = f"onnxruntime {onnxruntime.__version__}, graphs {graphs.hexdigest()[:12]}"
            for name in PARTS:
                self._sessions[name] = self._open(onnxruntime, folder, name)
        except Exception as error:  # on damaged files the libraries raise whatever they stumble over
            raise ModelLoadError(folder.name, (str(error).splitlines() or [repr(error)])[0]) from error

    def _open(self, runtime: Any, folder: Path, name: str) -> Any:  # noqa: ANN401 - a library without types
        from safetensors.numpy import load_file  # noqa: PLC0415 - as above

        file, prefixes = _WEIGHTS[name]
        loaded = load_file(folder / PARTS[name] / file)
        names = [key for key in loaded if key.startswith(prefixes)]
        values = [runtime.OrtValue.ortvalue_from_numpy(loaded[key].astype(np.float32)) for key in names]
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3  # errors
        # Waiting threads leave the cores to others.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_external_initializers(names, values)
        self._weights += values
        graph = (GRAPHS / f"{name}.onnx").read_bytes()
        return runtime.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"], disabled_optimizers=_NOT_FASTER
        )

    @property
    def parts(self) -> dict[str, torch.nn.Module]:
        """None: the networks are no modules here."""
        return {}

    def predict(self, latents: torch.Tensor, timesteps: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """See `Network.predict`."""
        return self._run("unet", latents=latents, timesteps=timesteps, words=words)

    def _embed(self, ids: torch.Tensor) -> torch.Tensor:
        return self._run("text_encoder", ids=ids)

    def _encode(self, planes: torch.Tensor) -> torch.Tensor:
        return self._run("vae_encoder", pixels=planes)

    def _decode(self, latents: torch.Tensor) -> torch.Tensor:
        return self._run("vae_decoder", latents=latents)

    def _run(self, name: str, **inputs: torch.Tensor) -> torch.Tensor:
        arrays = {key: np.ascontiguousarray(tensor.numpy()) for key, tensor in inputs.items()}
        output: npt.NDArray[np.float32] = self._sessions[name].run(None, arrays)[0]
        return torch.from_numpy(output)
