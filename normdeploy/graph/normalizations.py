"""Every normalization layer of a model: its parameters, its trainable count, where it runs natively."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import onnx_ir as ir

from normdeploy.errors import NormdeployError
from normdeploy.graph.intra_channel_lrn import DOMAIN, INTRA_CHANNEL_LRN
from normdeploy.graph.scopes import located_nodes, node_name
from normdeploy.lrn import LRN
from normdeploy.native_support import RUNTIMES, unsupported_reasons

_KINDS = {
    ("", "LRN"): "LRN across channels",
    (DOMAIN, INTRA_CHANNEL_LRN): "LRN within a channel",
    ("", "BatchNormalization"): "batch normalization",
    ("", "InstanceNormalization"): "instance normalization",
    ("", "GroupNormalization"): "group normalization",
    ("", "LayerNormalization"): "layer normalization",
    ("", "RMSNormalization"): "RMS normalization",
    ("", "MeanVarianceNormalization"): "mean-variance normalization",
    ("", "LpNormalization"): "Lp normalization",
}
_LRN_OPERATORS = {("", "LRN"), (DOMAIN, INTRA_CHANNEL_LRN)}
_TRAINED_INPUTS = {
    "BatchNormalization": (1, 2),
    "InstanceNormalization": (1, 2),
    "GroupNormalization": (1, 2),
    "LayerNormalization": (1, 2),
    "RMSNormalization": (1,),
}
"""Which inputs of an operator are trained: scale and shift. Operators that are absent train nothing."""

_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "LRN": {"alpha": 1e-4, "beta": 0.75, "bias": 1.0},
    INTRA_CHANNEL_LRN: {"alpha": 1e-4, "beta": 0.75, "bias": 1.0},
    "BatchNormalization": {"epsilon": 1e-5, "momentum": 0.9, "training_mode": 0},
    "InstanceNormalization": {"epsilon": 1e-5},
    "GroupNormalization": {"epsilon": 1e-5},
    "LayerNormalization": {"axis": -1, "epsilon": 1e-5},
    "RMSNormalization": {"axis": -1, "epsilon": 1e-5},
    "MeanVarianceNormalization": {"axes": [0, 2, 3]},
    "LpNormalization": {"axis": -1, "p": 2},
}
"""The standard's defaults of the attributes that are worth showing."""


_PLAIN = {
    ir.AttributeType.INT,
    ir.AttributeType.INTS,
    ir.AttributeType.FLOAT,
    ir.AttributeType.FLOATS,
    ir.AttributeType.STRING,
    ir.AttributeType.STRINGS,
}
"""Types of the attributes that are parameters. A file may give a node of a custom operator any others."""


@dataclass(frozen=True)
class Normalization:
    """One node.

    Args:
        node: its name, or that of its first output.
        op_type: ONNX's operator.
        kind: what it is, in words.
        where: "" in the main graph; else the function or the subgraph's node and attribute.
        parameters: in ONNX's terms.
        paper: n, alpha, beta and k as the AlexNet paper defines them; None if it is no LRN, or if no n
            of that definition has its window.
        trainable: how many numbers training changes; None where their shape is not known.
        not_native: for each runtime without an operator of its own for it, the reason. Empty where
            every runtime has one; None where that is not recorded for this kind.
    """

    node: str
    op_type: str
    kind: str
    where: str
    parameters: Mapping[str, Any]
    paper: Mapping[str, float] | None = None
    trainable: int | None = 0
    not_native: Mapping[str, str] | None = None

    @property
    def is_lrn(self) -> bool:
        """Whether it is an LRN, across channels or within one."""
        return self.op_type in {op_type for _, op_type in _LRN_OPERATORS}

    def to_json(self) -> dict[str, Any]:
        """A dictionary of the plain types that JSON has."""
        document = asdict(self)
        if self.not_native is not None:
            document["native"] = [runtime for runtime in RUNTIMES if runtime not in self.not_native]
        return document


def normalizations(model: ir.Model) -> list[Normalization]:
    """The normalization layers of the main graph, then of its functions, subgraphs where their node stands.

    Types and shapes should have been inferred (`normdeploy.graph.inference`).
    """
    return [_describe(node, where) for node, where in located_nodes(model) if is_normalization(node)]


def is_normalization(node: ir.Node) -> bool:
    """Whether the node is one of the operators that this module lists."""
    return (node.domain, node.op_type) in _KINDS


def is_lrn(node: ir.Node) -> bool:
    """Whether the node is ONNX's LRN, across channels, or normdeploy's IntraChannelLRN, within one."""
    return (node.domain, node.op_type) in _LRN_OPERATORS


def lrn_of(node: ir.Node) -> LRN | None:
    """What an LRN node computes.

    Args:
        node: any node.

    Returns:
        Its definition; None where the node is no LRN, where its parameters come from the caller of the
        function that it stands in, or where they make no sense.
    """
    if not is_lrn(node) or any(attribute.is_ref() for attribute in node.attributes.values()):
        return None
    try:
        return LRN.from_onnx(node)
    except NormdeployError:
        return None


def _describe(node: ir.Node, where: str) -> Normalization:
    op_type, parameters = node.op_type, _parameters(node)
    described = partial(
        Normalization, node_name(node), op_type, _KINDS[node.domain, op_type], where, parameters
    )
    if is_lrn(node):
        spec, rank = lrn_of(node), _rank(node)
        return described(
            paper=None if spec is None else _paper(spec, rank),
            not_native=None if spec is None else unsupported_reasons(spec, rank),
        )
    trained = [node.inputs[index] for index in _TRAINED_INPUTS.get(op_type, ()) if index < len(node.inputs)]
    counts = [_elements(value) for value in trained if value is not None]
    return described(
        trainable=None if None in counts else sum(count for count in counts if count is not None),
        not_native=_batchnorm_not_native(parameters) if op_type == "BatchNormalization" else None,
    )


def _parameters(node: ir.Node) -> dict[str, Any]:
    """The node's attributes over the standard's defaults; "@name" where a function's caller gives one."""
    given = {
        name: f"@{attribute.ref_attr_name}" if attribute.is_ref() else attribute.value
        for name, attribute in node.attributes.items()
        if attribute.is_ref() or attribute.type in _PLAIN
    }
    merged = {**_DEFAULTS[node.op_type], **given}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in merged.items()}


def _paper(spec: LRN, rank: int | None) -> dict[str, float] | None:
    axes = None if spec.region == "across" or rank is None else max(rank - 2, 1)
    try:
        paper = spec.to("paper", axes=axes)
    except NormdeployError:
        return None
    return {"n": paper.size, "alpha": paper.alpha, "beta": paper.beta, "k": paper.k}


def _rank(node: ir.Node) -> int | None:
    value = node.inputs[0] if node.inputs else None
    return None if value is None or value.shape is None else len(value.shape)


def _elements(value: ir.Value) -> int | None:
    shape = value.shape if value.const_value is None else value.const_value.shape
    if shape is None or not all(isinstance(size, int) for size in shape):
        return None
    return math.prod(size for size in shape if isinstance(size, int))


def _batchnorm_not_native(parameters: Mapping[str, Any]) -> dict[str, str]:
    """All runtimes take inference; TensorRT's parser refuses training_mode = 1."""
    return {"tensorrt": "training_mode is 1"} if parameters["training_mode"] == 1 else {}
