"""Rewrites layers of diffusers for the export: the same function in fewer and cheaper operators.

On small planes ONNX Runtime spends as long on operators as on arithmetic. What depends on weights alone (a
norm's affine part before a projection, the taps of a convolution over doubled pixels) is written here as a
function of the weights, which ONNX Runtime computes once, when a session is opened; what reads one input in
many layers (the time, the text) is joined into one product. Parameters keep their names. A layer whose
settings are not those handled here stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from generation.sticker.onnx_operators import attention, convolution, interleaved, standardized

_FEW_CHANNELS = 4  # a convolution's vectors have 8 or 16


def rewrite(network: torch.nn.Module) -> None:
    """Rewrite a network's layers in place. It must be in evaluation mode, and cannot be trained after."""
    times, texts = _Joined(_modulation, functional.silu), _Joined(_keys_and_values)
    layers: Any = list(network.named_modules())  # the library's classes are built at run time
    for name, layer in layers:
        kind = type(layer).__name__
        if kind == "ResnetBlock2D" and _is_plain_resnet(layer):
            if layer.time_emb_proj is not None:
                times.layers.append(layer)
            layer.forward = MethodType(_Resnet(times), layer)
        elif kind == "Transformer2DModel" and _is_plain_transformer(layer):
            texts.layers += [block.attn2 for block in layer.transformer_blocks]
            layer.forward = MethodType(_Transformer(texts), layer)
        elif kind == "Upsample2D" and _is_plain_upsample(layer):
            layer.forward = MethodType(_upsample, layer)
        elif kind == "AttentionPooling":
            layer.forward = MethodType(_pool, layer)
        elif name.endswith("decoder.conv_out") and _is_narrow(layer):
            layer.forward = MethodType(_narrow, layer)


