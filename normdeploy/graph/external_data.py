"""Tensors whose numbers stand in files beside the model: the one gate that they pass, and where they go.

A file may name any path for its tensors. Only regular files inside the model's folder are read, after links
are followed, and only where they hold as many bytes as the tensor takes.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import math
import mmap
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import onnx
import onnx_ir as ir

from normdeploy.errors import ModelError
from normdeploy.graph.protobuf import PROTOBUF_LIMIT, proto_tensors, read_model

_HASH_CHARACTERS = 16
_HASHED = rf"[0-9a-f]{{{_HASH_CHARACTERS}}}\.data"
"""The end of a data file's name that is written here."""

_DATA = re.compile(rf"\.{_HASHED}$")
_MODEL_SUFFIXES = (".onnx", ".pb")
"""Of files that may refer to data in folders inside theirs."""


def external_protos(proto: onnx.ModelProto) -> list[onnx.TensorProto]:
    """The tensors of a message that keep their numbers elsewhere."""
    return [tensor for tensor in proto_tensors(proto) if tensor.data_location == onnx.TensorProto.EXTERNAL]


def data_of(path: Path) -> set[Path]:
    """The files that hold tensors of the model at a path, links followed; none if it is no model."""
    if not _mentions(path, "location"):
        return set()
    found = set()
    with contextlib.suppress(ModelError, OSError, ValueError):
        for tensor in external_protos(read_model(path)[0]):
            locations = (entry.value for entry in tensor.external_data if entry.key == "location")
            found |= {(path.parent / location).resolve() for location in locations}
    return found


def check_external(tensor: onnx.TensorProto, path: Path) -> None:
    """Let a tensor of the model at `path` through the gate.

    Raises:
        ModelError: its file is outside the model's folder, missing, no regular file or too short.
    """
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    named = f"the external data of tensor '{tensor.name}'"
    try:
        folder = path.parent.resolve()
        file = (folder / location).resolve()
        inside = bool(location) and not Path(location).is_absolute() and file.is_relative_to(folder)
        is_file = inside and file.is_file()
        size = file.stat().st_size if is_file else 0
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"{named} cannot be read: '{_shortened(location)}' ({reason})") from error
    if not inside:
        raise ModelError(
            f"tensor '{tensor.name}' refers to external data outside the model's folder: "
            f"'{_shortened(location)}'"
        )
    if not is_file:
        raise ModelError(f"{named} is missing: put '{_shortened(location)}' beside the model")
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", 0))
    except ValueError as error:
        raise ModelError(f"tensor '{tensor.name}' has a malformed external offset or length") from error
    if offset < 0 or length < 0 or offset + max(length, _nbytes(tensor)) > size:
        raise ModelError(f"{named} is truncated: '{_shortened(location)}'")


def _shortened(text: str, characters: int = 100) -> str:
    return text if len(text) <= characters else f"{text[:characters]}..."


def _nbytes(tensor: onnx.TensorProto) -> int:
    try:
        return int(math.prod(tensor.dims) * ir.DataType(tensor.data_type).itemsize)
    except (ValueError, TypeError):
        return 0


def external_tensors(model: ir.Model) -> Iterator[ir.ExternalTensor]:
    """The tensors of a loaded model that stay in files until they are used: weights and attributes."""
    for _, tensor in _external_initializers(_all_graphs(model)):
        yield tensor
    for _, _, tensors in _external_attributes(model):
        yield from tensors


def external_files(model: ir.Model) -> set[Path]:
    """The files in which tensors of the model stay until they are used."""
    return {Path(tensor.path).resolve() for tensor in external_tensors(model)}


def _all_graphs(model: ir.Model) -> Iterator[ir.Graph]:
    functions = list(model.functions.values())
    defaults = [attribute for function in functions for attribute in function.attributes.values()]
    for graph in (model.graph, *(function.graph for function in functions), *_graphs_in(defaults)):
        yield graph
        yield from graph.subgraphs()


def _external_initializers(graphs: Iterable[ir.Graph]) -> Iterator[tuple[ir.Value, ir.ExternalTensor]]:
    for graph in graphs:
        for value in graph.initializers.values():
            if isinstance(value.const_value, ir.ExternalTensor):
                yield value, value.const_value


def _graphs_in(attributes: Iterable[ir.Attr]) -> Iterator[ir.Graph]:
    for attribute in attributes:
        if attribute.type == ir.AttributeType.GRAPH:
            yield attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            yield from attribute.as_graphs()


def _external_attributes(
    model: ir.Model,
) -> Iterator[tuple[ir.Node | ir.Function, ir.Attr, list[ir.ExternalTensor]]]:
    """The attributes that hold external tensors, of nodes and, as defaults, of functions."""
    owners: list[ir.Node | ir.Function] = [*model.functions.values()]
    owners += [node for graph in _all_graphs(model) for node in graph]
    for owner in owners:
        for attribute in list(owner.attributes.values()):
            external = [tensor for tensor in _tensors_in(attribute) if isinstance(tensor, ir.ExternalTensor)]
            if external:
                yield owner, attribute, external


