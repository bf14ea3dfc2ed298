"""Which node is the first whose own computation is wrong.

Marking every tensor of the deployed model as an output would answer it for another model: a runtime fuses
nodes only where nobody looks at what lies between them. Three searches leave it as it is, in this order:

1. against another reference: both models are computed in float64, and the tensors that both have by name
   are compared. A tensor that differs although those before it agree was computed wrongly by the
   deployed graph itself, whatever runs it.
2. nodes alone: each node is cut out and runs in the backend on the reference's tensors, rounded to the types
   that the model declares. Many nodes go into one model, side by side (`isolated_nodes`), so that a whole
   graph takes one process as a rule.
3. prefixes, by bisection: if every node is right alone then something is wrong in how nodes are fused or
   placed in memory. The model is cut after half of its nodes, a quarter, ..., until one node decides.

What is wrong is decided as for the outputs of the model; a node alone has to miss it by a factor of 4.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx_ir as ir

from normdeploy.backends.catalog import Backend
from normdeploy.dtypes import Array
from normdeploy.errors import BackendFailure
from normdeploy.graph.io import save
from normdeploy.graph.scopes import node_name
from normdeploy.reference import Evaluator
from normdeploy.validation.compare import TensorComparison
from normdeploy.validation.judge import Judge
from normdeploy.validation.localize.submodels import (
    Part,
    chunks,
    constants,
    exposing,
    is_separable,
    isolated_nodes,
    nearest_ancestors,
    prefix,
    producers,
    reads,
)
from normdeploy.validation.tolerance import Tolerance

Arrays = Mapping[str, Array]

Run = Callable[[ir.Model, Arrays], Arrays]
"""Runs a model in a backend. Raises BackendFailure."""

Compare = Callable[[ir.Model, ir.Model, Arrays, Arrays], Mapping[str, TensorComparison]]
"""Called with a model, the one that says what is right, inputs of both, and the first one's outputs."""

How = Literal["reference", "alone", "fused"]

_CHUNK_BYTES = 2**26
"""Tensors that are held at once: nodes are taken in groups that need no more."""

_CLEARLY_WRONG = 4.0
"""Error over allowed error of a node alone. Hundreds of nodes are judged in turn, so that one which merely
rounds badly would be named in the place of the one that is wrong."""


@dataclass(frozen=True)
class Divergence:
    """The first wrong node.

    Args:
        node: its name, or that of its first output.
        op_type: its operator.
        output: the tensor that is wrong.
        how: "reference" if the deployed graph itself differs from the original, "alone" if the backend
            computes this node wrongly, "fused" if it goes wrong only together with those before it.
    """

    node: str
    op_type: str
    output: str
    how: How


@dataclass(frozen=True)
class NodeError:
    """One tensor of the graph, compared on its own."""

    node: str
    op_type: str
    output: str
    comparison: TensorComparison


@dataclass(frozen=True)
class Localization:
    """What a search found: the first wrong node, and all that it compared, in the graph's order."""

    first: Divergence | None
    nodes: Sequence[NodeError] = ()


def search_divergence(
    deployed: ir.Model, original: ir.Model, inputs: Arrays, run: Run, compare: Compare
) -> Localization:
    """The first wrong node on these inputs: of the deployed graph itself, or else of the backend.

    Args:
        deployed: the model that the backend gets wrong; its types have been inferred.
        original: the model that is right, often the same one.
        inputs: of both.
        run: runs parts of the deployed model in the backend.
        compare: judges tensors.
    """
    if original is not deployed:
        found = localize_in_graph(deployed, original, inputs, compare)
        if found.first is not None:
            return found
    return localize_in_backend(deployed, inputs, run, compare)


