"""Valid models, changed at random: one message, one field, or bytes of the file at a time.

The fields come from the messages' own descriptions, so that none is overlooked. Everything follows from the
seed, so that a mutant can be made again.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence

import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

_NOT_UTF8 = "@NOT*UTF8@"
"""Stands for text that protobuf's Python interface would refuse, until the message is bytes."""

_INTEGERS = (
    0,
    1,
    -1,
    2,
    3,
    4,
    5,
    7,
    8,
    13,
    16,
    21,
    64,
    255,
    999,
    2**31 - 1,
    -(2**31),
    2**32,
    2**62,
    -(2**62),
)
_EXTREMES = (2**63 - 1, -(2**63))
_FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, float("nan"), float("inf"), float("-inf"), 1e-45, 1e-38, 3.4e38, -3e38)
_TEXTS = (
    "",
    "x",
    "y",
    " ",
    "a" * 5000,
    "\x1b]0;title\x07",
    "\x1b[2J\x1b[31mred",
    "line\nbreak\ttab",
    "nul\x00byte",
    "\u202egnp.exe",
    "\x9b31m",
    "[bold]markup[/bold]",
    "%s{0}",
    "../../etc/passwd",
    "/dev/zero",
    "ai.onnx",
    "ai.onnx.ml",
    "com.microsoft",
    "normdeploy",
    "local",
    "😀 ünï",
    _NOT_UTF8,
)
_OPERATORS = (
    "LRN", "BatchNormalization", "Conv", "ConvTranspose", "Gemm", "MatMul", "Relu", "Add", "Mul", "Div",
    "Pow", "Sqrt", "Reshape", "Squeeze", "Unsqueeze", "Concat", "Split", "Slice", "Gather", "Expand", "Pad",
    "Shape", "AveragePool", "MaxPool", "GlobalAveragePool", "Softmax", "Cast", "CastLike", "Constant",
    "ConstantOfShape", "Range", "Identity", "Dropout", "Transpose", "ReduceSum", "ReduceMean", "If", "Loop",
    "Scan", "Where", "QuantizeLinear", "DequantizeLinear", "InstanceNormalization", "LayerNormalization",
    "LpNormalization", "MeanVarianceNormalization", "GroupNormalization", "IntraChannelLRN", "Scaled",
    "TopK", "NonZero", "OneHot", "Resize", "LSTM", "GRU", "RNN", "SequenceConstruct", "ScatterND", "Einsum",
    "Tile", "CumSum", "Mod", "RandomNormal", "Clip", "Flatten", "Trilu", "EyeLike", "Upsample",
    "GridSample", "NonMaxSuppression",
)  # fmt: skip

_NUMERIC_LIMITS: Mapping[int, tuple[int, int]] = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


def mutant(seeds: Mapping[str, onnx.ModelProto], seed: int, number: int) -> bytes:
    """The file of one mutant.

    Args:
        seeds: valid models by name.
        seed: of the run.
        number: of the mutant in the run.
    """
    rng = random.Random(f"{seed}/{number}")  # noqa: S311  # no secret
    names = sorted(seeds)
    proto = onnx.ModelProto()
    proto.CopyFrom(seeds[rng.choice(names)])
    if rng.random() < 0.85:
        for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5))):
            _change_message(proto, seeds[rng.choice(names)], rng)
    whole = proto.SerializeToString().replace(_NOT_UTF8.encode(), b"\xff\xfe\x80 \xc3\x28 \xed\xa0\x80")
    if rng.random() < 0.2:
        other = seeds[rng.choice(names)].SerializeToString()
        for _ in range(rng.choice((1, 1, 2, 4))):
            whole = _change_bytes(whole, other, rng)
    return whole


def _messages(message: Message) -> Iterator[Message]:
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in [value] if isinstance(value, Message) else value:
                yield from _messages(inner)


def _change_message(proto: onnx.ModelProto, donor: onnx.ModelProto, rng: random.Random) -> None:
    """Change one field of one message, most often one that is set."""
    messages = list(_messages(proto))
    kinds = sorted({type(message).__name__ for message in messages})
    kind = rng.choice(kinds)  # by kind, so that the many dimensions do not drown the few graphs
    message = rng.choice([message for message in messages if type(message).__name__ == kind])
    present = [field for field, _ in message.ListFields()]
    fields = present if present and rng.random() < 0.75 else list(message.DESCRIPTOR.fields)
    field = rng.choice(fields)
    if _is_repeated(field):
        _change_list(getattr(message, field.name), field, _Source(proto, donor, rng))
    elif rng.random() < 0.15:
        message.ClearField(field.name)
    elif field.message_type is not None:
        graft = _Source(proto, donor, rng).message(field)
        if graft is not None:
            getattr(message, field.name).CopyFrom(graft)
    else:
        setattr(message, field.name, _Source(proto, donor, rng).scalar(field))