def _tensors_in(attribute: ir.Attr) -> Sequence[ir.TensorProtocol]:
    if attribute.is_ref():
        return ()
    if attribute.type == ir.AttributeType.TENSOR:
        return (attribute.as_tensor(),)
    return attribute.as_tensors() if attribute.type == ir.AttributeType.TENSORS else ()


def set_folder(model: ir.Model, folder: Path) -> None:
    """Let every external tensor be read from the model's folder."""
    for tensor in external_tensors(model):
        tensor.base_dir = folder


def with_own_tensors(model: ir.Model, *, but_weights: bool = False) -> ir.Model:
    """The model, or a copy of it, that holds its tensors itself.

    Args:
        model: stays as it is.
        but_weights: leave the initializers of the main graph and its subgraphs where they are. onnx_ir puts
            these into a data file, and no attributes, nor anything inside functions.
    """
    left = sum(1 for _ in _external_initializers(model.graphs())) if but_weights else 0
    if sum(1 for _ in external_tensors(model)) == left:
        return model
    copy = model.clone()
    for owner, attribute, _ in _external_attributes(copy):
        own = [_loaded(tensor) for tensor in _tensors_in(attribute)]
        if attribute.type == ir.AttributeType.TENSOR:
            owner.attributes.add(ir.AttrTensor(attribute.name, own[0]))
        else:
            owner.attributes.add(ir.AttrTensors(attribute.name, own))
    left_alone = set(map(id, copy.graphs())) if but_weights else set()
    inside = (graph for graph in _all_graphs(copy) if id(graph) not in left_alone)
    for value, tensor in _external_initializers(inside):
        value.const_value = _loaded(tensor)
    return copy


def _loaded(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    if not isinstance(tensor, ir.ExternalTensor):
        return tensor
    return ir.Tensor(tensor.numpy().copy(), dtype=tensor.dtype, name=tensor.name)


def name_by_content(model: Path, data: Path) -> None:
    """Give a data file the name `<model>.<hash of its content>.data`, and tell the model beside it.

    No two contents share a name: writing a model never changes what another one reads.
    """
    digest = hashlib.sha256()
    with data.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    name = f"{model.name}.{digest.hexdigest()[:_HASH_CHARACTERS]}.data"
    data.rename(data.with_name(name))
    proto, _ = read_model(model)
    for tensor in external_protos(proto):
        for entry in tensor.external_data:
            if entry.key == "location":
                assert entry.value == data.name, f"'{tensor.name}' is not in the data file"
                entry.value = name
    model.write_bytes(proto.SerializeToString())


def own_data(model: Path) -> set[Path]:
    """The data files that the model at a path has, or was to have when a process was killed.

    Those that bear the hash of their content were written here. `<model>.data` is what other tools write; it
    counts only while the model refers to it.
    """
    hashed = re.compile(rf"{re.escape(model.name)}\.{_HASHED}")
    beside = model.parent.glob(f"{glob.escape(model.name)}.*")
    found = {file for file in beside if hashed.fullmatch(file.name)}
    plain = model.with_name(f"{model.name}.data")
    if os.path.isfile(plain) and _mentions(model, plain.name):
        found.add(plain)
    return found


def remove_unused(files: set[Path], written: Path) -> None:
    """Remove data files that nothing refers to.

    A model may refer to files in its folder and in folders inside it, and its name may be any: a copy is
    called model.onnx.bak. Links to a data file count as well.

    Args:
        files: to remove.
        written: the model that has just been written, beside them.
    """
    for file in files:
        if not any(_refers(other, file) for other in chain([written], _possible_models(file))):
            with contextlib.suppress(OSError):  # the model is written, and needs it no more
                file.unlink()


def _possible_models(data: Path) -> Iterator[Path]:
    """Every file beside a data file but other data; in the folders above, what has a model's name; links."""
    for folder in data.parents:
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                path = Path(entry.path)
                any_name = folder == data.parent and not _DATA.search(entry.name)
                if entry.is_symlink() or any_name or path.suffix.lower() in _MODEL_SUFFIXES:
                    yield path


def _refers(other: Path, data: Path) -> bool:
    """Whether a file is a model that refers to a data file, or a link to it."""
    if other.is_symlink() and os.path.realpath(other) == os.path.realpath(data):
        return True
    return os.path.isfile(other) and _mentions(other, data.name)


def _mentions(model: Path, name: str) -> bool:
    """Whether a file holds a name, as a model does that refers to a data file; if in doubt, yes."""
    try:
        with model.open("rb") as file:
            if not 0 < os.fstat(file.fileno()).st_size <= PROTOBUF_LIMIT:
                return False
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return content.find(os.fsencode(name)) >= 0
    except (OSError, ValueError):
        return True
