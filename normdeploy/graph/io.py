"""Reading and writing ONNX models, with every input treated as possibly malformed or hostile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
import onnx_ir as ir

from normdeploy.errors import BudgetExceeded, ModelError, UsageError
from normdeploy.files import is_stdout, resolved_target, scratch_folder, staged
from normdeploy.graph import leniency
from normdeploy.graph.expansion import check_expansion
from normdeploy.graph.external_data import (
    check_external,
    external_files,
    external_protos,
    name_by_content,
    own_data,
    remove_unused,
    set_folder,
    with_own_tensors,
)
from normdeploy.graph.protobuf import PROTOBUF_LIMIT, read_model
from normdeploy.graph.sparse import with_dense_tensors
from normdeploy.graph.validity import check_functions, check_tensors, check_text, check_versions
from normdeploy.resources import limited_memory

ModelSource = str | os.PathLike[str] | onnx.ModelProto | ir.Model
"""A path, a protobuf message or a graph that is loaded already."""

_MOST_BYTES = 2**31
"""Of memory that onnx.checker may take to follow a model's shapes, besides its tensors."""


def load(source: ModelSource) -> ir.Model:
    """Read and check a model; tensors in external files stay there until they are used.

    Sparse tensors become dense ones.

    Raises:
        ModelError: no file, not ONNX, truncated, not valid by onnx.checker, a graph with a cycle, an opset
            that the installed onnx does not know, a tensor with more or less data than its shape takes,
            external data that is missing, too short or outside the model's folder.
    """
    if isinstance(source, ir.Model):
        return source
    if isinstance(source, onnx.ModelProto):
        return _admitted(source)
    path = Path(source)
    proto, data = read_model(path)
    return _admitted(proto, path, data)


def save(model: ir.Model, path: str | os.PathLike[str], *, external_data: bool = False) -> None:
    """Write a model whole or not at all, after onnx.checker has passed it with full_check.

    Tensors go into a file beside the model when they are too large for one protobuf message, or when some are
    in such a file already and this is not standard output. It is called `<name>.<hash of its content>.data`,
    so that no other model's data is ever replaced; what earlier models at this path had goes last. Tensors
    are copied one by one, so that a model larger than memory can be written.

    Args:
        model: the model.
        path: of the file.
        external_data: whether tensors go into a file of their own in any case.

    Raises:
        ModelError: the checker refuses the model.
        UsageError: the file cannot be written, or holds tensors of the model.
    """
    large = _tensor_bytes(model) >= PROTOBUF_LIMIT // 2
    files = external_files(model)
    separate = external_data or large or (bool(files) and not is_stdout(path))
    before = set() if is_stdout(path) else own_data(_target(path, files, separate))
    model = with_own_tensors(model, but_weights=separate)
    with staged(path, finish=lambda target: remove_unused(before | own_data(target), target)) as part:
        if separate:
            data = part.with_name(f"{part.name}.data")  # until its content is known
            ir.save(model, part, external_data=data.name)
            if data.exists():
                name_by_content(part, data)
        else:
            ir.save(model, part)
        try:
            with limited_memory(_MOST_BYTES + 4 * _tensor_bytes(model)):
                leniency.check_file(part, model)
        except MemoryError as error:
            raise BudgetExceeded(
                f"{os.fspath(path)}: not written: its shapes take too much memory"
            ) from error
        except Exception as error:  # the checker raises many types
            raise ModelError(f"{os.fspath(path)}: not written: {_checker_message(error)}") from error


def _target(path: str | os.PathLike[str], files: set[Path], separate: bool) -> Path:
    """The file to write a model into, one that the model, and what reads it, can live with.

    Args:
        path: what is asked for.
        files: that the model's tensors are in.
        separate: whether tensors go into a file beside the model.

    Raises:
        UsageError: it is none.
    """
    target = resolved_target(path)
    name = os.fspath(path)
    if target in files:
        raise UsageError(f"{name}: holds tensors of the model that is to be written: choose another name")
    if separate and target.parent != Path(path).parent.resolve():
        raise UsageError(
            f"{name}: is a link into another folder, and onnx would look for the tensors' file beside the "
            f"link: name {target}"
        )
    if not _is_utf8(target):
        raise UsageError(f"{name}: is not UTF-8, as onnx needs it: choose another name")
    return target


