"""Reading and writing ONNX models, with every input treated as possibly malformed or hostile."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError

from normdeploy.errors import ModelError
from normdeploy.files import staged

ModelSource = str | os.PathLike[str] | onnx.ModelProto | ir.Model
"""A path, a protobuf message or a graph that is loaded already."""

PROTOBUF_LIMIT = 2**31 - 1
"""No protobuf message can be larger; a model with larger tensors keeps them in a file beside it."""


def load(source: ModelSource) -> ir.Model:
    """Read and check a model; tensors in external files stay there until they are used.

    Raises:
        ModelError: no file, not ONNX, truncated, not valid by onnx.checker, a graph with a cycle,
            external data that is missing, too short or outside the model's folder.
    """
    if isinstance(source, ir.Model):
        return source
    if isinstance(source, onnx.ModelProto):
        _check_proto(source, "the model")
        return _to_ir(source, "the model", base_dir=None)
    path = Path(source)
    data = _read(path)
    proto = _parse(data, path)
    _check_proto(proto, str(path), path, data)
    return _to_ir(proto, str(path), base_dir=path.parent)


def save(model: ir.Model, path: str | os.PathLike[str], *, external_data: bool = False) -> None:
    """Write a model whole or not at all, after onnx.checker has passed it with full_check.

    Tensors go into `<name>.data` beside the model when they are too large for one protobuf message, or when
    some are in such a file already. They are copied one by one, so that a model larger than memory can be
    written.

    Args:
        model: the model.
        path: of the file.
        external_data: whether tensors go into a file of their own in any case.

    Raises:
        ModelError: the checker refuses the model.
        UsageError: the file cannot be written.
    """
    target = Path(path)
    with staged(target) as part:
        large = _tensor_bytes(model) >= PROTOBUF_LIMIT // 2
        separate = external_data or large or bool(external_files(model))
        ir.save(model, part, external_data=f"{target.name}.data" if separate else None)
        try:
            onnx.checker.check_model(str(part), full_check=True)
        except Exception as error:  # the checker raises many types
            raise ModelError(f"{target}: not written: {_checker_message(error)}") from error


@contextmanager
def on_disk(model: ModelSource) -> Iterator[Path]:
    """The model's file, or a temporary one."""
    if isinstance(model, str | os.PathLike):
        yield Path(model)
        return
    with tempfile.TemporaryDirectory(prefix="normdeploy-") as folder:
        path = Path(folder) / "model.onnx"
        save(load(model), path)
        yield path


def model_name(model: ModelSource) -> str:
    """The model's path, or the name of its graph, for reports."""
    if isinstance(model, str | os.PathLike):
        return str(model)
    graph = model.graph
    return graph.name or "the model"


def to_proto(model: ir.Model) -> onnx.ModelProto:
    """The model as one protobuf message that holds all of its data.

    Raises:
        ModelError: it is too large for that.
    """
    size = _tensor_bytes(model)
    if size >= PROTOBUF_LIMIT:
        raise ModelError(
            f"the model's tensors take {size / 2**30:.3g} GiB, too much for one "
            f"protobuf message: save it to a file"
        )
    proto = ir.to_proto(model)
    if external_files(model):
        tensors = {
            name: value.const_value for graph in model.graphs() for name, value in graph.initializers.items()
        }
        for tensor in _tensors(proto):
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                data = tensors[tensor.name]
                assert data is not None
                tensor.CopyFrom(ir.to_proto(ir.Tensor(data.numpy(), dtype=data.dtype, name=tensor.name)))
    return proto


def external_files(model: ir.Model) -> set[Path]:
    """The files in which tensors of the model stay until they are used."""
    return {
        Path(value.const_value.path).resolve()
        for graph in model.graphs()
        for value in graph.initializers.values()
        if isinstance(value.const_value, ir.ExternalTensor)
    }