class _Joined:
    """Linear layers of many modules that read the same input, as one product.

    Args:
        folded: module -> its layers' weights and biases.
        activation: of the input.
    """

    def __init__(
        self,
        folded: Callable[[Any], Sequence[tuple[Tensor, Tensor | None]]],
        activation: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.layers: list[Any] = []
        self._folded, self._activation = folded, activation
        self._given: Tensor | None = None
        self._outputs: dict[int, list[Tensor]] = {}

    def __call__(self, layer: Any, given: Tensor | None) -> list[Tensor]:  # noqa: ANN401
        """The outputs of one module's layers."""
        if given is None:
            raise ValueError("a timed block needs the time")
        if self._given is not given:
            self._given, self._outputs = given, self._run(given)
        return self._outputs[id(layer)]

    def _run(self, given: Tensor) -> dict[int, list[Tensor]]:
        folded = [self._folded(layer) for layer in self.layers]
        weights, biases = zip(*(one for layer in folded for one in layer), strict=True)
        x = given if self._activation is None else self._activation(given)
        x = x @ torch.cat(weights).t()
        if biases[0] is not None:
            x = (x + torch.cat(biases))[..., None, None]
        parts = iter(torch.split(x, [len(one) for one in weights], dim=given.dim() - 1))
        return {id(layer): [next(parts) for _ in own] for layer, own in zip(self.layers, folded, strict=True)}


def _modulation(resnet: Any) -> Sequence[tuple[Tensor, Tensor]]:  # noqa: ANN401
    """Of a standardized plane: the second norm's affine part and the time's are one, linear in the time."""
    norm, time = resnet.norm2, resnet.time_emb_proj
    (scale, shift), (scale_bias, shift_bias) = time.weight.chunk(2), time.bias.chunk(2)
    return (
        (norm.weight[:, None] * scale, norm.weight * (1 + scale_bias)),
        (norm.bias[:, None] * scale + shift, norm.bias * (1 + scale_bias) + shift_bias),
    )


def _keys_and_values(attention: Any) -> Sequence[tuple[Tensor, None]]:  # noqa: ANN401
    return (attention.to_k.weight, None), (attention.to_v.weight, None)


def _is_plain_resnet(layer: Any) -> bool:  # noqa: ANN401
    timed = layer.time_emb_proj is not None
    return (
        isinstance(layer.nonlinearity, torch.nn.SiLU)
        and layer.upsample is layer.downsample is None
        and (not timed or (layer.time_embedding_norm == "scale_shift" and not layer.skip_time_act))
    )


class _Resnet:
    def __init__(self, times: _Joined) -> None:
        self._times = times

    def __call__(self, layer: Any, x: Tensor, temb: Tensor | None = None) -> Tensor:  # noqa: ANN401
        """As ResnetBlock2D.forward."""
        first, second = layer.norm1, layer.norm2
        h: Tensor = standardized(x, first)
        h = layer.conv1(functional.silu(h * first.weight[:, None, None] + first.bias[:, None, None]))
        h = standardized(h, second)
        if layer.time_emb_proj is None:
            scale, shift = second.weight[:, None, None], second.bias[:, None, None]
        else:
            scale, shift = self._times(layer, temb)
        h = layer.conv2(functional.silu(h * scale + shift))
        skip: Tensor = x if layer.conv_shortcut is None else layer.conv_shortcut(x)
        h = h + skip
        return h if layer.output_scale_factor == 1 else h / layer.output_scale_factor


def _is_plain_transformer(layer: Any) -> bool:  # noqa: ANN401
    return bool(layer.is_input_continuous) and all(map(_is_plain_block, layer.transformer_blocks))


def _is_plain_block(block: Any) -> bool:  # noqa: ANN401
    return (
        block.norm_type == "layer_norm"
        and block.pos_embed is None
        and not block.only_cross_attention
        and type(block.ff.net[0]).__name__ == "GEGLU"
        and all(_is_plain_attention(one) for one in (block.attn1, block.attn2))
    )


def _is_plain_attention(layer: Any) -> bool:  # noqa: ANN401
    return (
        layer is not None
        and layer.to_q.bias is None
        and layer.norm_q is layer.norm_k is layer.group_norm is layer.spatial_norm is None
        and not (layer.norm_cross or layer.residual_connection)
        and layer.rescale_output_factor == 1
    )


class _Transformer:
    def __init__(self, texts: _Joined) -> None:
        self._texts = texts

    def __call__(
        self,
        layer: Any,  # noqa: ANN401
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        **_: object,
    ) -> tuple[Tensor]:
        """As Transformer2DModel.forward, on tokens (n, h w, c)."""
        norm, into, out = layer.norm, layer.proj_in, layer.proj_out
        x = standardized(hidden_states, norm, flat=True).transpose(1, 2)
        weight = into.weight.flatten(1)
        x = x @ (weight * norm.weight).t() + (into.bias + weight @ norm.bias)
        for block in layer.transformer_blocks:
            x = self._block(block, x, encoder_hidden_states)
        x = x @ out.weight.flatten(1).t() + out.bias
        return (x.transpose(1, 2).reshape(hidden_states.shape) + hidden_states,)

    def _block(self, block: Any, x: Tensor, text: Tensor) -> Tensor:  # noqa: ANN401
        own, cross, (gated, _, out) = block.attn1, block.attn2, block.ff.net
        normed = block.norm1(x)
        query, key, value = (layer(normed) for layer in (own.to_q, own.to_k, own.to_v))
        x = x + own.to_out[0](attention(query, key, value, heads=own.heads))
        key, value = self._texts(cross, text)
        query = cross.to_q(block.norm2(x))
        x = x + cross.to_out[0](attention(query, key, value, heads=cross.heads))
        normed = block.norm3(x)
        (weight, gate), (bias, gate_bias) = gated.proj.weight.chunk(2), gated.proj.bias.chunk(2)
        gates = functional.gelu(normed @ gate.t() + gate_bias)
        changed: Tensor = out((normed @ weight.t() + bias) * gates)
        return x + changed


def _pool(layer: Any, x: Tensor) -> Tensor:  # noqa: ANN401
    """As AttentionPooling.forward."""
    token = x.mean(dim=1, keepdim=True) + layer.positional_embedding
    x = torch.cat([token, x], dim=1)
    query, key, value = layer.q_proj(token), layer.k_proj(x), layer.v_proj(x)
    return attention(query, key, value, heads=layer.num_heads)[:, 0]


def _is_plain_upsample(layer: Any) -> bool:  # noqa: ANN401
    return (
        bool(layer.use_conv and layer.interpolate and not layer.use_conv_transpose)
        and layer.norm is None
        and layer.conv.kernel_size == (3, 3)
    )


def _upsample(layer: Any, x: Tensor, output_size: object = None) -> Tensor:  # noqa: ANN401, ARG001 - as there
    """As Upsample2D.forward: a 3x3 convolution over doubled pixels meets only 2x2 different ones."""
    conv = layer.conv
    return interleaved(
        [
            convolution(
                x,
                _doubled(_doubled(conv.weight, 2, top), 3, left),
                conv.bias,
                kernel=2,
                stride=1,
                zeros=(top, left, 1 - top, 1 - left),
            )
            for top in (1, 0)
            for left in (1, 0)
        ]
    )


def _doubled(weight: Tensor, axis: int, first: int) -> Tensor:
    """Three taps along an axis over doubled pixels, as two over single ones: at an even or odd place."""
    a, b, c = torch.split(weight, 1, axis)
    return torch.cat((a, b + c) if first else (a + b, c), axis)


def _is_narrow(layer: Any) -> bool:  # noqa: ANN401
    return (
        bool(layer.out_channels <= _FEW_CHANNELS) and layer.kernel_size == (3, 3) and layer.padding == (1, 1)
    )


def _narrow(layer: Any, x: Tensor) -> Tensor:  # noqa: ANN401
    """As Conv2d.forward on planes of even size, four pixels at once: three channels leave vectors empty."""
    taps = torch.cat([functional.pad(layer.weight, (q, 1 - q, p, 1 - p)) for p in (0, 1) for q in (0, 1)])
    x = convolution(x, taps, torch.cat([layer.bias] * 4), kernel=4, stride=2, zeros=(1, 1, 1, 1))
    return interleaved(torch.split(x, layer.out_channels, dim=1))
