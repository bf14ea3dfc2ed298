"""The first node of a deployed graph that does not compute what the original does, both in float64.

The tensors that both graphs have by name are compared. A tensor of the same name may mean something else
after an optimization (a convolution with a BatchNorm folded into it). So the search goes backwards from
outputs that differ, through tensors that differ: a tensor on which no wrong output depends is no error.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import onnx_ir as ir

from normdeploy.dtypes import Array
from normdeploy.reference import Evaluator
from normdeploy.validation.compare import TensorComparison
from normdeploy.validation.localize.judging import CompareTensors
from normdeploy.validation.localize.result import Divergence, Localization, NodeError
from normdeploy.validation.localize.sizes import tensor_sizes
from normdeploy.validation.localize.submodels import CHUNK_BYTES, chunks, tensors_read, with_outputs


def localize_in_graph(
    deployed: ir.Model, original: ir.Model, inputs: Mapping[str, Array], compare: CompareTensors
) -> Localization:
    """Compare every tensor that two graphs have in common, and name the first that is wrong.

    Args:
        deployed: the model whose node is named; its types have been inferred.
        original: the model that is right.
        inputs: of both.
        compare: compares what the reference computes of the deployed graph with what it does of the original.
    """
    evaluator = Evaluator(deployed)
    computed_by = _producers(deployed.graph)
    theirs = _producers(original.graph)
    sizes = tensor_sizes(evaluator, inputs)
    common = [name for name in computed_by if name in theirs and name in sizes]
    found: dict[str, TensorComparison] = {}
    for names in chunks(common, lambda name: {name}, sizes, CHUNK_BYTES):
        actual = evaluator.run(inputs, names)
        found.update(compare(with_outputs(deployed, names), original, inputs, actual))
    culprits = _culprits(deployed.graph, computed_by, found)
    first = next((name for name in common if name in culprits), None)
    return Localization(
        None if first is None else Divergence.at(computed_by[first], first, "reference"),
        [NodeError.of(computed_by[name], name, found[name]) for name in common if name in found],
    )


def _culprits(
    graph: ir.Graph, computed_by: Mapping[str, ir.Node], found: Mapping[str, TensorComparison]
) -> set[str]:
    """Wrong tensors on which wrong outputs depend, and which depend on no wrong one themselves."""
    wrong = {name for name, comparison in found.items() if comparison.wrong}
    culprits: set[str] = set()
    seen: set[str] = set()
    stack = [str(value.name) for value in graph.outputs if value.name in wrong]
    while stack:
        name = stack.pop()
        if name in seen:
            continue
        seen.add(name)
        before = _nearest_ancestors(name, found.keys(), computed_by) & wrong
        stack.extend(before)
        if not before:
            culprits.add(name)
    return culprits


def _nearest_ancestors(name: str, among: Collection[str], computed_by: Mapping[str, ir.Node]) -> set[str]:
    """The tensors of a set that a tensor is computed from with no other of the set between."""
    found: set[str] = set()
    seen: set[str] = set()
    stack = [name]
    while stack:
        node = computed_by.get(stack.pop())
        for source in tensors_read(node) - seen if node is not None else ():
            seen.add(source)
            if source in among:
                found.add(source)
            else:
                stack.append(source)
    return found


def _producers(graph: ir.Graph) -> dict[str, ir.Node]:
    """The node that computes each tensor, in the graph's order."""
    return {str(value.name): node for node in graph for value in node.outputs if value.name}
