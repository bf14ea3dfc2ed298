"""The same model with inner tensors as further outputs: a runtime fuses less of it, and may choose other
kernels, and what it computes is the same."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from normdeploy.graph.initializers import free_initializers

MOST_ELEMENTS = 2**22
"""Of all further outputs together; in float32 they take 16 MiB. More of them would keep a runtime from fusing
anything, and take long to copy."""


def with_extra_outputs(model: ir.Model, sizes: Mapping[str, int]) -> tuple[ir.Model, list[str]]:
    """A copy of a model that gives inner tensors too, evenly spread over its graph.

    Args:
        model: with its types inferred; it is not changed.
        sizes: number of elements of its tensors; those that are not in it are not taken.

    Returns:
        The copy, and the names of the tensors; none where the model has no inner floating tensor, or only
        such that are too large.
    """
    copy = model.clone()
    free_initializers(copy)
    given = {value.name for value in copy.graph.outputs}
    inner = [
        value
        for node in copy.graph
        for value in node.outputs
        if value.name and value.name not in given and _is_taken(node, value, sizes)
    ]
    chosen: list[ir.Value] = []
    stride = 1
    while stride <= len(inner):
        chosen = inner[stride // 2 :: stride]
        if sum(sizes[str(value.name)] for value in chosen) <= MOST_ELEMENTS:
            break
        stride, chosen = stride * 2, []
    copy.graph.outputs.extend(chosen)
    return copy, [str(value.name) for value in chosen]


def _is_taken(node: ir.Node, value: ir.Value, sizes: Mapping[str, int]) -> bool:
    return (
        isinstance(value.type, ir.TensorType)
        and value.dtype is not None
        and value.dtype.is_floating_point()
        and value.const_value is None
        and node.op_type != "Constant"
        and sizes.get(str(value.name), 0) > 0
    )