def comparison_by(tolerance: Tolerance | None, seed: int) -> Compare:
    """Judges tensors as `check` judges outputs: by a given tolerance, or by measured rounding."""

    def compare(
        model: ir.Model, original: ir.Model, inputs: Arrays, actual: Arrays
    ) -> dict[str, TensorComparison]:
        ours = Evaluator(model)
        theirs = ours if original is model else Evaluator(exposing(original, actual.keys()))
        with np.errstate(all="ignore"):
            case = Judge(ours, theirs, tolerance, seed).on(inputs)
            return {
                name: case.compare(name, array)
                if array.shape == case.expected[name].shape
                else TensorComparison(array.size, array.size, noise_ratio=math.inf)
                for name, array in actual.items()
            }

    return compare


def runner(backend: Backend, timeout: float) -> Run:
    """Runs models in a backend, each in a process of its own."""

    def run(model: ir.Model, inputs: Arrays) -> Arrays:
        with tempfile.TemporaryDirectory(prefix="normdeploy-") as folder:
            path = Path(folder) / "part.onnx"
            save(model, path)
            with backend.start(path, timeout) as session:
                session.ready()
                return session.run(inputs)

    return run


def localize_in_graph(
    deployed: ir.Model, original: ir.Model, inputs: Arrays, compare: Compare
) -> Localization:
    """The first node of the deployed graph that does not compute what the original does.

    A tensor of the same name may mean something else after an optimization (a convolution with a
    BatchNorm folded into it). So the search goes backwards from outputs that differ, through tensors
    that differ: what nobody wrong depends on is no error.

    Args:
        deployed: the model whose node is named; its types have been inferred.
        original: the model that is right.
        inputs: of both.
        compare: compares what the reference computes of the deployed graph with what it does of the original.
    """
    evaluator = Evaluator(deployed)
    computed_by = producers(deployed.graph)
    sizes = _sizes(evaluator, inputs)
    theirs = producers(original.graph)
    common = [name for name in computed_by if name in theirs and name in sizes]
    found: dict[str, TensorComparison] = {}
    for names in _grouped(common, sizes):
        found.update(compare(exposing(deployed, names), original, inputs, evaluator.run(inputs, names)))
    wrong = {name for name in common if name in found and found[name].wrong}
    culprits = _culprits(deployed.graph, wrong, found)
    errors = [_node_error(computed_by[name], name, found[name]) for name in common if name in found]
    first = next((name for name in common if name in culprits), None)
    return Localization(
        None if first is None else _divergence(computed_by[first], first, "reference"), errors
    )


def localize_in_backend(model: ir.Model, inputs: Arrays, run: Run, compare: Compare) -> Localization:
    """The first node that a backend computes wrongly.

    Args:
        model: the model that the backend gets wrong on these inputs; its types have been inferred.
        inputs: the model's.
        run: runs a part of the model in the backend.
        compare: compares the part's outputs with the reference's.
    """
    search = _Search(model, inputs, run, compare)
    return search.alone() or search.fused()


