"""Messages between normdeploy and a worker process: a JSON header, then the arrays' bytes.

    length of the header (8 bytes, little endian) · header (UTF-8 JSON) · array bytes, C order, in turn

The header's "arrays" lists name, dtype and shape of each array. Nothing is ever unpickled, so that
neither side can make the other run code. Strings travel as a JSON list.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from normdeploy.dtypes import Array, dtype_named

_LENGTH = struct.Struct("<Q")
_HEADER_LIMIT = 2**28
_TEXT = "text"

Fill = Callable[[memoryview], None]
"""Reads exactly as many bytes as the buffer holds, or raises."""


class ProtocolError(Exception):
    """The other side sent something that is not a message."""


def encode(header: Mapping[str, Any], arrays: Mapping[str, Array]) -> Iterator[memoryview]:
    """The parts of a message, to be written one after the other. Arrays are not copied."""
    described, payloads = [], []
    for name, array in arrays.items():
        text = array.dtype.kind in "OSUT"
        payload = _encode_text(array) if text else np.ascontiguousarray(array)
        described.append(
            {
                "name": name,
                "dtype": _TEXT if text else array.dtype.name,
                "shape": array.shape,
                "nbytes": payload.nbytes,
            }
        )
        payloads.append(payload)
    encoded = json.dumps({**header, "arrays": described}).encode()
    yield memoryview(_LENGTH.pack(len(encoded)) + encoded)
    for payload in payloads:
        if payload.nbytes:
            yield payload.reshape(-1).view(np.uint8).data


def decode(fill: Fill) -> tuple[dict[str, Any], dict[str, Array]]:
    """Read one message.

    Raises:
        ProtocolError: it is not one.
        Whatever `fill` raises.
    """
    prefix = bytearray(_LENGTH.size)
    fill(memoryview(prefix))
    (length,) = _LENGTH.unpack(prefix)
    if length > _HEADER_LIMIT:
        raise ProtocolError(f"a header of {length} bytes")
    encoded = bytearray(length)
    fill(memoryview(encoded))
    try:
        header = json.loads(encoded)
        described = header.pop("arrays")
        arrays = {item["name"]: _read_array(item, fill) for item in described}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProtocolError(f"a malformed message ({error})") from error
    return header, arrays


def _read_array(item: Mapping[str, Any], fill: Fill) -> Array:
    shape, nbytes = tuple(int(size) for size in item["shape"]), int(item["nbytes"])
    if item["dtype"] == _TEXT:
        encoded = bytearray(nbytes)
        fill(memoryview(encoded))
        array = np.empty(math.prod(shape), dtype=object)
        array[:] = json.loads(encoded)
        return array.reshape(shape)
    dtype = dtype_named(item["dtype"])
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != nbytes:
        raise ProtocolError(f"{nbytes} bytes for an array of {dtype} {list(shape)}")
    data = np.empty(nbytes, dtype=np.uint8)
    if nbytes:
        fill(data.data)
    return data.view(dtype).reshape(shape)


def _encode_text(array: Array) -> Array:
    items = [item.decode() if isinstance(item, bytes) else str(item) for item in array.reshape(-1).tolist()]
    return np.frombuffer(json.dumps(items).encode(), dtype=np.uint8)