def _is_repeated(field: FieldDescriptor) -> bool:
    return bool(field.is_repeated) if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED


class _Source:
    """Where new values come from: extremes, and what the model and another one hold."""

    def __init__(self, proto: onnx.ModelProto, donor: onnx.ModelProto, rng: random.Random) -> None:
        self.proto, self.donor, self.rng = proto, donor, rng

    def message(self, field: FieldDescriptor) -> Message | None:
        """A message of the field's kind out of either model."""
        wanted = field.message_type.full_name
        found = [
            message
            for model in (self.proto, self.donor)
            for message in _messages(model)
            if message.DESCRIPTOR.full_name == wanted
        ]
        if not found:
            return None
        copy = type(found[0])()
        copy.CopyFrom(self.rng.choice(found))
        return copy

    def scalar(self, field: FieldDescriptor) -> object:
        """A value of the field's type."""
        rng = self.rng
        if field.type == FieldDescriptor.TYPE_BYTES:
            texts = [rng.choice(_TEXTS).encode(), rng.randbytes(rng.choice((0, 1, 4, 8, 100))), b"SAME_LOWER"]
            return rng.choice(texts)
        if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            return self._text(field)
        if field.cpp_type in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE):
            return rng.choice((*_FLOATS, rng.gauss(0, 100)))
        if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
            return rng.choice([value.number for value in field.enum_type.values])
        if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
            return rng.random() < 0.5
        low, high = _NUMERIC_LIMITS[field.cpp_type]
        return min(max(rng.choice(_INTEGERS + _EXTREMES + tuple(range(30))), low), high)

    def _text(self, field: FieldDescriptor) -> str:
        rng = self.rng
        if field.name == "op_type" and rng.random() < 0.8:
            return rng.choice(_OPERATORS)
        if rng.random() < 0.5:  # a name that stands elsewhere in the model
            names = [
                text
                for message in _messages(self.proto)
                for other, value in message.ListFields()
                if other.type == FieldDescriptor.TYPE_STRING
                for text in ([value] if isinstance(value, str) else value)
            ]
            if names:
                return rng.choice(names)
        return rng.choice(_TEXTS)


def _change_list(items: Sequence[object], field: FieldDescriptor, source: _Source) -> None:
    rng, values = source.rng, list(items)
    values = [_copied(value) for value in values]

    def new() -> object:
        made = source.scalar(field) if field.message_type is None else source.message(field)
        return [] if made is None else [made]

    place = rng.randrange(len(values)) if values else 0
    changes: list[Callable[[], object]] = [
        lambda: values.__setitem__(slice(place, place), new()),
        lambda: values.__setitem__(slice(place, place + 1), new()),
        lambda: values.__setitem__(slice(place, place + 1), []),
        lambda: values.append(_copied(values[place])) if values else None,
        lambda: rng.shuffle(values),
        lambda: values.clear() if rng.random() < 0.3 else values.reverse(),
    ]
    rng.choice(changes)()
    del items[:]  # type: ignore[attr-defined]
    items.extend(values)  # type: ignore[attr-defined]


def _copied(value: object) -> object:
    if not isinstance(value, Message):
        return value
    copy = type(value)()
    copy.CopyFrom(value)
    return copy


def _change_bytes(whole: bytes, other: bytes, rng: random.Random) -> bytes:
    """Flip, set, insert, delete, repeat or cut bytes, or splice in a piece of another file."""
    data = bytearray(whole)
    if not data:
        return whole
    place = rng.randrange(len(data))
    end = place + rng.choice((1, 2, 8, 64))
    kind = rng.choice(("flip", "set", "insert", "delete", "repeat", "cut", "splice", "number"))
    if kind == "flip":
        data[place] ^= 1 << rng.randrange(8)
    elif kind == "set":
        data[place] = rng.randrange(256)
    elif kind == "insert":
        data[place:place] = rng.randbytes(rng.choice((1, 2, 8)))
    elif kind == "delete":
        del data[place:end]
    elif kind == "repeat":
        data[place:place] = data[place:end]
    elif kind == "cut":
        del data[place:]
    elif kind == "splice":
        start = rng.randrange(len(other))
        data[place:end] = other[start : start + end - place]
    else:
        data[place : place + 8] = struct.pack("<q", rng.choice(_INTEGERS + _EXTREMES))
    return bytes(data)