class _Search:
    def __init__(self, model: ir.Model, inputs: Arrays, run: Run, compare: Compare) -> None:
        self._model = model
        self._inputs = inputs
        self._run = run
        self._compare = compare
        self._nodes = list(model.graph)
        self._evaluator = Evaluator(model)
        self._types = {value.name: value.dtype for value in _values(model.graph)}
        self._constant = constants(model)
        self._errors: list[NodeError] = []

    def alone(self) -> Localization | None:
        """Each node by itself, on the reference's tensors."""
        sizes = _sizes(self._evaluator, self._inputs)
        positions = [
            position
            for position, node in enumerate(self._nodes)
            if is_separable(node) and any(value.name in sizes for value in node.outputs)
        ]
        for group in chunks(positions, self._nodes, sizes, _CHUNK_BYTES):
            tensors = self._tensors(group)
            for position, name, comparison in self._apart(group, tensors):
                self._errors.append(_node_error(self._nodes[position], name, comparison))
                if comparison.wrong and comparison.noise_ratio > _CLEARLY_WRONG:
                    first = _divergence(self._nodes[position], name, "alone")
                    return Localization(first, self._errors)
        return None

    def fused(self) -> Localization:
        """The shortest prefix that is wrong."""
        right, wrong, tensor = 0, len(self._nodes), ""
        while True:
            count = (right + wrong) // 2 if tensor else wrong
            found = self._wrong_tensor(prefix(self._model, count, self._constant))
            if found is None and count == len(self._nodes):
                return Localization(None, self._errors)
            if found is None:
                right = count
            else:
                wrong, tensor = count, found
            if wrong - right == 1:
                return Localization(_divergence(self._nodes[wrong - 1], tensor, "fused"), self._errors)

    def _tensors(self, positions: Iterable[int]) -> dict[str, Array]:
        """What nodes read, in the declared types."""
        names = {name for position in positions for name in reads(self._nodes[position])}
        computed = self._evaluator.run(self._inputs, sorted(names & set(self._types)))
        return {name: _as_declared(array, self._types[name]) for name, array in computed.items()}

    def _apart(
        self, positions: Sequence[int], tensors: Arrays
    ) -> Iterable[tuple[int, str, TensorComparison]]:
        """Node, tensor and comparison, in order, without nodes that the backend refuses by themselves."""
        part = isolated_nodes(self._model, positions, tensors, self._built_in(tensors))
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
        whole = {part.outputs[name]: comparison for name, comparison in found.items()}
        for position in positions:
            for value in self._nodes[position].outputs:
                if value.name in whole:
                    yield position, value.name, whole[value.name]

    def _built_in(self, tensors: Arrays) -> set[str]:
        """Constants, and shapes: runtimes need them before they see any data."""
        shapes = {name for name, array in tensors.items() if array.dtype.kind in "iu" and array.ndim < 2}
        return self._constant | shapes

    def _wrong_tensor(self, part: Part) -> str | None:
        """The first wrong output of a prefix; None for one that the backend refuses."""
        if not part.outputs:
            return None
        inputs = {name: self._inputs[name] for name in part.inputs}
        try:
            actual = self._run(part.model, inputs)
        except BackendFailure:
            return None
        found = self._compare(part.model, part.model, inputs, actual)
        return next((name for name in part.outputs if name in found and found[name].wrong), None)


def _culprits(graph: ir.Graph, wrong: set[str], found: Mapping[str, TensorComparison]) -> set[str]:
    """Wrong tensors on which wrong outputs depend, and which depend on no wrong one themselves."""
    culprits: set[str] = set()
    seen: set[str] = set()
    stack = [str(value.name) for value in graph.outputs if value.name in wrong]
    while stack:
        name = stack.pop()
        if name in seen:
            continue
        seen.add(name)
        before = nearest_ancestors(graph, name, found.keys()) & wrong
        stack.extend(before)
        if not before:
            culprits.add(name)
    return culprits


def _sizes(evaluator: Evaluator, inputs: Arrays) -> dict[str, int]:
    """Bytes of every tensor that the main graph's nodes compute."""
    sizes: dict[str, int] = {}

    def note(node: ir.Node, results: Sequence[Array]) -> None:
        for value, array in zip(node.outputs, results, strict=False):
            sizes[str(value.name)] = getattr(array, "nbytes", 0)

    evaluator.run(inputs, on_node=note)
    return sizes


def _grouped(names: Sequence[str], sizes: Mapping[str, int]) -> Iterable[list[str]]:
    group: list[str] = []
    held = 0
    for name in names:
        if group and held + sizes[name] > _CHUNK_BYTES:
            yield group
            group, held = [], 0
        group.append(name)
        held += sizes[name]
    if group:
        yield group


def _values(graph: ir.Graph) -> Iterable[ir.Value]:
    yield from graph.inputs
    yield from graph.initializers.values()
    for node in graph:
        yield from node.outputs


def _as_declared(array: Array, dtype: ir.DataType | None) -> Array:
    if dtype is None or dtype == ir.DataType.STRING:
        return array
    with np.errstate(all="ignore"):
        return np.asarray(array, dtype=dtype.numpy())


def _node_error(node: ir.Node, output: str, comparison: TensorComparison) -> NodeError:
    return NodeError(node_name(node), node.op_type, output, comparison)


def _divergence(node: ir.Node, output: str, how: How) -> Divergence:
    return Divergence(node_name(node), node.op_type, output, how)
