"""Versions of the standard operators that matter to more than one transform."""

from __future__ import annotations

from collections.abc import Mapping

BROADCASTING_OPSET = 7
"""From here on arithmetic broadcasts as NumPy does (Add-7, Sub-7, Mul-7, Div-7), the third input of Gemm too
(Gemm-7), and AveragePool can count its padding (`count_include_pad`, AveragePool-7)."""


def standard_opset(opsets: Mapping[str, int]) -> int:
    """The version of the standard operators, which a model imports under either name of their domain; else 1.

    Nodes need no such care: onnx_ir gives every node of the domain "ai.onnx" the domain "".

    Args:
        opsets: domain -> version, as a model or a function imports them.
    """
    return opsets.get("", opsets.get("ai.onnx", 1))
