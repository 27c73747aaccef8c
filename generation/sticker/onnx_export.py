"""Writes the graphs of the sticker model's networks for ONNX Runtime, without their weights.

A graph depends on the networks' architecture alone: weights stay in the model folder's safetensors files and
are handed in when a session is opened (`onnx_network`). So nothing is shipped twice, and a longer training
needs no new export. Run this after a change of architecture; it alone needs the packages onnx and onnxscript:

    python -m generation.sticker.onnx_export MODEL_FOLDER
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from generation.sticker.network import Network
from generation.sticker.onnx_layers import rewrite

GRAPHS = Path(__file__).parent / "graphs"
PARTS: Mapping[str, str] = {
    "unet": "unet",
    "vae_encoder": "vae",
    "vae_decoder": "vae",
    "text_encoder": "text_encoder",
}
"""Graph -> folder of the model that has its configuration and weights."""

_OPSET = 18
_NOTES = frozenset({"transformers_version", "dtype", "torch_dtype"})


def architecture_sha256(folder: Path) -> str:
    """Hex digest of a network's configuration, without the versions of the libraries that wrote it."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    kept = {key: value for key, value in config.items() if key[:1] != "_" and key not in _NOTES}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


class _Part(torch.nn.Module):
    """One network as a function of tensors; `forward` is what the exporter traces."""

    def __init__(self, network: torch.nn.Module, call: str) -> None:
        super().__init__()
        self.network = network
        self._call = call

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        network: Any = self.network
        if self._call == "encode":
            mean: torch.Tensor = network.encode(inputs[0], return_dict=False)[0].mean
            return mean
        run = network.decode if self._call == "decode" else network
        output: torch.Tensor = run(*inputs, return_dict=False)[0]
        return output


def export_graphs(model: Path, out: Path = GRAPHS) -> int:
    """Write all graphs for the model folder; returns their size in bytes."""
    network = Network(model, model_id="export", device="cpu")
    latents, words = torch.randn(2, 12, 16, 20), torch.randn(2, 32, network.width)
    times, ids = torch.tensor([100, 200]), torch.zeros(2, 32, dtype=torch.long)
    pixels = torch.randn(2, 3, 128, 160)
    parts = network.parts
    for part in (parts["unet"], parts["vae"]):
        rewrite(part)
    for part in parts.values():
        _tell_apart(part)
    plans: Mapping[str, tuple[_Part, Sequence[torch.Tensor], Sequence[str]]] = {
        "unet": (_Part(parts["unet"], ""), (latents, times, words), ("latents", "timesteps", "words")),
        "vae_encoder": (_Part(parts["vae"], "encode"), (pixels,), ("pixels",)),
        "vae_decoder": (_Part(parts["vae"], "decode"), (latents,), ("latents",)),
        "text_encoder": (_Part(parts["text_encoder"], ""), (ids,), ("ids",)),
    }
    out.mkdir(parents=True, exist_ok=True)
    total = 0
    for name, (part, inputs, names) in plans.items():
        data = _graph(part, inputs, names, architecture=architecture_sha256(model / PARTS[name]))
        (out / f"{name}.onnx").write_bytes(data)
        total += len(data)
    return total


def _tell_apart(part: torch.nn.Module) -> None:
    """Fill the parameters with noise: the exporter takes parameters of equal values for one."""
    with torch.no_grad():
        for parameter in part.parameters():
            parameter.normal_()


def _graph(part: _Part, inputs: Sequence[torch.Tensor], names: Sequence[str], *, architecture: str) -> bytes:
    """Trace one part; its parameters become initializers outside of the graph, under their own names."""
    import onnx  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415 - needed for the export alone

    axes = {0: "rows"}
    plane = {0: "rows", 2: "height", 3: "width"}
    shapes = {name: plane if tensor.dim() == 4 else axes for name, tensor in zip(names, inputs, strict=True)}
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "graph.onnx"
        torch.onnx.export(
            part.eval(),
            tuple(inputs),
            file,
            input_names=list(names),
            output_names=["output"],
            dynamic_axes={**shapes, "output": plane if inputs[0].dim() == 4 else axes},
            dynamo=False,
            do_constant_folding=False,  # would rename the weights that it transposes
            opset_version=_OPSET,
        )
        graph = onnx.load(file)
    prefix = "network."
    for tensor in graph.graph.initializer:
        if tensor.name.startswith(prefix):
            _move_out(tensor, tensor.name.removeprefix(prefix), size=4 * int(torch.Size(tensor.dims).numel()))
    for node in graph.graph.node:
        node.input[:] = [entry.removeprefix(prefix) for entry in node.input]
        node.doc_string = ""
    note = graph.metadata_props.add()
    note.key, note.value = "architecture_sha256", architecture
    data: bytes = graph.SerializeToString(deterministic=True)
    return data


def _move_out(tensor: Any, name: str, *, size: int) -> None:  # noqa: ANN401 - a message of protobuf
    tensor.ClearField("raw_data")
    tensor.name, tensor.data_location = name, 1  # EXTERNAL
    for key, value in (("location", "safetensors"), ("offset", "0"), ("length", str(size))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value


if __name__ == "__main__":
    sys.stdout.write(f"{export_graphs(Path(sys.argv[1])):,} bytes in {GRAPHS}\n")
