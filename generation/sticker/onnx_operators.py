"""Operators that torch's exporter to ONNX does not write by itself, or not as ONNX Runtime runs them best.

Each is one `torch.autograd.Function`: `forward` computes it in torch, `symbolic` writes it into the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def attention(query: Tensor, key: Tensor, value: Tensor, *, heads: int) -> Tensor:
    """Scaled dot-product attention over heads: (n, s, d), (n, t, d), (n, t, d) -> (n, s, d)."""
    return _apply(_Attention, query, key, value, heads)


def standardized(x: Tensor, norm: torch.nn.GroupNorm, *, flat: bool = False) -> Tensor:
    """A group norm without its affine part: (n, c, h, w) -> the same, or (n, c, h w) if `flat`."""
    return _apply(_Standardized, x, norm.num_groups, norm.eps, norm.num_channels if flat else 0)


def convolution(
    x: Tensor, weight: Tensor, bias: Tensor, *, kernel: int, stride: int, zeros: Sequence[int]
) -> Tensor:
    """A convolution whose weights may be computed, and whose plane is padded unevenly.

    torch's exporter pads in an operator of its own, and wants to know the weights' size.

    Args:
        x: (n, c, h, w).
        weight: (k, c, kernel, kernel).
        bias: (k).
        kernel: its edge.
        stride: in both directions.
        zeros: added at the top, left, bottom and right.
    """
    return _apply(_Convolution, x, weight, bias, (kernel, stride, *zeros))


def interleaved(pixels: Sequence[Tensor]) -> Tensor:
    """Even and odd pixels of a plane of twice the size: four times (n, c, h, w) -> (n, c, 2 h, 2 w).

    In the order top left, top right, bottom left, bottom right. ONNX's DepthToSpace takes twice the time.
    """
    return _apply(_Interleaved, *pixels)


def _apply(function: type[torch.autograd.Function], *values: object) -> Tensor:
    output: Tensor = function.apply(*values)  # type: ignore[no-untyped-call]
    return output


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:  # noqa: ANN401
        q, k, v = (one.view(*one.shape[:2], heads, -1).transpose(1, 2) for one in (query, key, value))
        return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)

    @staticmethod
    def symbolic(g: Any, query: Any, key: Any, value: Any, heads: int) -> Any:  # noqa: ANN401
        name = "com.microsoft::MultiHeadAttention"  # ONNX Runtime's own
        return g.op(name, query, key, value, num_heads_i=heads).setType(query.type())


class _Standardized(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, x: Tensor, groups: int, eps: float, flat: int) -> Tensor:  # noqa: ANN401
        done = functional.group_norm(x, groups, eps=eps)
        return done.flatten(2) if flat else done

    @staticmethod
    def symbolic(g: Any, x: Any, groups: int, eps: float, flat: int) -> Any:  # noqa: ANN401
        one, zero = (_constant(g, [float(value)] * groups) for value in (1, 0))
        grouped = g.op("Reshape", x, _constant(g, [0, groups, -1]))
        done = g.op("InstanceNormalization", grouped, one, zero, epsilon_f=eps)
        return g.op("Reshape", done, _constant(g, [0, flat, -1]) if flat else g.op("Shape", x))


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, x: Tensor, weight: Tensor, bias: Tensor, sizes: Sequence[int]) -> Tensor:  # noqa: ANN401
        _kernel, stride, top, left, bottom, right = sizes
        return functional.conv2d(functional.pad(x, (left, right, top, bottom)), weight, bias, stride)

    @staticmethod
    def symbolic(g: Any, x: Any, weight: Any, bias: Any, sizes: Sequence[int]) -> Any:  # noqa: ANN401
        kernel, stride, *zeros = sizes
        return g.op(
            "Conv", x, weight, bias, kernel_shape_i=[kernel] * 2, strides_i=[stride] * 2, pads_i=zeros
        )


class _Interleaved(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, *pixels: Tensor) -> Tensor:  # noqa: ANN401
        n, c, h, w = pixels[0].shape
        return (
            torch.stack(pixels).view(2, 2, n, c, h, w).permute(2, 3, 4, 0, 5, 1).reshape(n, c, 2 * h, 2 * w)
        )

    @staticmethod
    def symbolic(g: Any, *pixels: Any) -> Any:  # noqa: ANN401
        columns = [g.op("Concat", *pixels[side::2], axis_i=3) for side in (0, 1)]  # row by row
        pairs = g.op("Reshape", g.op("Concat", *columns, axis_i=1), _constant(g, [0, 2, -1]))
        shape = g.op("Mul", g.op("Shape", pixels[0]), _constant(g, [1, 1, 2, 2]))
        return g.op("Reshape", g.op("Transpose", pairs, perm_i=[0, 2, 1]), shape)


def _constant(g: Any, values: Sequence[float]) -> Any:  # noqa: ANN401 - the exporter's graph has no types
    return g.op("Constant", value_t=torch.tensor(values))
