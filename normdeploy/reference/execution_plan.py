"""Which nodes to compute, in which order, and after which of them each tensor can go.

A plan is made, and every operator in it looked up, before anything is computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import onnx_ir as ir

from normdeploy.errors import ModelError, UnsupportedOperator
from normdeploy.reference import registry
from normdeploy.reference.composition import Composition
from normdeploy.reference.dtypes import widen
from normdeploy.reference.signature import ReferenceOperator

Attributes = Mapping[str, ir.Attr]
"""The attributes that a call of a model-local function binds."""

_Opsets = Mapping[str, int]


@dataclass(frozen=True)
class ExecutionPlan:
    """The nodes of one graph or function body that compute `outputs` from `inputs`, in their order.

    Attributes:
        inputs: of the graph or the function, all of them.
        outputs: the tensors wanted.
        nodes: only those that the outputs need.
        defaults: a function's attributes that have a default.
    """

    inputs: Sequence[ir.Value]
    outputs: Sequence[ir.Value]
    nodes: Sequence[PlannedNode]
    defaults: Attributes = field(default_factory=dict)


@dataclass(frozen=True)
class PlannedNode:
    """One node, and what computes it: an operator, or the plan of a model-local function's body.

    Attributes:
        node: as the model has it.
        where: the node as error messages name it.
        computed_by: an operator of the reference, or the plan of a function's body.
        bodies: the plans of the node's subgraphs, by the names of the attributes that hold them.
        releases: the tensors of this graph that no later node needs.
    """

    node: ir.Node
    where: str
    computed_by: ReferenceOperator | ExecutionPlan
    bodies: Mapping[str, ExecutionPlan]
    releases: Sequence[ir.Value]

    def attributes(self, outer: Attributes) -> dict[str, ir.Attr]:
        """The node's attributes, where references are resolved by `outer`, the function call around it."""
        bound = {}
        for name, attribute in self.node.attributes.items():
            source = outer.get(str(attribute.ref_attr_name)) if attribute.is_ref() else attribute
            if source is not None:
                bound[name] = source
        return bound

    def call(self, outer: Attributes) -> OperatorCall:
        """The call of the operator that computes the node.

        Args:
            outer: the attributes of the function call around the node.

        Raises:
            ModelError: an attribute of a type that the reference does not know.
        """
        assert isinstance(self.computed_by, ReferenceOperator)
        kept = self._kept
        keywords = {
            name: kept[name] if name in kept else _python_value(attribute)
            for name, attribute in self.attributes(outer).items()
            if name not in self.bodies
        }
        if self.computed_by.takes_n_outputs:
            keywords["n_outputs"] = len(self.node.outputs)
        return OperatorCall(self.node, self.computed_by, keywords)

    @cached_property
    def _kept(self) -> Mapping[str, Any]:
        """The attributes that are the same in every call, as operators take them; large tensors excepted."""
        return {
            name: _python_value(attribute)
            for name, attribute in self.node.attributes.items()
            if name not in self.bodies and not attribute.is_ref() and _is_small(attribute)
        }


@dataclass(frozen=True)
class OperatorCall:
    """A node whose attributes are bound, ready to be computed on arrays.

    Attributes:
        node: as the model has it; its values tell the tensors' types.
        operator: computes it.
        keywords: the operator's keyword arguments, subgraphs excepted.
    """

    node: ir.Node
    operator: ReferenceOperator
    keywords: Mapping[str, Any]