def _is_utf8(path: Path) -> bool:
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def on_disk(model: ModelSource) -> Iterator[Path]:
    """The model's file, or a temporary one."""
    if isinstance(model, str | os.PathLike):
        yield Path(model)
        return
    with scratch_folder() as folder:
        path = folder / "model.onnx"
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
    return ir.to_proto(with_own_tensors(model))


def _tensor_bytes(model: ir.Model) -> int:
    return sum(
        value.const_value.nbytes
        for graph in model.graphs()
        for value in graph.initializers.values()
        if value.const_value
    )


def _admitted(proto: onnx.ModelProto, path: Path | None = None, data: bytes | None = None) -> ir.Model:
    """The graph of a message that passes every check.

    Args:
        proto: the message.
        path, data: the file that it was parsed from, and what that held.

    Raises:
        ModelError: one line that begins with the path.
    """
    name = "the model" if path is None else str(path)
    try:
        return _checked(proto, path, data)
    except ModelError as error:
        raise type(error)(f"{name}: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # protobuf, onnx and onnx_ir raise what they happen to stumble over
        raise ModelError(f"{name}: not a valid ONNX model: {_innermost(error)}") from error


def _checked(proto: onnx.ModelProto, path: Path | None, data: bytes | None) -> ir.Model:
    check_text(proto)
    check_versions(proto)
    external = external_protos(proto)
    if external and path is None:
        raise ModelError("has external data: pass its path, or load the data first")
    if external and path is not None and not _is_utf8(path):
        raise ModelError("has external data, for which onnx needs a path in UTF-8: give it another name")
    for tensor in external:
        assert path is not None
        check_external(tensor, path)
    given: onnx.ModelProto | bytes | Path = path if external and path is not None else data or proto
    mended = leniency.put_right(proto)
    source, proto = given if mended is proto else mended, mended
    try:
        leniency.check(source, proto)
    except Exception as error:  # the checker raises ValidationError, TypeError, ...
        raise ModelError(_checker_message(error)) from error
    check_tensors(proto)
    check_functions(proto)
    check_expansion(proto)
    folder = None if path is None else path.parent
    model = ir.from_proto(with_dense_tensors(proto, folder))
    _forget_negative_sizes(model)
    _forget_undefined_types(model)
    if folder is not None:
        set_folder(model, folder)
    return model


def _checker_message(error: Exception) -> str:
    text = " ".join(str(error).split("\n\n")[0].split())
    if "topologically sorted" in text:
        return f"the graph has a cycle, or reads what nothing computes: {text}"
    return f"not a valid ONNX model: {text}" if text else "not a valid ONNX model"


def _innermost(error: BaseException) -> str:
    """What went wrong first: onnx_ir wraps an error at each level of the graph."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()) or type(error).__name__


def _forget_negative_sizes(model: ir.Model) -> None:
    """Exporters write -1 or "?" for a size that they do not know; ONNX leaves the size out."""
    for value in (*model.graph.inputs, *model.graph.outputs):
        if value.shape is not None:
            value.shape = ir.Shape([None if _is_unknown(dim) else dim for dim in value.shape])


def _forget_undefined_types(model: ir.Model) -> None:
    """An element type of UNDEFINED is one that is not stated."""
    for graph in (*model.graphs(), *(function.graph for function in model.functions.values())):
        for value in (*graph.inputs, *(value for node in graph for value in node.outputs)):
            if value.dtype == ir.DataType.UNDEFINED:
                value.type = None


def _is_unknown(dim: int | ir.SymbolicDim) -> bool:
    return dim < 0 if isinstance(dim, int) else dim.value in (None, "", "?")
