"""Messages between processes: what goes in comes out, and what is no message is refused at no cost."""

import io
import json
import struct
import tracemalloc
from collections.abc import Mapping

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from normdeploy.backends.protocol import ProtocolError, decode, encode
from normdeploy.dtypes import dtype_named

NUMBERS = (
    "bool",
    *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
    *("float16", "float32", "float64", "complex64", "complex128"),
    *("bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"),
    *("float4_e2m1fn", "int2", "int4", "uint2", "uint4"),
)
LAYOUTS = {
    "as it is": lambda array: array,
    "Fortran": np.asfortranarray,
    "reversed": lambda array: array[::-1] if array.ndim else array,
    "every other": lambda array: np.repeat(array, 2, axis=-1)[..., ::2] if array.ndim else array,
    "other byte order": lambda array: array.astype(array.dtype.newbyteorder()),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
HEADERS = st.dictionaries(st.text().filter(lambda key: key != "arrays"), JSON, max_size=4)
MIB = 2**20


@st.composite
def number_arrays(draw) -> np.ndarray:
    """Any bits of any type, so NaN's payloads and subnormal numbers too, in any layout."""
    dtype = dtype_named(draw(st.sampled_from(NUMBERS)))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    count = int(np.prod(shape, dtype=int)) * dtype.itemsize
    raw = np.frombuffer(draw(st.binary(min_size=count, max_size=count)), np.uint8)
    array = (raw % 2 if dtype.kind == "b" else raw).view(dtype).reshape(shape)
    return LAYOUTS[draw(st.sampled_from(list(LAYOUTS)))](array)


@st.composite
def text_arrays(draw) -> np.ndarray:
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    count = int(np.prod(shape, dtype=int))
    array = np.empty(count, object)
    array[:] = draw(st.lists(st.text(max_size=8), min_size=count, max_size=count))
    return array.reshape(shape)


def sent(header: Mapping, arrays: Mapping[str, np.ndarray]) -> bytes:
    return b"".join(bytes(part) for part in encode(header, arrays))


def received(message: bytes) -> tuple[dict, dict[str, np.ndarray]]:
    """Decode a message, all of which must be read."""
    stream = io.BytesIO(message)
    decoded = decode(filler(stream))
    assert stream.read() == b""
    return decoded


def filler(stream: io.BytesIO):
    def fill(view: memoryview) -> None:
        if stream.readinto(view) != view.nbytes:
            raise EOFError

    return fill


def with_header(header: bytes, rest: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + rest


def one_array(rest: bytes = b"", **item) -> bytes:
    described = {"name": "x", "dtype": "float32", "shape": [2], "nbytes": 8, **item}
    kept = {key: value for key, value in described.items() if value is not ...}
    return with_header(json.dumps({"arrays": [kept]}).encode(), rest)


@given(header=HEADERS, arrays=st.dictionaries(st.text(), number_arrays(), max_size=3))
def test_numbers_come_back_bit_for_bit(header, arrays):
    found_header, found = received(sent(header, arrays))
    assert found_header == header
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        native = array.astype(array.dtype.newbyteorder("="))
        assert (found[name].dtype, found[name].shape) == (native.dtype, native.shape)
        assert found[name].tobytes() == native.tobytes()
        assert found[name].flags.writeable


@given(array=text_arrays())
def test_strings_come_back(array):
    _, found = received(sent({}, {"x": array}))
    assert (found["x"].dtype, found["x"].shape) == (np.dtype(object), array.shape)
    assert found["x"].tolist() == array.tolist()


@pytest.mark.parametrize(
    "array",
    [
        np.array(["a", "grüße\n"]),
        np.array([b"a", "grüße\n".encode()]),
        np.array(["a", "grüße\n"], dtype=object),
        *(
            [np.array(["a", "grüße\n"], dtype=np.dtypes.StringDType())]
            if hasattr(np.dtypes, "StringDType")
            else []
        ),
    ],
    ids=lambda array: str(array.dtype),
)
def test_every_kind_of_strings(array):
    assert received(sent({}, {"x": array}))[1]["x"].tolist() == ["a", "grüße\n"]


@pytest.mark.parametrize(
    "array",
    [np.zeros(2, "datetime64[s]"), np.zeros(2, [("a", "f4"), ("b", "O")]), np.zeros(2, "V4")],
    ids=["times", "records", "bytes"],
)
def test_what_is_neither_numbers_nor_strings_is_not_sent(array):
    with pytest.raises(ProtocolError, match=r"^array 'x' is of type .*, which cannot be sent"):
        sent({}, {"x": array})


def test_arrays_are_not_copied():
    array = np.arange(6, dtype=np.float32)
    *_, payload = encode({}, {"x": array})
    array[0] = 7
    assert np.frombuffer(payload, np.float32)[0] == 7


MESSAGE = sent(
    {"request": "run"},
    {
        "x": np.arange(3, dtype=np.float32),
        "text": np.array(["a", "b"], object),
        "empty": np.zeros((0, 2)),
        "scalar": np.array(1.5, ml_dtypes.bfloat16),
    },
)


def test_a_message_cut_off_anywhere_is_no_message():
    for length in range(len(MESSAGE)):
        with pytest.raises((EOFError, ProtocolError)):
            received(MESSAGE[:length])


@given(position=st.integers(0, len(MESSAGE) - 1), value=st.integers(0, 255))
def test_a_byte_that_is_wrong_is_an_error_or_another_message(position, value):
    """A header of a wrong length may ask for more bytes than there are."""
    damaged = bytearray(MESSAGE)
    damaged[position] = value
    try:
        header, arrays = decode(filler(io.BytesIO(damaged)))
    except (EOFError, ProtocolError):
        return
    assert isinstance(header, dict)
    assert all(array.dtype == object or array.nbytes <= len(MESSAGE) for array in arrays.values())


DEEP = b"[" * 100_000 + b"]" * 100_000
HOSTILE = {
    "a header of 2^64 - 1 bytes": b"\xff" * 8,
    "a header just beyond the limit": struct.pack("<Q", 2**28 + 1),
    "no JSON": with_header(b"hello"),
    "no text": with_header(b"\xff\xfe\xfd\xfc"),
    "half of JSON": with_header(b'{"arrays": ['),
    "deep JSON": with_header(b'{"arrays": ' + DEEP + b"}"),
    "a number with many digits": with_header(b'{"arrays": [], "n": ' + b"9" * 100_000 + b"}"),
    "no object": with_header(b"[]"),
    "a number": with_header(b"7"),
    "no arrays": with_header(b"{}"),
    "arrays that are a number": with_header(b'{"arrays": 7}'),
    "arrays that are text": with_header(b'{"arrays": "xy"}'),
    "an array that is a number": with_header(b'{"arrays": [7]}'),
    "no name": one_array(name=...),
    "no type": one_array(dtype=...),
    "no shape": one_array(shape=...),
    "no number of bytes": one_array(nbytes=...),
    "an unknown type": one_array(dtype="float31"),
    "a type that is a number": one_array(dtype=7),
    "a type that is no type": one_array(dtype="finfo"),
    "pointers": one_array(bytes(16), dtype="object", nbytes=16),
    "pointers in records": one_array(bytes(24), dtype="f4,O", nbytes=24),
    "a type without a size": one_array(dtype="U", nbytes=0),
    "times": one_array(bytes(16), dtype="datetime64", nbytes=16),
    "a negative size": one_array(shape=[-2], nbytes=-8),
    "negative sizes whose product is positive": one_array(bytes(8), shape=[-2, -1]),
    "a negative number of bytes": one_array(nbytes=-8),
    "a broken size": one_array(bytes(8), shape=[2.0]),
    "a size in words": one_array(bytes(8), shape=["2"]),
    "a truth value as a size": one_array(bytes(4), shape=[True], nbytes=4),
    "too few bytes": one_array(bytes(4), nbytes=4),
    "too many bytes": one_array(bytes(12), nbytes=12),
    "a shape beyond the machine": one_array(shape=[2**60], nbytes=2**62),
    "a shape beyond 64 bits": one_array(shape=[2**40, 2**40], nbytes=2**82),
    "a shape beyond all digits": one_array(shape=[10**300] * 30, nbytes=8),
    "an empty shape beyond 64 bits": one_array(shape=[0, 2**40, 2**40], nbytes=0),
    "too many axes": one_array(bytes(8), shape=[1] * 1000 + [2]),
    "strings that are not JSON": one_array(b"hello...", dtype="text"),
    "strings that are numbers": one_array(b"[1,2]   ", dtype="text"),
    "strings that are one string": one_array(b'"ab"    ', dtype="text"),
    "strings in lists": one_array(b'[["ab"]]', dtype="text", shape=[1]),
    "too few strings": one_array(b'["a"]   ', dtype="text"),
    "more strings than there is memory": one_array(b'["a"]   ', dtype="text", shape=[2**50]),
    "deep strings": one_array(DEEP, dtype="text", nbytes=len(DEEP)),
}


@pytest.mark.parametrize("message", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_message_is_refused_and_takes_no_memory(message):
    assert peak_of(ProtocolError, message) < 8 * MIB


@pytest.mark.parametrize(
    "message",
    [struct.pack("<Q", 2**28), one_array(dtype="text", nbytes=2**40)],
    ids=["a header", "strings"],
)
def test_a_length_alone_takes_no_memory(message):
    """As much is allowed, but nothing follows."""
    assert peak_of(EOFError, message) < 8 * MIB


def peak_of(error: type[Exception], message: bytes) -> int:
    """The most bytes that were allocated at a time until the error came."""
    tracemalloc.start()
    try:
        with pytest.raises(error):
            decode(filler(io.BytesIO(message)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak
