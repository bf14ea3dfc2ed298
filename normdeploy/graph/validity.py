"""What a model's message has to keep to before anything else reads it, beyond what onnx.checker looks at."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping

import onnx
import onnx_ir as ir
from google.protobuf.descriptor import FieldDescriptor

from normdeploy.errors import ModelError
from normdeploy.graph.protobuf import fields_of_type, proto_messages, proto_nodes, proto_tensors
from normdeploy.graph.shapes import MOST_AXES

_DATA_FIELDS = ("float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data")
_PACKED_BITS = (2, 4)
"""Widths of types of which one entry of `int32_data` holds a byte full; of any other it holds one element."""

_COMPLEX = (ir.DataType.COMPLEX64, ir.DataType.COMPLEX128)
"""Types whose elements take two entries, real and imaginary part."""


def check_text(proto: onnx.ModelProto) -> None:
    """Refuse names and other texts that are not UTF-8, which no reader of the message could ask for.

    Raises:
        ModelError: there is one.
    """
    try:
        for message in proto_messages(proto):
            for name in fields_of_type(message.DESCRIPTOR, FieldDescriptor.TYPE_STRING):
                value = getattr(message, name)
                for text in [value] if isinstance(value, str | bytes) else value:
                    _require_text(text)
    except UnicodeDecodeError as error:  # protobuf raises this, or hands out bytes
        _require_text(error.object)


def _require_text(text: str | bytes) -> None:
    if not isinstance(text, str):
        raise ModelError(f"holds a name or a text that is not UTF-8: {text[:100]!r}")


def check_versions(proto: onnx.ModelProto) -> None:
    """Refuse versions of the format and of ONNX's operator sets that the installed onnx does not know.

    Raises:
        ModelError: a version that is too new, or none.
    """
    if proto.ir_version > onnx.IR_VERSION:
        raise ModelError(
            f"has IR version {proto.ir_version}, and the newest that the installed onnx {onnx.__version__} "
            f"knows is {onnx.IR_VERSION}: save the model for that one, or install a newer onnx"
        )
    for imported in (*proto.opset_import, *(each for item in proto.functions for each in item.opset_import)):
        domain = "" if imported.domain == "ai.onnx" else imported.domain
        newest = _newest_versions().get(domain)
        if newest is not None and not 1 <= imported.version <= newest:
            known = f"of domain '{domain}' " if domain else ""
            raise ModelError(
                f"imports opset {imported.version} {known}and the newest that the installed onnx "
                f"{onnx.__version__} knows is {newest}: export the model for an opset from 1 to {newest}"
            )


@functools.cache
def _newest_versions() -> Mapping[str, int]:
    """The newest operator set of each of ONNX's own domains."""
    return {domain: newest for domain, (_, newest) in onnx.defs.C.schema_version_map().items()}


def check_tensors(proto: onnx.ModelProto) -> None:
    """Refuse tensors of no type, or that hold more or fewer elements than their dimensions say.

    Raises:
        ModelError: there is one. What stands in other files passes here.
    """
    for tensor in proto_tensors(proto):
        _check_tensor(tensor)


def _check_tensor(tensor: onnx.TensorProto) -> None:
    try:
        dtype = ir.DataType(tensor.data_type)
    except ValueError:
        dtype = ir.DataType.UNDEFINED
    if dtype == ir.DataType.UNDEFINED:
        raise ModelError(f"tensor '{tensor.name}' has data type {tensor.data_type}, which is none")
    if len(tensor.dims) > MOST_AXES:
        raise ModelError(f"tensor '{tensor.name}' has {len(tensor.dims)} axes: {MOST_AXES} is the limit")
    if any(size < 0 for size in tensor.dims):
        raise ModelError(f"tensor '{tensor.name}' has a negative dimension: {list(tensor.dims)}")
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        if dtype == ir.DataType.STRING:
            raise ModelError(f"tensor '{tensor.name}' holds strings, which cannot stand in another file")
        return
    elements = math.prod(tensor.dims)
    if tensor.HasField("raw_data"):
        wanted = 0 if dtype == ir.DataType.STRING else math.ceil(elements * dtype.bitwidth / 8)
        unit, held = "bytes", len(tensor.raw_data)
    else:
        wanted, unit = _entries(dtype, elements), "entries"
        held = sum(len(getattr(tensor, field)) for field in _DATA_FIELDS)
    if held != wanted:
        raise ModelError(
            f"tensor '{tensor.name}' of shape {list(tensor.dims)} and type {dtype.name} holds {held} {unit} "
            f"of data instead of {wanted}"
        )


def _entries(dtype: ir.DataType, elements: int) -> int:
    """How many entries of a data field elements of a type take."""
    if dtype in _COMPLEX:
        return 2 * elements
    if dtype != ir.DataType.STRING and dtype.bitwidth in _PACKED_BITS:
        return math.ceil(elements * dtype.bitwidth / 8)
    return elements


def check_functions(proto: onnx.ModelProto) -> None:
    """Refuse functions that nothing could ever run: that call themselves, or read what nothing computes.

    onnx.checker finds the former from 1.23 on, and the latter in graphs only.

    Raises:
        ModelError: there is one.
    """
    for function in proto.functions:
        name = f"function '{function.domain}.{function.name}'"
        _require_computed(name, function.node, function.output, set(function.input))
    _refuse_recursion(proto)


def _require_computed(
    where: str, nodes: Iterable[onnx.NodeProto], outputs: Iterable[str], known: set[str]
) -> None:
    """Refuse a body in which a node reads, or which gives, a tensor that is not known by then."""
    for node in nodes:
        wanted = [name for name in node.input if name and name not in known]
        if wanted:
            raise ModelError(f"{where}: node '{node.name}' ({node.op_type}) reads {wanted}, never computed")
        for attribute in node.attribute:
            for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                given = [value.name for value in graph.output]
                _require_computed(where, graph.node, given, known | _given(graph))
        known.update(node.output)
    missing = [name for name in outputs if name not in known]
    if missing:
        raise ModelError(f"{where}: gives {missing}, never computed")


def _given(graph: onnx.GraphProto) -> set[str]:
    """The tensors that a graph has before any of its nodes runs."""
    return {
        *(value.name for value in graph.input),
        *(tensor.name for tensor in graph.initializer),
        *(tensor.values.name for tensor in graph.sparse_initializer),
    }


def _refuse_recursion(proto: onnx.ModelProto) -> None:
    calls = {
        (function.domain, function.name): {(node.domain, node.op_type) for node in proto_nodes(function.node)}
        for function in proto.functions
    }
    done: set[tuple[str, str]] = set()

    def visit(key: tuple[str, str], active: tuple[tuple[str, str], ...]) -> None:
        if key in active:
            raise ModelError(f"function '{key[0]}.{key[1]}' calls itself")
        if key in done or key not in calls:
            return
        for callee in calls[key]:
            visit(callee, (*active, key))
        done.add(key)

    for key in calls:
        visit(key, ())
