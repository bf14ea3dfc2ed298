"""Which numbers of a deployed file are roundings of what its original means.

Tensors are compared by what they hold, not by their names: a tool renames and transposes them, orders their
numbers anew for its kernels and fills them up with zeros. A tensor that both files hold was not rounded. Nor
was one of which they hold most numbers: the others are wrong. One that only the deployed file holds was
computed by the tool (a BatchNorm's scale multiplied into a filter), and rounded to the type that it is stored
in.

Where an optimizer puts one operator in place of several, a number that the original stores may become part of
the operator's definition, which holds it exactly.

A file in float16 or bfloat16 holds roundings of the very tensors of its original. They need no allowance:
the original's are rounded the same way before the two are compared. Converters to float16 lift the smallest
numbers to 1e-7, which counts as a rounding too.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from hashlib import blake2b

import numpy as np
import onnx_ir as ir

from normdeploy.dtypes import Array
from normdeploy.graph.scopes import located_nodes, scopes
from normdeploy.reference.rounded_numbers import RoundedNumbers
from normdeploy.validation.weight_positions import weight_attributes, weight_role

_SHORTER = {
    ir.DataType.DOUBLE: (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16),
    ir.DataType.FLOAT: (ir.DataType.FLOAT16, ir.DataType.BFLOAT16),
}
"""Type -> those that its numbers may have been rounded to."""

_PRECISION = {
    ir.DataType.DOUBLE: 53,
    ir.DataType.FLOAT: 24,
    ir.DataType.FLOAT16: 11,
    ir.DataType.BFLOAT16: 8,
}
"""Bits of a significand."""

_DEFINED = frozenset({"Gelu", "BiasGelu", "FastGelu", "HardSwish"})
"""Operators that hold such numbers, by themselves or as the activation of another one."""

_SPARE_BITS = 8
"""A single number whose last bits are all zero, as many as these, was not rounded: of 256 that were, one ends
so by chance."""


_MOST = 0.5
"""Of the numbers of a tensor that are not 0: where so many are another's, it is that one."""

_SAMPLE = 4096
"""Numbers that are looked at to see whether two tensors may be the same."""

_LIFTED = 2.0**-23
"""What a number that float16 holds with fewer bits, or not at all, may be off by: two of its steps there."""


def rounded_numbers(deployed: ir.Model, original: ir.Model) -> RoundedNumbers:
    """The numbers of the deployed file that stand as weights and that its original does not hold.

    Args:
        deployed: the model that backends run.
        original: the model that is right.
    """
    known = _Contents(original)
    roles = {
        value: weight_role(value, deployed.functions)
        for value, array, dtype in _stored(deployed)
        if array not in known and known.nearly(array) is None and not _is_short(array, dtype)
    }
    attributes = {
        (node, name)
        for node, _ in located_nodes(deployed)
        for name in weight_attributes(node)
        if (number := np.asarray(node.attributes[name].as_float())) not in known
        and not _is_short(number, ir.DataType.FLOAT)
    }
    definitions = _exact_definitions(deployed)
    if len(definitions) <= len(_exact_definitions(original)):
        definitions = set()  # the original has them, too
    return RoundedNumbers(
        frozenset(value for value, role in roles.items() if role is not None),
        frozenset(attributes),
        frozenset(definitions),
        frozenset(value for value, role in roles.items() if role == "addend"),
    )


def unknown_parameters(deployed: ir.Model, original: ir.Model) -> list[tuple[Array, ir.DataType]]:
    """The numbers of the deployed file that are no weights, and that its original does not hold.

    Args:
        deployed, original: see `rounded_numbers`.
    """
    parameters = [
        (array, dtype)
        for value, array, dtype in _stored(deployed)
        if weight_role(value, deployed.functions) is None and not _is_short(array, dtype)
    ]
    known = _Contents(original, {array.size for array, _ in parameters})
    return [(array, dtype) for array, dtype in parameters if array not in known]


def with_rounded_weights(original: ir.Model, deployed: ir.Model) -> ir.Model:
    """The original with each tensor rounded that the deployed file holds rounded and not as it was.

    Args:
        original: the model that is right; it is not changed.
        deployed: the model that backends run.

    Returns:
        A copy; the original itself, where nothing is rounded.
    """
    types = {dtype for _, _, dtype in _stored(deployed)}
    if not any(types.intersection(_SHORTER.get(dtype, ())) for _, _, dtype in _stored(original)):
        return original
    held, rounded = _Contents(deployed), original.clone()
    changed = False
    for value, array, stored_in in list(_stored(rounded)):
        if array in held:
            continue
        for dtype in types.intersection(_SHORTER.get(stored_in, ())):
            with np.errstate(all="ignore"):
                narrow = array.astype(dtype.numpy()).astype(array.dtype)
            found = narrow if narrow in held else held.nearly(narrow)
            if found is not None:
                _replace(value, np.where(np.abs(found - narrow) <= _LIFTED, found, narrow))
                changed = True
                break
    return rounded if changed else original


def _exact_definitions(model: ir.Model) -> set[ir.Node]:
    """Nodes of operators that hold a number which a graph without them stores: √2, √(2/π), 1/6."""
    return {
        node for node, _ in located_nodes(model) if node.op_type in _DEFINED or _activation(node) in _DEFINED
    }


def _activation(node: ir.Node) -> str:
    attribute = node.attributes.get("activation")
    return "" if attribute is None or attribute.is_ref() else str(attribute.value)


