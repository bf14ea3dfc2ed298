"""Numbers of a file that were rounded when they were stored, with errors of that size.

A tensor of weights is disturbed where it is read, so that every node that uses it sees the same error, in
one run. Half of the variance or more is common to a row or a column: tools that multiply a weight by a
scale of a channel round that scale, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from normdeploy.dtypes import Array, is_floating

UNIT_ROUNDOFF = {
    ir.DataType.DOUBLE: 2.0**-53,
    ir.DataType.FLOAT: 2.0**-24,
    ir.DataType.FLOAT16: 2.0**-11,
    ir.DataType.BFLOAT16: 2.0**-8,
}
SMALLEST_NORMAL = {
    ir.DataType.DOUBLE: 2.0**-1022,
    ir.DataType.FLOAT: 2.0**-126,
    ir.DataType.FLOAT16: 2.0**-14,
    ir.DataType.BFLOAT16: 2.0**-126,
}


@dataclass(frozen=True)
class RoundedNumbers:
    """What was rounded when a file was written.

    Args:
        tensors: initializers, and outputs of Constant nodes.
        attributes: nodes, each with the name of an attribute that is one floating number.
        definitions: nodes whose operator holds exact numbers, the √2 of a GELU, in place of roundings.
        addends: those tensors that are only added to others, biases for instance.
    """

    tensors: frozenset[ir.Value] = frozenset()
    attributes: frozenset[tuple[ir.Node, str]] = frozenset()
    definitions: frozenset[ir.Node] = frozenset()
    addends: frozenset[ir.Value] = frozenset()


class StorageErrors:
    """The errors of one run: the same number has the same error wherever it is read.

    Args:
        seed: the same seed gives the same errors.
        amplitude: multiplies every error.
        numbers: which err.
    """

    def __init__(self, seed: int, amplitude: float, numbers: RoundedNumbers) -> None:
        self._seed = seed
        self._amplitude = amplitude
        self._attributes = numbers.attributes
        self._definitions = numbers.definitions
        self._addends = numbers.addends
        self._order = {value: index for index, value in enumerate(sorted(numbers.tensors, key=_name))}

    def tensor(self, value: ir.Value, array: Array) -> Array:
        """A stored tensor as this run reads it.

        Args:
            value: which one.
            array: its numbers.
        """
        index = self._order.get(value)
        if index is None or not is_floating(array.dtype):
            return array
        dtype = value.dtype or ir.DataType.FLOAT
        unit = UNIT_ROUNDOFF.get(dtype, UNIT_ROUNDOFF[ir.DataType.FLOAT])
        size = unit * (_rounded(array, value in self._addends) + SMALLEST_NORMAL.get(dtype, 0.0))
        errors = self._errors(np.random.default_rng([self._seed, index]), array.shape)
        with np.errstate(all="ignore"):
            return np.where(np.isfinite(array), array + self._amplitude * size * errors, array)

    def keywords(self, node: ir.Node, keywords: Mapping[str, Any]) -> Mapping[str, Any]:
        """A node's attributes as this run reads them.

        Args:
            node: whose.
            keywords: as they stand in the file; floating ones are plain numbers.
        """
        return {
            name: value * self._factor(node, name) if (node, name) in self._attributes else value
            for name, value in keywords.items()
        }

    def attributes(self, node: ir.Node, attributes: Mapping[str, ir.Attr]) -> Mapping[str, ir.Attr]:
        """The same, of a node that calls a function: what its body gets.

        Args:
            node: whose.
            attributes: as they stand in the file.
        """
        return {
            name: ir.AttrFloat32(name, attribute.as_float() * self._factor(node, name))
            if (node, name) in self._attributes
            else attribute
            for name, attribute in attributes.items()
        }

    def operands(self, node: ir.Node, arguments: Sequence[Array | None]) -> list[Array | None]:
        """A node's inputs, by a common factor off where a number of its definition is a rounding elsewhere.

        Args:
            node: whose.
            arguments: its inputs; None for those left out.
        """
        if node not in self._definitions:
            return list(arguments)
        factor = self._factor(node, "")
        return [
            array * factor if array is not None and is_floating(array.dtype) else array for array in arguments
        ]

    def _factor(self, node: ir.Node, name: str) -> float:
        """1 and the error of an attribute, which is stored in float32."""
        seed = [self._seed, len(self._order), *f"{node.outputs[0].name} {name}".encode()]
        error = float(_uniform(np.random.default_rng(seed), ()))
        return 1 + self._amplitude * UNIT_ROUNDOFF[ir.DataType.FLOAT] * error

    @staticmethod
    def _errors(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Of variance 1: of each number by itself, and of its row and its column if it has such."""
        errors = _uniform(rng, shape)
        if len(shape) < 2:
            return errors
        tail = [1] * (len(shape) - 2)
        errors = errors + _uniform(rng, (shape[0], 1, *tail)) + _uniform(rng, (1, shape[1], *tail))
        return np.asarray(errors / math.sqrt(3))


def _rounded(array: Array, added: bool) -> Array:
    """What the errors of numbers are relative to: themselves, and for what is added also the others' size.

    A bias with a BatchNorm in it is a difference, (b − μ)·γ/√(σ² + ε) + β, that tools compute in the type in
    which they store it: a small one has the rounding of large ones.
    """
    if not added or not array.size:
        return array
    finite = np.where(np.isfinite(array), array, 0.0)
    return np.asarray(np.hypot(finite, np.sqrt(np.mean(np.square(finite)))))


def _uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """In [−√3, √3): variance 1."""
    return np.asarray((rng.random(shape) - 0.5) * (2 * math.sqrt(3)))


def _name(value: ir.Value) -> str:
    return str(value.name)
