"""What a piece can do without once its nodes are found: sizes of its tensors, and attributes.

A size is made smaller along every axis that has it, of inputs and of weights: axes of one size mostly belong
together, a convolution's channels and its filters'. Where they do not, the piece cannot be computed any more,
and each input's axis is tried by itself. What is left of the numbers stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import onnx_ir as ir

from normdeploy.budget import restart_clock
from normdeploy.dtypes import Array
from normdeploy.graph.inference import infer
from normdeploy.graph.initializers import required_inputs
from normdeploy.graph.scopes import located_nodes
from normdeploy.reference import Evaluator
from normdeploy.validation.reduction.failures import Failure, Oracle, Piece

Arrays = Mapping[str, Array]
Take = Callable[[str, Array], Array]
"""Called with the name of an input or a weight, and its numbers; gives those that stay."""

_MOST_TRIES = 80
"""Smaller pieces that are tried at most."""


class Shrinking:
    """Makes a piece smaller as long as it fails.

    Args:
        piece: that fails.
        failure: how.
        oracle: whether it still fails in that way.
        tell: is told what is being tried.

    Attributes:
        accepted: every piece that failed with its failure, the smallest last; the first is the given one.
    """

    def __init__(self, piece: Piece, failure: Failure, oracle: Oracle, tell: Callable[[str], None]) -> None:
        self.accepted: list[tuple[Piece, Failure]] = [(piece, failure)]
        self._oracle = oracle
        self._tell = tell
        self._tries = 0

    def search(self) -> None:
        """Try smaller sizes, then fewer attributes."""
        while self._tries < _MOST_TRIES and self._smaller():
            pass
        if self._piece.original is None:
            for index, name in list(_attributes(self._piece.model)):
                self._accept(_without(self._piece, index, name))

    @property
    def _piece(self) -> Piece:
        return self.accepted[-1][0]

    def _smaller(self) -> bool:
        """Whether one of the sizes could be made smaller; the largest is tried first."""
        inputs = self._piece.inputs
        for size in _sizes(self._piece):
            for start, target in self._windows(size):
                if self._accept(_taken(self._piece, _all_axes(size, start, target))):
                    return True
        for name, array in inputs.items():
            for axis, size in enumerate(array.shape):
                for start, target in self._windows(size):
                    if self._accept(_taken(self._piece, _one_axis(name, axis, start, target))):
                        return True
        return False

    def _windows(self, size: int) -> list[tuple[int, int]]:
        """Starts and lengths of what could stay of an axis: first those around the largest error."""
        failure = self.accepted[-1][1]
        worst = 0
        if failure.outputs:
            name = max(failure.outputs, key=lambda each: failure.outputs[each].noise_ratio)
            value = next(value for value in self._piece.model.graph.outputs if value.name == name)
            shape = () if value.shape is None else value.shape
            places = zip(shape, failure.worst.get(name, ()), strict=False)
            worst = next((place for length, place in places if length == size), 0)
        found = []
        for target in sorted({1, size // 2} - {0, size}):
            starts = (worst // target * target, 0, size - target)
            found += [
                (start, target) for start in dict.fromkeys(min(start, size - target) for start in starts)
            ]
        return found

    def _accept(self, piece: Piece | None) -> bool:
        if piece is None or self._tries >= _MOST_TRIES:
            return False
        self._tries += 1
        shapes = ", ".join("x".join(map(str, array.shape)) for array in piece.inputs.values())
        self._tell(f"trying smaller tensors: {shapes}")
        failure = self._oracle(piece)
        if failure is None:
            return False
        self.accepted.append((piece, failure))
        return True


def _sizes(piece: Piece) -> list[int]:
    """The lengths of axes, those of 1 aside: of the inputs, then of the weights, each the largest first."""
    weights = [
        value.const_value.numpy().shape
        for model in (piece.model, piece.original)
        for value in (model.graph.initializers.values() if model is not None else ())
        if value.const_value is not None
    ]
    found: list[int] = []
    for shapes in ([array.shape for array in piece.inputs.values()], weights):
        found += sorted({size for shape in shapes for size in shape if size > 1} - set(found), reverse=True)
    return found


def _all_axes(size: int, start: int, target: int) -> Take:
    def take(name: str, array: Array) -> Array:
        index = tuple(slice(start, start + target) if each == size else slice(None) for each in array.shape)
        return array[index]

    return take


def _one_axis(name: str, axis: int, start: int, target: int) -> Take:
    def take(other: str, array: Array) -> Array:
        index = (*[slice(None)] * axis, slice(start, start + target))
        return array[index] if other == name else array

    return take


def _taken(piece: Piece, take: Take) -> Piece | None:
    """The piece with smaller tensors; None if the reference cannot compute it."""
    inputs = {name: np.ascontiguousarray(take(name, array)) for name, array in piece.inputs.items()}
    try:
        restart_clock()
        model = _resized(piece.model, inputs, take)
        original = None if piece.original is None else _resized(piece.original, inputs, take)
    except Exception:  # of any kind: sizes that do not fit each other
        return None
    return Piece(model, original, inputs)


def _resized(model: ir.Model, inputs: Arrays, take: Take) -> ir.Model:
    part = model.clone()
    for value in part.graph.initializers.values():
        tensor = value.const_value
        if tensor is not None:
            array = np.ascontiguousarray(take(str(value.name), tensor.numpy()))
            value.const_value = ir.tensor(array, dtype=tensor.dtype, name=value.name)
            value.shape = ir.Shape(array.shape)
    for value in required_inputs(part.graph):
        value.shape = ir.Shape(inputs[str(value.name)].shape)
    for value in (value for node in part.graph for value in node.outputs):
        value.shape = None
    found = Evaluator(part).run(inputs)
    if any(array.size == 0 for array in found.values()):
        raise ValueError("nothing is left of an output")
    for value in part.graph.outputs:
        value.shape = ir.Shape(found[str(value.name)].shape)
    infer(part)
    return part


def _attributes(model: ir.Model) -> Iterator[tuple[int, str]]:
    for index, (node, _) in enumerate(located_nodes(model)):
        for name, attribute in node.attributes.items():
            if not attribute.is_ref() and attribute.type not in (
                ir.AttributeType.GRAPH,
                ir.AttributeType.GRAPHS,
            ):
                yield index, name


def _without(piece: Piece, index: int, name: str) -> Piece | None:
    """The piece without an attribute of a node; None if the reference cannot compute it."""
    model = piece.model.clone()
    node = [node for node, _ in located_nodes(model)][index]
    del node.attributes[name]
    return _taken(Piece(model, None, piece.inputs), lambda _, array: array)
