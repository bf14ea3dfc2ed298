"""Messages between normdeploy and a worker process: a JSON header, then the bytes of arrays.

    length of the header (8 bytes, little endian) · header (UTF-8 JSON) · bytes of each array, C order

The header's "arrays" lists name, dtype, shape and nbytes of each array. Strings travel as a JSON list.
Nothing is ever unpickled, so neither side can make the other run code. No length is believed: memory is taken
as bytes arrive, and no array may be larger than the machine's memory.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ml_dtypes
import numpy as np

from normdeploy.dtypes import Array, dtype_named
from normdeploy.resources import physical_memory

_LENGTH = struct.Struct("<Q")
_HEADER_LIMIT = 2**28
_CHUNK_BYTES = 2**20
_TEXT = "text"
_TEXT_KINDS = "OSUT"
_NUMBER_KINDS = "biufc"

Fill = Callable[[memoryview], None]
"""Reads exactly as many bytes as the buffer holds, or raises."""


class ProtocolError(Exception):
    """The other side sent something that is not a message, or an array cannot be sent.

    It ends at the process that meets it: `WorkerSession` raises BackendCrashed instead, and a worker answers
    with an error.
    """


def encode(header: Mapping[str, Any], arrays: Mapping[str, Array]) -> Iterator[memoryview]:
    """The parts of a message, to be written one after the other.

    Args:
        header: of types that JSON has, without a key "arrays".
        arrays: of numbers, those of ml_dtypes included, or of strings. They are not copied unless they lie
            scattered in memory or in the other byte order.

    Raises:
        ProtocolError: an array holds something else.
    """
    described, payloads = [], []
    for name, array in arrays.items():
        if array.dtype.kind in _TEXT_KINDS:
            dtype, payload = _TEXT, _encode_text(array)
        elif _is_number(array.dtype):
            payload = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
            dtype = payload.dtype.name
        else:
            raise ProtocolError(f"array '{name}' is of type {array.dtype}, which cannot be sent")
        described.append({"name": name, "dtype": dtype, "shape": array.shape, "nbytes": payload.nbytes})
        payloads.append(payload)
    encoded = json.dumps({**header, "arrays": described}).encode()
    yield memoryview(_LENGTH.pack(len(encoded)) + encoded)
    for payload in payloads:
        if payload.nbytes:
            yield payload.reshape(-1).view(np.uint8).data


def decode(fill: Fill) -> tuple[dict[str, Any], dict[str, Array]]:
    """Read one message.

    Args:
        fill: reads the bytes.

    Returns:
        The header and the arrays; strings as arrays of objects.

    Raises:
        ProtocolError: it is not a message.
        Whatever `fill` raises.
    """
    (length,) = _LENGTH.unpack(_read(fill, _LENGTH.size))
    if length > _HEADER_LIMIT:
        raise ProtocolError(f"a header of {length} bytes")
    encoded = _read(fill, length)
    try:
        header = json.loads(encoded)
        described = header.pop("arrays")
        arrays = {str(item["name"]): _read_array(item, fill) for item in described}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ProtocolError(f"a malformed message ({type(error).__name__}: {error})") from error
    return header, arrays


def _read(fill: Fill, nbytes: int) -> bytearray:
    data = bytearray()
    while len(data) < nbytes:
        chunk = bytearray(min(nbytes - len(data), _CHUNK_BYTES))
        fill(memoryview(chunk))
        data += chunk
    return data


def _read_array(item: Mapping[str, Any], fill: Fill) -> Array:
    shape, nbytes = tuple(_size(size) for size in item["shape"]), _size(item["nbytes"])
    if item["dtype"] == _TEXT:
        return _decode_text(_read(fill, nbytes), shape)
    dtype = dtype_named(item["dtype"])
    if not _is_number(dtype) or math.prod(shape) * dtype.itemsize != nbytes:
        raise ProtocolError(f"{nbytes} bytes for an array of {dtype} {list(shape)}")
    if nbytes > physical_memory():
        raise ProtocolError(f"an array of {nbytes} bytes, more than this machine's memory")
    data = np.empty(nbytes, dtype=np.uint8)
    if nbytes:
        fill(data.data)
    return data.view(dtype).reshape(shape)


def _size(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ProtocolError(f"a size of {value!r}")
    return value


def _is_number(dtype: np.dtype[Any]) -> bool:
    """Whether elements are plain bits: anything else could hold pointers."""
    return dtype.kind in _NUMBER_KINDS or (dtype.kind == "V" and hasattr(ml_dtypes, dtype.name))


def _encode_text(array: Array) -> Array:
    items = [item.decode() if isinstance(item, bytes) else str(item) for item in array.reshape(-1).tolist()]
    return np.frombuffer(json.dumps(items).encode(), dtype=np.uint8)


def _decode_text(encoded: bytearray, shape: tuple[int, ...]) -> Array:
    items = json.loads(encoded)
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise ProtocolError("an array of strings that holds something else")
    if len(items) != math.prod(shape):
        raise ProtocolError(f"{len(items)} strings for an array {list(shape)}")
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array.reshape(shape)