class Planner:
    """Makes the plans of one model's graph and functions, each once."""

    def __init__(self, model: ir.Model) -> None:
        self._model = model
        self._functions: dict[ir.OperatorIdentifier, ExecutionPlan] = {}
        self._main: dict[tuple[ir.Value, ...], ExecutionPlan] = {}
        self._part: tuple[tuple[tuple[ir.Value, ...], frozenset[ir.Value]], ExecutionPlan] | None = None

    def main(self, outputs: Sequence[ir.Value], given: frozenset[ir.Value] = frozenset()) -> ExecutionPlan:
        """How to compute tensors of the main graph.

        Args:
            outputs: those tensors.
            given: tensors that are known. Of the plans of such parts of the graph the last one is kept.

        Raises:
            UnsupportedOperator: a node that they need, at any depth, is not an operator of the reference.
        """
        graph, opsets, key = self._model.graph, self._model.opset_imports, tuple(outputs)
        if given:
            if self._part is None or self._part[0] != (key, given):
                plan = self._plan(graph, graph.inputs, outputs, opsets, given=given)
                self._part = (key, given), plan
            return self._part[1]
        if key not in self._main:
            self._main[key] = self._plan(graph, graph.inputs, outputs, opsets)
        return self._main[key]

    def _function(self, function: ir.Function) -> ExecutionPlan:
        key = function.identifier()
        if key not in self._functions:
            defaults = {name: item for name, item in function.attributes.items() if item.value is not None}
            self._functions[key] = self._plan(
                function, function.inputs, function.outputs, function.opset_imports, defaults
            )
        return self._functions[key]

    def _composition(self, composed: Composition, node: ir.Node, where: str) -> ExecutionPlan:
        try:
            body = composed.body(node)
        except NotImplementedError as error:
            raise UnsupportedOperator(f"{where}: {error}") from error
        except TypeError as error:
            raise ModelError(f"{where}: inputs or attributes do not fit the operator ({error})") from error
        return self._plan(body, body.inputs, body.outputs, body.opset_imports)

    def _plan(
        self,
        nodes: ir.Graph | ir.Function,
        inputs: Sequence[ir.Value],
        outputs: Sequence[ir.Value],
        opsets: _Opsets,
        defaults: Attributes | None = None,
        given: frozenset[ir.Value] = frozenset(),
    ) -> ExecutionPlan:
        wanted, needed = set(outputs) - given, []
        for node in reversed(list(nodes)):  # the checker has made sure that the order is topological
            if wanted.intersection(node.outputs):
                needed.append(node)
                wanted.update(value for value in _reads(node) if value not in given)
        needed.reverse()
        releases = _releases(needed, inputs, outputs)
        planned = [
            self._planned(node, opsets, released) for node, released in zip(needed, releases, strict=True)
        ]
        return ExecutionPlan(list(inputs), list(outputs), planned, defaults or {})

    def _planned(self, node: ir.Node, opsets: _Opsets, releases: Sequence[ir.Value]) -> PlannedNode:
        domain = "" if node.domain == "ai.onnx" else node.domain
        opset = opsets.get(domain, opsets.get(node.domain, 1))
        where = _where(node, domain, opset)
        function = self._model.functions.get(node.op_identifier())
        if function is not None:
            return PlannedNode(node, where, self._function(function), {}, releases)
        computed_by = registry.lookup(node.op_type, domain, opset)
        composed = registry.COMPOSITIONS.get((domain, node.op_type)) if computed_by is None else None
        known = computed_by or composed
        if known is None:
            raise UnsupportedOperator(f"{where}: {registry.why_missing(node.op_type, domain, opset)}")
        unknown = sorted(set(node.attributes) - known.attributes)
        if unknown:
            raise UnsupportedOperator(f"{where}: the NumPy reference knows no attribute '{unknown[0]}' of it")
        if composed is not None:
            return PlannedNode(node, where, self._composition(composed, node, where), {}, releases)
        assert computed_by is not None
        bodies = {}
        for name, attribute in node.attributes.items():
            if attribute.type == ir.AttributeType.GRAPH and not attribute.is_ref():
                graph = attribute.as_graph()
                bodies[name] = self._plan(graph, graph.inputs, graph.outputs, opsets)
        return PlannedNode(node, where, computed_by, bodies, releases)


def _where(node: ir.Node, domain: str, opset: int) -> str:
    """A node as error messages name it."""
    name = f"'{node.name}'" if node.name else f"that computes '{node.outputs[0].name}'"
    operator = f"{node.op_type}, domain '{domain}'" if domain else node.op_type
    return f"node {name} ({operator}, opset {opset})"


def _reads(node: ir.Node) -> Iterator[ir.Value]:
    """The tensors that a node uses; those that its subgraphs use count, wherever they come from."""
    yield from (value for value in node.inputs if value is not None)
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH and not attribute.is_ref():
            for inner in attribute.as_graph():
                yield from _reads(inner)


def _releases(
    nodes: Sequence[ir.Node], inputs: Sequence[ir.Value], outputs: Sequence[ir.Value]
) -> list[list[ir.Value]]:
    """For each node, the tensors of this graph whose last use it is."""
    last: dict[ir.Value, int] = {}
    local = set(inputs)
    for index, node in enumerate(nodes):
        local.update(node.outputs)
        last.update((value, index) for value in (*node.outputs, *_reads(node)))
    kept = set(outputs)
    releases: list[list[ir.Value]] = [[] for _ in nodes]
    for value, index in last.items():
        if value in local and value not in kept:
            releases[index].append(value)
    return releases


def _python_value(attribute: ir.Attr) -> Any:
    """An attribute's value as an operator takes it: tensors become arrays."""
    if attribute.type == ir.AttributeType.TENSOR:
        array = widen(attribute.as_tensor().numpy()).view()
        array.flags.writeable = False  # the model's own, or kept from call to call
        return array
    if attribute.type in _PLAIN:
        return attribute.value
    raise ModelError(f"an attribute of type {attribute.type.name} ('{attribute.name}') is not supported")


def _is_small(attribute: ir.Attr) -> bool:
    """Whether its value takes little memory."""
    return attribute.type != ir.AttributeType.TENSOR or attribute.as_tensor().size <= _FEW


_FEW = 1024
"""Elements of a tensor that is kept: to look at the types of one costs more than to compute with it."""

_PLAIN = {
    ir.AttributeType.INT,
    ir.AttributeType.INTS,
    ir.AttributeType.FLOAT,
    ir.AttributeType.FLOATS,
    ir.AttributeType.STRING,
    ir.AttributeType.STRINGS,
    ir.AttributeType.TYPE_PROTO,
}
