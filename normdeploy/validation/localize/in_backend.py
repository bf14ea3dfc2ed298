"""The first node that a backend computes wrongly, found without marking tensors of the model as outputs.

Nodes alone: each node is cut out and runs in the backend on the reference's tensors, rounded to the types
that the model declares. Many nodes go into one model, side by side, so that a whole graph takes one process
as a rule.

Prefixes, by bisection: if every node is right alone then something is wrong in how nodes are fused or placed
in memory. The model is cut after half of its nodes, a quarter, ..., until one node decides.

Tensors are judged as the model's outputs are; a node alone has to miss that by `_CLEARLY_WRONG`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import onnx_ir as ir

from normdeploy.dtypes import Array
from normdeploy.errors import BackendFailure
from normdeploy.graph.constants import ConstantAnalysis
from normdeploy.reference import Evaluator
from normdeploy.validation.compare import TensorComparison
from normdeploy.validation.localize.execution import RunModel
from normdeploy.validation.localize.judging import CompareTensors
from normdeploy.validation.localize.result import Divergence, Localization, NodeError
from normdeploy.validation.localize.sizes import tensor_sizes
from normdeploy.validation.localize.submodels import (
    CHUNK_BYTES,
    Submodel,
    chunks,
    is_separable,
    isolated_nodes,
    prefix,
    tensors_read,
)

Arrays = Mapping[str, Array]

_CLEARLY_WRONG = 4.0
"""Error over allowed error from which a node alone is named. Hundreds of nodes are judged in turn, and one
that merely rounds badly, ahead of the wrong one, would be named in its place."""


def localize_in_backend(
    model: ir.Model, inputs: Arrays, run: RunModel, compare: CompareTensors
) -> Localization:
    """Search nodes alone, then prefixes.

    Args:
        model: the model that the backend gets wrong on these inputs; its types have been inferred.
        inputs: the model's.
        run: runs a submodel in the backend.
        compare: compares the submodel's outputs with the reference's.
    """
    search = _Search(model, inputs, run, compare)
    return search.alone() or search.fused()


class _Search:
    def __init__(self, model: ir.Model, inputs: Arrays, run: RunModel, compare: CompareTensors) -> None:
        self._model = model
        self._inputs = inputs
        self._run = run
        self._compare = compare
        self._nodes = list(model.graph)
        self._evaluator = Evaluator(model)
        self._types = {value.name: value.dtype for value in _values(model.graph)}
        self._constant = ConstantAnalysis(model).names()
        self._errors: list[NodeError] = []

    def alone(self) -> Localization | None:
        """Each node by itself, on the reference's tensors; None if all are right."""
        sizes = tensor_sizes(self._evaluator, self._inputs)
        positions = [
            position
            for position, node in enumerate(self._nodes)
            if is_separable(node) and any(value.name in sizes for value in node.outputs)
        ]
        for group in chunks(positions, self._tensors_around, sizes, CHUNK_BYTES):
            tensors = self._tensors(group)
            for position, name, comparison in self._apart(group, tensors):
                self._errors.append(NodeError.of(self._nodes[position], name, comparison))
                if comparison.wrong and comparison.noise_ratio > _CLEARLY_WRONG:
                    first = Divergence.at(self._nodes[position], name, "alone")
                    return Localization(first, self._errors)
        return None

    def fused(self) -> Localization:
        """The last node of the shortest prefix that is wrong, if the whole model is wrong."""
        tensor = self._wrong_tensor(len(self._nodes))
        if tensor is None:
            return Localization(None, self._errors)
        right, wrong = 0, len(self._nodes)
        while wrong - right > 1:
            count = (right + wrong) // 2
            found = self._wrong_tensor(count)
            if found is None:
                right = count
            else:
                wrong, tensor = count, found
        return Localization(Divergence.at(self._nodes[wrong - 1], tensor, "fused"), self._errors)

    def _tensors_around(self, position: int) -> set[str]:
        """What a node reads and computes."""
        node = self._nodes[position]
        return tensors_read(node) | {str(value.name) for value in node.outputs}

    def _tensors(self, positions: Iterable[int]) -> dict[str, Array]:
        """What nodes read, in the declared types."""
        names = {name for position in positions for name in tensors_read(self._nodes[position])}
        computed = self._evaluator.run(self._inputs, sorted(names & set(self._types)))
        return {name: _as_declared(array, self._types[name]) for name, array in computed.items()}

    def _apart(
        self, positions: Sequence[int], tensors: Arrays
    ) -> Iterator[tuple[int, str, TensorComparison]]:
        """Node, tensor and comparison, in order, without nodes that the backend refuses by themselves."""
        part = isolated_nodes(self._model, positions, tensors, self._embedded(tensors))
        inputs = {name: tensors[name] for name in part.inputs}
        try:
            actual = self._run(part.model, inputs)
        except BackendFailure as failure:
            if failure.status == "crashed" and len(positions) > 1:
                middle = len(positions) // 2
                yield from self._apart(positions[:middle], tensors)
                yield from self._apart(positions[middle:], tensors)
            return
        found = self._compare(part.model, part.model, inputs, actual)
        by_tensor = {part.outputs[name]: comparison for name, comparison in found.items()}
        for position in positions:
            for value in self._nodes[position].outputs:
                if value.name in by_tensor:
                    yield position, value.name, by_tensor[value.name]

    def _embedded(self, tensors: Arrays) -> set[str]:
        """Constants, and what may be a shape: runtimes need these before they see any data."""
        shapes = {name for name, array in tensors.items() if array.dtype.kind in "iu" and array.ndim < 2}
        return self._constant | shapes

    def _wrong_tensor(self, count: int) -> str | None:
        """The first wrong output of a prefix; None if all are right, or if the backend refuses it."""
        part = prefix(self._model, count, self._constant)
        if not part.outputs:
            return None
        found = self._judged(part)
        return next((name for name in part.outputs if name in found and found[name].wrong), None)

    def _judged(self, part: Submodel) -> Mapping[str, TensorComparison]:
        inputs = {name: self._inputs[name] for name in part.inputs}
        try:
            actual = self._run(part.model, inputs)
        except BackendFailure:
            return {}
        return self._compare(part.model, part.model, inputs, actual)


def _values(graph: ir.Graph) -> Iterator[ir.Value]:
    yield from graph.inputs
    yield from graph.initializers.values()
    for node in graph:
        yield from node.outputs


def _as_declared(array: Array, dtype: ir.DataType | None) -> Array:
    if dtype is None or dtype == ir.DataType.STRING:
        return array
    with np.errstate(all="ignore"):
        return np.asarray(array, dtype=dtype.numpy())
