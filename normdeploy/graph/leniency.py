"""What onnx.checker refuses though runtimes take it: put right as a model is read, or kept from the checker.

- Nodes out of order, as onnxruntime's float16 converter writes them, are sorted. A cycle stays.
- In files before IR version 4, initializers that are not among the graph's inputs, as onnxruntime writes them
  when it saves an optimized model, are added there, which is what that version asks for.
- onnxruntime writes operators of its own in the domain of the standard ones. The checker sees them elsewhere.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, MutableSequence
from pathlib import Path

import onnx
import onnx_ir as ir

from normdeploy.graph.protobuf import proto_nodes, proto_tensors

_LAYER_NORMALIZATION = 17
"""The first opset that has it; onnxruntime writes it into files of any opset."""

_STANDARD = ("", "ai.onnx")
_ELSEWHERE = "com.microsoft"

_FIRST_WITH_UNLISTED = 4
"""The first IR version in which an initializer need not be an input."""


def put_right(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A model whose nodes are in order and whose inputs list what its version asks for.

    Args:
        proto: is not changed.

    Returns:
        The message itself where nothing is to be done.
    """
    unsorted = any(_new_order(nodes) is not None for nodes in _node_lists(proto))
    if not unsorted and not _unlisted(proto):
        return proto
    mended = onnx.ModelProto()
    mended.CopyFrom(proto)
    for nodes in _node_lists(mended):
        order = _new_order(nodes)
        if order is not None:
            copies = [onnx.NodeProto.FromString(nodes[index].SerializeToString()) for index in order]
            del nodes[:]
            nodes.extend(copies)
    mended.graph.input.extend(
        onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        for tensor in _unlisted(proto)
    )
    return mended


def check(source: onnx.ModelProto | bytes | Path, proto: onnx.ModelProto, *, full: bool = False) -> None:
    """Pass a model through onnx.checker, except for what runtimes take all the same.

    Args:
        source: what the checker reads where nothing is to be kept from it: a file, or what it holds.
        proto: the model's message.
        full: whether shapes are inferred as well, where the message holds all data.

    Raises:
        Exception: whatever the checker raises.
    """
    own = _own_nodes(proto)
    external = [tensor for tensor in proto_tensors(proto) if _is_external(tensor)]
    if not own and not (source is proto and external):
        _onnx_check(str(source) if isinstance(source, Path) else source, full)
        return
    shown = onnx.ModelProto()
    shown.CopyFrom(proto)
    for node in _own_nodes(shown):
        node.domain = _ELSEWHERE
    if all(item.domain != _ELSEWHERE for item in shown.opset_import):
        shown.opset_import.add(domain=_ELSEWHERE, version=1)
    for tensor in proto_tensors(shown):
        if _is_external(tensor):  # the checker would look for its file beside the working directory
            tensor.ClearField("data_location")
            tensor.ClearField("external_data")
            tensor.dims[:] = [0]
    _onnx_check(shown, full and not external)


def check_file(path: Path, model: ir.Model) -> None:
    """The same for a file that a model was written to, shapes and all.

    Args:
        path: of the file.
        model: what it holds.

    Raises:
        Exception: whatever the checker raises.
    """
    opset = model.opset_imports.get("", 1)
    graphs = (*model.graphs(), *(function.graph for function in model.functions.values()))
    if any(_is_own(node.op_type, node.domain, opset) for graph in graphs for node in graph):
        proto = onnx.load(path, load_external_data=False)
        check(path, proto, full=True)
    else:
        _onnx_check(str(path), full=True)


def _onnx_check(source: onnx.ModelProto | bytes | str, full: bool) -> None:
    if full:
        onnx.checker.check_model(source, full_check=True)
    else:
        onnx.checker.check_model(source)


def _own_nodes(proto: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The nodes with an operator of onnxruntime's in the domain of the standard ones."""
    opset = max((item.version for item in proto.opset_import if item.domain in _STANDARD), default=1)
    return [node for node in proto_nodes(proto.graph.node) if _is_own(node.op_type, node.domain, opset)]


def _is_own(op_type: str, domain: str, opset: int) -> bool:
    if domain not in _STANDARD:
        return False
    return op_type == "SimplifiedLayerNormalization" or (
        op_type == "LayerNormalization" and opset < _LAYER_NORMALIZATION
    )


def _is_external(tensor: onnx.TensorProto) -> bool:
    return bool(tensor.data_location == onnx.TensorProto.EXTERNAL)


def _unlisted(proto: onnx.ModelProto) -> list[onnx.TensorProto]:
    if proto.ir_version >= _FIRST_WITH_UNLISTED:
        return []
    listed = {value.name for value in proto.graph.input}
    return [tensor for tensor in proto.graph.initializer if tensor.name not in listed]


def _node_lists(proto: onnx.ModelProto) -> Iterator[MutableSequence[onnx.NodeProto]]:
    """The nodes of the main graph, of each subgraph and of each function."""
    for nodes in (proto.graph.node, *(function.node for function in proto.functions)):
        yield nodes
        for node in proto_nodes(nodes):
            for attribute in node.attribute:
                yield from (graph.node for graph in (attribute.g, *attribute.graphs) if graph.node)


def _new_order(nodes: MutableSequence[onnx.NodeProto]) -> list[int] | None:
    """Indices of nodes in an order in which each follows those that it reads; None where they are in one.

    None as well where there is none, a cycle.
    """
    producers = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    before = [{producers[name] for name in _reads(node) if name in producers} for node in nodes]
    if all(max(needed, default=-1) < index for index, needed in enumerate(before)):
        return None
    after: list[list[int]] = [[] for _ in nodes]
    for index, needed in enumerate(before):
        for other in needed:
            after[other].append(index)
    missing = [len(needed) for needed in before]
    ready = [index for index, count in enumerate(missing) if not count]
    order = []
    while ready:
        order.append(heapq.heappop(ready))
        for index in after[order[-1]]:
            missing[index] -= 1
            if not missing[index]:
                heapq.heappush(ready, index)
    return order if len(order) == len(nodes) else None


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """The names that a node uses; those that its subgraphs use count."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                yield from _reads(inner)
