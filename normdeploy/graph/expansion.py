"""How many nodes a model has once its functions' bodies stand in the place of their calls.

A function that calls another one twice, which calls a third one twice, and so on: thirty functions are a
billion nodes to every runtime and to ONNX's shape inference, which expand them. So they are counted first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx

from normdeploy.errors import BudgetExceeded
from normdeploy.graph.protobuf import proto_nodes

MAX_NODES = 1_000_000
"""Far more than real models have, and seconds of work for ONNX's shape inference."""

_Key = tuple[str, str]
"""A function's domain and name."""


def check_expansion(proto: onnx.ModelProto) -> None:
    """Refuse calls of functions that expand to too many nodes.

    Args:
        proto: a model of which no function calls itself.

    Raises:
        BudgetExceeded: with every call replaced by the function's body, the model has more than a million
            nodes.
    """
    bodies = {
        (function.domain, function.name): [_called(node) for node in proto_nodes(function.node)]
        for function in proto.functions
    }
    sizes: dict[_Key, int] = {}

    def visit(key: _Key) -> None:
        if key in bodies and key not in sizes:
            for callee in dict.fromkeys(bodies[key]):
                visit(callee)
            sizes[key] = _size(bodies[key], sizes)

    for key in bodies:
        visit(key)
    total = _size((_called(node) for node in proto_nodes(proto.graph.node)), sizes)
    if total > MAX_NODES:
        largest = max(sizes, key=lambda key: sizes[key], default=None)
        within = (
            "" if largest is None else f"; function '{'.'.join(largest)}' has {sizes[largest]:.4g} of them"
        )
        raise BudgetExceeded(
            f"has {total:.4g} nodes when the bodies of its functions stand in the place of their calls, and "
            f"{MAX_NODES:,} is the limit{within}"
        )


def _called(node: onnx.NodeProto) -> _Key:
    return node.domain, node.op_type


def _size(body: Iterable[_Key], sizes: Mapping[_Key, int]) -> int:
    return sum(1 + sizes.get(key, 0) for key in body)
