"""Nodes cut out of a model, on tensors that the reference computes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np
import onnx_ir as ir

from normdeploy.budget import restart_clock
from normdeploy.dtypes import Array
from normdeploy.graph.constants import ConstantAnalysis
from normdeploy.graph.initializers import required_inputs
from normdeploy.graph.scopes import located_nodes
from normdeploy.reference import Evaluator
from normdeploy.validation.localize.submodels import as_declared, connected_nodes, tensors_read

Arrays = Mapping[str, Array]


class Quarry:
    """One model on one set of inputs, from which pieces are cut.

    Args:
        model: its types have been inferred; it is not changed.
        inputs: the model's.
    """

    def __init__(self, model: ir.Model, inputs: Arrays) -> None:
        self.model = model
        self.nodes = list(model.graph)
        self.producer = {
            value.name: position
            for position, node in enumerate(self.nodes)
            for value in node.outputs
            if value.name
        }
        """The name of each tensor that a node of the main graph computes -> the node's position."""
        self.outputs = [str(value.name) for value in model.graph.outputs]
        self.constant = ConstantAnalysis(model).names()
        self.inputs = inputs
        self._evaluator = Evaluator(model)
        self._types = {
            value.name: value.dtype for value in self._values() if isinstance(value.type, ir.TensorType)
        }
        self._tensors: dict[str, Array] = {}

    def tensors(self, names: Collection[str]) -> dict[str, Array]:
        """Tensors of the main graph in their declared types, computed by the reference; each once.

        Raises:
            NormdeployError: the reference cannot compute one of them.
        """
        missing = sorted({name for name in names if name in self._types and name not in self._tensors})
        if missing:
            restart_clock()
            for name, array in self._evaluator.run(self.inputs, missing).items():
                self._tensors[name] = as_declared(array, self._types[name])
        return {name: self._tensors[name] for name in names if name in self._tensors}

    def cone(
        self, names: Iterable[str], known: Collection[str] = (), within: Collection[int] | None = None
    ) -> list[int]:
        """The positions of the nodes that compute tensors, the nearest ones first.

        Args:
            names: of the tensors.
            known: names of tensors that are given.
            within: nodes to keep to; all by default.
        """
        found: list[int] = []
        waiting = [name for name in names if name not in known]
        while waiting:
            positions = {self.producer[name] for name in waiting if name in self.producer}
            if within is not None:
                positions &= set(within)
            fresh = sorted(positions - set(found), reverse=True)
            found += fresh
            read = {name for position in fresh for name in tensors_read(self.nodes[position])}
            waiting = [name for name in read if name not in known]
        return found

    def ends(self, positions: Collection[int]) -> list[str]:
        """The tensors that nodes compute and that none of them reads; no constants, if there are others."""
        read = {name for position in positions for name in tensors_read(self.nodes[position])}
        computed = [
            value
            for position in sorted(positions)
            for value in self.nodes[position].outputs
            if value.name and value.name not in read and (value.uses() or value.name in self.outputs)
        ]
        names = [str(value.name) for value in computed if isinstance(value.type, ir.TensorType)]
        return [name for name in names if name not in self.constant] or names

    def cut(self, positions: Collection[int], outputs: Collection[str]) -> tuple[ir.Model, dict[str, Array]]:
        """Nodes as a model of their own, with the inputs that it takes.

        What does not depend on the model's inputs, and integers that may be shapes, become initializers.

        Args:
            positions: of the nodes.
            outputs: the names of tensors that they compute.

        Raises:
            NormdeployError: the reference cannot compute what they take.
        """
        computed = {value.name for position in positions for value in self.nodes[position].outputs}
        read = {name for position in positions for name in tensors_read(self.nodes[position])}
        tensors = self.tensors(read - computed)
        shapes = {name: array.shape for name, array in self.tensors(_named(computed)).items()}
        small = {name for name, array in tensors.items() if array.dtype.kind in "iu" and array.ndim < 2}
        part = connected_nodes(
            self.model, positions, outputs, tensors, self.constant | small - set(self.inputs), shapes
        )
        tidy(part)
        return part, {str(value.name): tensors[str(value.name)] for value in required_inputs(part.graph)}

    def _values(self) -> list[ir.Value]:
        graph = self.model.graph
        computed = [value for node in self.nodes for value in node.outputs]
        return [*graph.inputs, *graph.initializers.values(), *computed]


def tidy(model: ir.Model) -> None:
    """Drop what no node of a model needs: functions, operator sets, texts; take weights into memory."""
    used = {node.op_identifier() for node, _ in located_nodes(model)}
    waiting = set(model.functions) - _called(model)
    for identifier in waiting:
        del model.functions[identifier]
    domains = {identifier[0] for identifier in used} | {identifier[0] for identifier in model.functions}
    for domain in [domain for domain in model.opset_imports if domain and domain not in domains]:
        del model.opset_imports[domain]
    model.doc_string = None
    model.graph.doc_string = None
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    for node, _ in located_nodes(model):
        node.doc_string = None
        node.metadata_props.clear()
    for value in model.graph.initializers.values():
        if isinstance(value.const_value, ir.ExternalTensor):
            array = np.array(value.const_value.numpy())
            value.const_value = ir.tensor(array, dtype=value.const_value.dtype, name=value.name)


def _called(model: ir.Model) -> set[ir.OperatorIdentifier]:
    """The functions that the main graph calls, directly or not."""
    functions = model.functions
    found: set[ir.OperatorIdentifier] = set()
    waiting = [
        node.op_identifier() for node, where in located_nodes(model) if not where.startswith("function ")
    ]
    while waiting:
        identifier = waiting.pop()
        if identifier in functions and identifier not in found:
            found.add(identifier)
            waiting += [node.op_identifier() for node in functions[identifier].all_nodes()]
    return found


def _named(names: Iterable[str | None]) -> set[str]:
    return {name for name in names if name}