class _Contents:
    """The numbers that a model stores, to be looked up by what they are.

    Args:
        model: which.
        sizes: of the tensors that matter, in elements; all of them by default.
    """

    def __init__(self, model: ir.Model, sizes: Collection[int] | None = None) -> None:
        self._digests: set[bytes] = set()
        self._by_size: dict[int, list[Array]] = defaultdict(list)
        self._sums: dict[int, set[tuple[int, int]]] = {}
        for _, array, _ in _stored(model):
            if sizes is not None and array.size not in sizes:
                continue
            self._digests.add(_digest(array))
            self._by_size[array.size].append(array)
        for node, _ in located_nodes(model):
            for attribute in node.attributes.values():
                if attribute.is_ref():
                    continue
                if attribute.type == ir.AttributeType.FLOAT:
                    self._digests.add(_digest(np.asarray(attribute.as_float())))
                elif attribute.type == ir.AttributeType.TENSOR and attribute.as_tensor().dtype in _PRECISION:
                    self._digests.add(_digest(attribute.as_tensor().numpy()))

    def __contains__(self, array: Array) -> bool:
        """Whether it holds one with the same numbers, in whatever order, and any number of zeros."""
        if _digest(array) in self._digests:
            return True
        count = int(np.count_nonzero(array))
        if count not in self._sums:
            same = self._by_count.get(count, ())
            self._sums[count] = {_sums(other) for other in same}
        found = self._sums[count]
        return bool(found) and _sums(array) in found

    @cached_property
    def _by_count(self) -> Mapping[int, list[Array]]:
        """The arrays by how many of their numbers are not 0."""
        found = defaultdict(list)
        for array in (array for same in self._by_size.values() for array in same):
            found[int(np.count_nonzero(array))].append(array)
        return found

    def nearly(self, array: Array) -> Array | None:
        """An array of the model with most of the same numbers in the same places, in the given one's type."""
        numbers = array.ravel()
        places = np.flatnonzero(numbers)
        if places.size < 2:
            return None
        some = places[:: max(1, places.size // _SAMPLE)]
        for other in self._by_size.get(array.size, ()):
            candidate = other.ravel()
            if np.mean(candidate[some] == numbers[some]) < _MOST:
                continue
            if np.mean(candidate[places] == numbers[places]) >= _MOST:
                return np.asarray(candidate.astype(array.dtype).reshape(array.shape))
        return None


def _stored(model: ir.Model) -> Iterator[tuple[ir.Value, Array, ir.DataType]]:
    """Every floating tensor that the file holds, in subgraphs and functions too."""
    for scope in scopes(model):
        for value in scope.graph.initializers.values():
            if value.const_value is not None:
                yield from _floating(value, value.const_value)
    for node, _ in located_nodes(model):
        tensor = _of_constant(node)
        if tensor is not None:
            yield from _floating(node.outputs[0], tensor)


def _floating(value: ir.Value, tensor: ir.TensorProtocol) -> Iterator[tuple[ir.Value, Array, ir.DataType]]:
    if tensor.dtype in _PRECISION:
        yield value, tensor.numpy(), tensor.dtype


def _of_constant(node: ir.Node) -> ir.TensorProtocol | None:
    """What a Constant node holds, if it is floating numbers."""
    if node.op_type != "Constant" or node.domain not in ("", "ai.onnx"):
        return None
    for name, attribute in node.attributes.items():
        if attribute.is_ref():
            return None
        if name == "value":
            return attribute.as_tensor()
        if name in ("value_float", "value_floats"):
            return ir.tensor(np.asarray(attribute.value, np.float32))
    return None


def _replace(value: ir.Value, array: Array) -> None:
    node = value.producer()
    tensor = ir.tensor(array, name=value.name)
    if node is None:
        value.const_value = tensor
    else:
        node.attributes.clear()
        node.attributes.add(ir.AttrTensor("value", tensor))


def _digest(array: Array) -> bytes:
    """The same for the same numbers in the same order, whatever type and shape hold them.

    A tensor of one number again and again is that number: tools expand them, and read them back.
    """
    with np.errstate(all="ignore"):
        single = array.astype(np.float32).ravel()
        if array.dtype == np.float64 and not np.array_equal(single, array.ravel(), equal_nan=True):
            single = array.ravel()
    single = single + single.dtype.type(0)  # -0 is 0
    if single.size and np.all(single == single[0]):
        single = single[:1]
    return blake2b(np.ascontiguousarray(single).data, digest_size=16).digest()


_FACTORS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
"""Odd, and of random bits: the golden ratio's, and those of xxHash."""

_PIECE = 2**16
"""Numbers that are looked at together, so that they stay in a processor's cache."""


def _sums(array: Array) -> tuple[int, int]:
    """The same for the same numbers in whatever order, zeros aside: sums of a hash of each, modulo 2⁶⁴."""
    totals = [0, 0]
    numbers = array.ravel()
    for begin in range(0, numbers.size, _PIECE):
        bits = (numbers[begin : begin + _PIECE].astype(np.float64) + 0.0).view(np.uint64)  # -0 is 0
        for index, factor in enumerate(_FACTORS):
            mixed = bits * factor
            mixed ^= mixed >> np.uint64(29)
            mixed *= factor
            mixed ^= mixed >> np.uint64(32)
            totals[index] += int(mixed.sum(dtype=np.uint64))
    first, second = (total % 2**64 for total in totals)
    return first, second


def _is_short(array: Array, dtype: ir.DataType) -> bool:
    """Whether an array is one number with fewer bits than its type holds."""
    numbers = array.astype(np.float64).ravel()
    if not numbers.size or not np.all(numbers == numbers[0]) or not math.isfinite(numbers[0]):
        return False
    bits = max(1, _PRECISION[dtype] - _SPARE_BITS)
    significand, _ = math.frexp(float(numbers[0]))
    return bool((significand * 2**bits).is_integer())
