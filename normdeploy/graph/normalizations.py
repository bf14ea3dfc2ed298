"""Every normalization layer of a model: its parameters, its trainable count, where it runs natively."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import onnx_ir as ir

from normdeploy.errors import NormdeployError
from normdeploy.graph.intra_channel_lrn import DOMAIN, INTRA_CHANNEL_LRN
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
_LRN = ("LRN", INTRA_CHANNEL_LRN)
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
        return self.op_type in _LRN

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
    found = [_describe(node, where) for node, where in _walk(model.graph, "") if is_normalization(node)]
    for function in model.functions.values():
        where = f"function {function.domain}.{function.name}"
        found += [_describe(node, inner) for node, inner in _walk(function, where) if is_normalization(node)]
    return found


def _walk(nodes: Iterable[ir.Node], where: str) -> Iterator[tuple[ir.Node, str]]:
    for node in nodes:
        yield node, where
        for attribute in node.attributes.values():
            for graph in _graphs(attribute):
                inner = f"{node.op_type} '{_name(node)}' {attribute.name}"
                yield from _walk(graph, f"{where}, {inner}" if where else inner)


def _graphs(attribute: ir.Attr) -> list[ir.Graph]:
    if attribute.is_ref():
        return []
    if attribute.type == ir.AttributeType.GRAPH:
        return [attribute.as_graph()]
    return list(attribute.as_graphs()) if attribute.type == ir.AttributeType.GRAPHS else []


def _name(node: ir.Node) -> str:
    return node.name or next((value.name for value in node.outputs if value.name), "") or ""


def is_normalization(node: ir.Node) -> bool:
    """Whether the node is one of the operators that this module lists."""
    return (node.domain, node.op_type) in _KINDS


def _describe(node: ir.Node, where: str) -> Normalization:
    name, op_type = _name(node), node.op_type
    kind = _KINDS[node.domain, op_type]
    parameters = _parameters(node)
    if op_type in _LRN:
        spec, rank = _spec(node), _rank(node)
        return Normalization(
            name,
            op_type,
            kind,
            where,
            parameters,
            paper=None if spec is None else _paper(spec, rank),
            not_native=None if spec is None else unsupported_reasons(spec, rank),
        )
    trained = [node.inputs[index] for index in _TRAINED_INPUTS.get(op_type, ()) if index < len(node.inputs)]
    counts = [_elements(value) for value in trained if value is not None]
    return Normalization(
        name,
        op_type,
        kind,
        where,
        parameters,
        trainable=None if None in counts else sum(count for count in counts if count is not None),
        not_native=_batchnorm_refusals(parameters) if op_type == "BatchNormalization" else None,
    )


def _parameters(node: ir.Node) -> dict[str, Any]:
    """The node's attributes over the standard's defaults; "@name" where a function's caller gives one."""
    given = {
        name: f"@{attribute.ref_attr_name}" if attribute.is_ref() else attribute.value
        for name, attribute in node.attributes.items()
    }
    merged = {**_DEFAULTS[node.op_type], **given}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in merged.items()}


def _spec(node: ir.Node) -> LRN | None:
    """The node's definition, unless its parameters come from a function's caller or make no sense."""
    if any(attribute.is_ref() for attribute in node.attributes.values()):
        return None
    try:
        return LRN.from_onnx(node)
    except NormdeployError:
        return None


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


def _batchnorm_refusals(parameters: Mapping[str, Any]) -> dict[str, str]:
    """All runtimes take inference; TensorRT's parser refuses training_mode = 1."""
    return {"tensorrt": "training_mode is 1"} if parameters["training_mode"] == 1 else {}