def _tensor_bytes(model: ir.Model) -> int:
    return sum(
        value.const_value.nbytes
        for graph in model.graphs()
        for value in graph.initializers.values()
        if value.const_value
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error


def _parse(data: bytes, path: Path) -> onnx.ModelProto:
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(data)
    except DecodeError as error:
        raise ModelError(f"{path}: not an ONNX model, or a truncated one") from error
    if not proto.HasField("graph"):
        raise ModelError(f"{path}: not an ONNX model (it holds no graph)")
    return proto


def _check_proto(
    proto: onnx.ModelProto, name: str, path: Path | None = None, data: bytes | None = None
) -> None:
    """Check a message; `path` and `data` are the file that it was parsed from."""
    external = [tensor for tensor in _tensors(proto) if tensor.data_location == onnx.TensorProto.EXTERNAL]
    if external and path is None:
        raise ModelError(f"{name} has external data: pass its path, or load the data first")
    for tensor in external:
        assert path is not None
        _check_external(tensor, path)
    try:
        onnx.checker.check_model(str(path) if external else data or proto)
    except Exception as error:  # the checker raises ValidationError, TypeError, UnicodeDecodeError, ...
        raise ModelError(f"{name}: {_checker_message(error)}") from error
    _check_functions(proto, name)


def _checker_message(error: Exception) -> str:
    text = " ".join(str(error).split("\n\n")[0].split())
    if "topologically sorted" in text:
        return f"the graph has a cycle, or nodes out of order: {text}"
    return f"not a valid ONNX model: {text}" if text else "not a valid ONNX model"


def _check_external(tensor: onnx.TensorProto, path: Path) -> None:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    folder = path.parent.resolve()
    file = (folder / location).resolve()
    if not location or Path(location).is_absolute() or not file.is_relative_to(folder):
        raise ModelError(
            f"{path}: tensor '{tensor.name}' refers to external data outside the model's folder: '{location}'"
        )
    if not file.is_file():
        raise ModelError(
            f"{path}: the external data of tensor '{tensor.name}' is missing: "
            f"put '{location}' beside the model"
        )
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", 0))
    except ValueError as error:
        raise ModelError(
            f"{path}: tensor '{tensor.name}' has a malformed external offset or length"
        ) from error
    if offset < 0 or length < 0 or offset + max(length, _nbytes(tensor)) > file.stat().st_size:
        raise ModelError(f"{path}: the external data of tensor '{tensor.name}' is truncated: '{location}'")


def _nbytes(tensor: onnx.TensorProto) -> int:
    count = 1
    for dim in tensor.dims:
        count *= dim
    try:
        return int(count * ir.DataType(tensor.data_type).itemsize)
    except (ValueError, TypeError):
        return 0


def _check_functions(proto: onnx.ModelProto, name: str) -> None:
    """Refuse functions that call themselves: nothing could ever run them.

    onnx.checker does so from 1.23 on.
    """
    calls = {
        (function.domain, function.name): {(node.domain, node.op_type) for node in proto_nodes(function.node)}
        for function in proto.functions
    }
    done: set[tuple[str, str]] = set()

    def visit(key: tuple[str, str], active: tuple[tuple[str, str], ...]) -> None:
        if key in active:
            raise ModelError(f"{name}: function '{key[0]}.{key[1]}' calls itself")
        if key in done or key not in calls:
            return
        for callee in calls[key]:
            visit(callee, (*active, key))
        done.add(key)

    for key in calls:
        visit(key, ())


def proto_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """The nodes and those in their subgraphs, of a graph or a function as protobuf holds it."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from proto_nodes(graph.node)


def _tensors(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor that the file holds: initializers and attributes, in subgraphs and functions too."""
    yield from _graph_tensors(proto.graph)
    for function in proto.functions:
        yield from _node_tensors(function.node)


def _graph_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _node_tensors(graph.node)


def _node_tensors(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for graph in (attribute.g, *attribute.graphs):
                yield from _graph_tensors(graph)


def _to_ir(proto: onnx.ModelProto, name: str, base_dir: Path | None) -> ir.Model:
    try:
        model = ir.from_proto(proto)
    except Exception as error:  # what the checker let through: bad data types, dangling names, ...
        raise ModelError(f"{name}: not a valid ONNX model: {' '.join(str(error).split())}") from error
    _forget_negative_sizes(model)
    if base_dir is not None:
        ir.external_data.set_base_dir(model.graph, base_dir)
    return model


def _forget_negative_sizes(model: ir.Model) -> None:
    """Exporters write -1 or "?" for a size that they do not know; ONNX leaves the size out."""
    for value in (*model.graph.inputs, *model.graph.outputs):
        if value.shape is not None:
            value.shape = ir.Shape([None if _is_unknown(dim) else dim for dim in value.shape])


def _is_unknown(dim: int | ir.SymbolicDim) -> bool:
    return dim < 0 if isinstance(dim, int) else dim.value in (None, "", "?")
