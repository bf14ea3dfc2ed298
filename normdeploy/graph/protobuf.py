"""ONNX's protobuf messages as they stand in a file: reading one, and what all of it holds."""

from __future__ import annotations

import functools
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

from normdeploy.errors import ModelError

PROTOBUF_LIMIT = 2**31 - 1
"""No protobuf message can be larger; a model with larger tensors keeps them in a file beside it."""


def read_model(path: Path) -> tuple[onnx.ModelProto, bytes]:
    """A model's message and the bytes that it was read from.

    Raises:
        ModelError: it is no regular file, cannot be read, is too large, or is no ONNX model.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"{path}: is a folder, a device or a pipe, not a file")
        if status.st_size > PROTOBUF_LIMIT:
            raise ModelError(
                f"{path}: has {status.st_size} bytes, and no ONNX model can have more than {PROTOBUF_LIMIT}"
            )
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    return _parsed(data, path), data


def _parsed(data: bytes, path: Path) -> onnx.ModelProto:
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(data)
    except DecodeError as error:
        raise ModelError(f"{path}: not an ONNX model, or a truncated one") from error
    if not proto.HasField("graph"):
        raise ModelError(f"{path}: not an ONNX model (it holds no graph)")
    return proto


def proto_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """The nodes and those in their subgraphs, of a graph or a function as protobuf holds it."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from proto_nodes(graph.node)


def proto_tensors(message: Message) -> Iterator[onnx.TensorProto]:
    """Every tensor inside a message, in whichever field it stands.

    The fields come from the message's own description, so that none is overlooked: initializers, dense and
    sparse ones, attributes of nodes, defaults of a function's attributes, training graphs.
    """
    waiting: list[Message] = [message]
    while waiting:
        current = waiting.pop()
        if isinstance(current, onnx.TensorProto):
            yield current
            continue
        for field, value in current.ListFields():
            if field.message_type is not None and _may_hold_tensors(field.message_type):
                waiting.extend([value] if isinstance(value, Message) else value)


def proto_messages(message: Message) -> Iterator[Message]:
    """A message and every message inside it, at any depth.

    Only the fields that hold messages are looked at: to ask a tensor for its data is to copy it.
    """
    waiting: list[Message] = [message]
    while waiting:
        current = waiting.pop()
        yield current
        for name in fields_of_type(current.DESCRIPTOR, FieldDescriptor.TYPE_MESSAGE):
            value = getattr(current, name)
            if not isinstance(value, Message):
                waiting.extend(value)
            elif current.HasField(name):
                waiting.append(value)


@functools.cache
def fields_of_type(kind: Descriptor, wanted: int) -> tuple[str, ...]:
    """The names of the fields of a kind of message that have a type of `FieldDescriptor`."""
    return tuple(field.name for field in kind.fields if field.type == wanted)


@functools.cache
def _may_hold_tensors(kind: Descriptor) -> bool:
    """Whether a message of this kind can hold a tensor, at any depth."""
    seen: set[str] = set()
    waiting = [kind]
    while waiting:
        current = waiting.pop()
        if current.full_name == onnx.TensorProto.DESCRIPTOR.full_name:
            return True
        if current.full_name not in seen:
            seen.add(current.full_name)
            waiting.extend(field.message_type for field in current.fields if field.message_type is not None)
    return False
