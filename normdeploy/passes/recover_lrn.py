"""Recover LRN from the graph that an exporter decomposed it into.

y = x / (k + α · Σ x²)^β comes in many forms: torch's exporters write about ten nodes::

    x ─┬─ Mul(x, x) ─ Reshape ─ Pad ─ AveragePool ─ Reshape ─ Mul α ─ Add k ─ Pow β ─┐
       └──────────────────────────────────────────────────────────────────────────── Div ─ y

others sum slices, convolve with a band of ones, multiply by roots or by a reciprocal. Every Div and Mul is
tried as the end of one. For each tensor that it may normalize, an interpreter works out the exact formula of
its result (`passes.lrn.interpreter`). Where that is x · (k + a · Σ x²)^−β with a box around each element,
along the channels or along all spatial axes, the operator takes its place. Nothing is evaluated on sample
data.

Across channels that is `LRN`, if the runtimes that the target asks for take it; within a channel
`normdeploy.IntraChannelLRN`, which carries a body of standard operators. What comes close stays as it is,
with the reason in the report.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from normdeploy.choices import Target
from normdeploy.graph.edit import Editor
from normdeploy.graph.intra_channel_lrn import add_function, intra_channel_lrn
from normdeploy.graph.opsets import BROADCASTING_OPSET, standard_opset
from normdeploy.graph.scopes import node_name, subgraphs
from normdeploy.graph.traversal import producers, upstream
from normdeploy.lrn import LRN
from normdeploy.passes.constants import Constants
from normdeploy.passes.lrn.interpreter import Blocked, Interpreter, Power, sources
from normdeploy.passes.lrn.rules import arithmetic, layout, windows
from normdeploy.passes.lrn.specification import box_sum, specification
from normdeploy.passes.report import LRNRecord, OptimizationReport, Refused

_RULES = {**arithmetic.RULES, **layout.RULES, **windows.RULES}
_SUMS = ("Slice", "Split", "Concat", "Gather")
_FACTORS = ("Pow", "Reciprocal", "Exp", "Div", "Mul", "Cast", "Identity", "Transpose")
"""What may compute the other factor where an LRN ends in a Mul."""


class RecoverLRN(ir.passes.InPlacePass):
    """Put one node in the place of each decomposed LRN, if and only if it computes the same.

    Args:
        report: receives what became of each.
        target: what the model is for, which decides whose LRN operator has to take it.
    """

    def __init__(self, report: OptimizationReport, target: Target = "portable") -> None:
        super().__init__()
        self._report = report
        self._target = target

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        constants, editor = Constants(model), Editor(model.graph)
        modified = False
        if standard_opset(model.opset_imports) < BROADCASTING_OPSET:
            return ir.passes.PassResult(model, modified)
        for graph in [model.graph, *model.graph.subgraphs()]:
            search = _Search(constants)
            for node in list(graph):
                found = search.ending_in(node)
                if isinstance(found, LRNRecord):
                    self._report.lrn.append(found)
                elif found:
                    modified |= self._recover(found, model, editor.inside(graph))
        return ir.passes.PassResult(model, modified)

    def _recover(self, matches: list[_Match], model: ir.Model, editor: Editor) -> bool:
        """Replace the first of the matches that an operator computes."""
        refusals: list[LRNRecord] = []
        opset = standard_opset(model.opset_imports)
        for match in matches:
            _declare_shape(match)
            try:
                spec = specification(match.power, match.x, opset, self._target)
            except Refused as reason:
                refusals.append(LRNRecord(match.nodes, "kept", str(reason)))
                continue
            if spec is not None:
                nodes = match.nodes
                _insert(editor, match, _replacement(match, spec, model))
                _remove_unused(match.chain)
                self._report.lrn.append(LRNRecord(nodes, "recovered"))
                return True
        self._report.lrn += refusals[:1]
        return False


@dataclass(frozen=True)
class _Match:
    """The node `end` computes x · base^−β.

    Args:
        end: the node.
        x: what is normalized.
        power: the formula of the result.
        chain: the nodes from the square of x to `end`, in order.
    """

    end: ir.Node
    x: ir.Value
    power: Power
    chain: tuple[ir.Node, ...]

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of the nodes in the chain."""
        return tuple(node_name(node) for node in self.chain)


class _Search:
    """Finds LRNs in one graph, node by node in topological order."""

    def __init__(self, constants: Constants) -> None:
        self._constants = constants
        self._interpreters: dict[ir.Value, Interpreter] = {}
        self._done: set[ir.Node] = set()

    def ending_in(self, node: ir.Node) -> list[_Match] | LRNRecord | None:
        """What ends in this node, or in one that only divides its result further: one match for each root."""
        if node.domain or node.op_type not in ("Div", "Mul") or node in self._done:
            return None
        roots = list(self._roots(node))
        blocked: LRNRecord | None = None
        matches: list[_Match] = []
        for root in roots:
            interpreter = self._interpreter(root)
            formula = interpreter.formula(node.outputs[0])
            if _is_lrn(formula) and _has_window(node, interpreter):
                matches.append(self._extended(node, interpreter))
            if isinstance(formula, Blocked) and blocked is None:
                blocked = LRNRecord(_names(node, interpreter), "kept", formula.reason)
        if matches:
            return matches
        if blocked is not None:
            self._done.update(_divisions(node))
            return blocked
        return self._of_another(node, roots) if roots else None

    def _roots(self, node: ir.Node) -> Iterator[ir.Value]:
        """The tensors that the node may normalize."""
        first, second = node.inputs
        pairs = [(first, second)] if node.op_type == "Div" else [(first, second), (second, first)]
        for root, other in pairs:
            producer = other.producer() if other is not None else None
            if root is None or other is None or producer is None or root is other or root.shape is None:
                continue
            if self._constants.is_constant(root) or self._constants.is_constant(other):
                continue
            if node.op_type == "Mul" and producer.op_type not in _FACTORS:
                continue
            yield root
            before = root.producer()
            if before is not None and before.op_type == "Transpose":
                source = before.inputs[0]
                if source is not None and source.shape is not None:
                    yield source

    def _interpreter(self, root: ir.Value) -> Interpreter:
        if root not in self._interpreters:
            self._interpreters[root] = Interpreter(root, self._constants, _RULES)
        return self._interpreters[root]

    def _extended(self, node: ir.Node, interpreter: Interpreter) -> _Match:
        """The match with the nodes after it that divide by more powers of the same sum."""
        for following in _divisions(node):
            if not _is_lrn(interpreter.formula(following.outputs[0])):
                break
            self._done.add(following)
            node = following
        power = interpreter.formula(node.outputs[0])
        assert isinstance(power, Power)
        return _Match(node, interpreter.root, power, tuple(_chain(node, interpreter)))

    def _of_another(self, node: ir.Node, roots: list[ir.Value]) -> LRNRecord | None:
        """The record of a node that divides one tensor by the norm of another."""
        for root, divisor in zip(roots, reversed(node.inputs), strict=False):
            assert divisor is not None
            for squared in _squared_above(divisor):
                if squared in roots or squared.shape is None:
                    continue
                interpreter = self._interpreter(squared)
                if interpreter.formula(root) is not None:
                    continue  # a part of the formula
                power = arithmetic.as_power(interpreter.formula(divisor))
                sign = 1 if node.op_type == "Div" else -1
                if power is None or power.base is None or sign * power.exponent <= 0:
                    continue
                if _is_local(power):
                    reason = f"it normalizes '{root.name}' by the squares of another tensor, '{squared.name}'"
                    return LRNRecord(_names(node, interpreter), "kept", reason)
        return None


def _is_lrn(formula: object) -> bool:
    return (
        isinstance(formula, Power)
        and formula.numerator is not None
        and formula.base is not None
        and formula.factor == 1
        and formula.exponent < 0
        and formula.numerator == formula.base.axes
    )


def _has_window(end: ir.Node, interpreter: Interpreter) -> bool:
    """Whether an operator on the way sums over windows; x/√(1 + x²) alone is no normalization."""
    return any(node.op_type in windows.RULES or node.op_type in _SUMS for node in _chain(end, interpreter))


def _divisions(node: ir.Node) -> Iterator[ir.Node]:
    """The Div and Mul nodes after a node, as long as nothing else reads what is between."""
    while True:
        value = node.outputs[0]
        uses = value.uses()
        if value.is_graph_output() or len(uses) != 1:
            return
        node = next(iter(uses)).node
        if node.op_type not in ("Div", "Mul") or node.graph is not value.producer().graph:  # type: ignore[union-attr]
            return
        yield node


def _chain(end: ir.Node, interpreter: Interpreter) -> list[ir.Node]:
    """The nodes that compute from the root's squares what `end` makes of them, in order."""

    def before(node: ir.Node) -> list[ir.Node]:
        inner = (value for value in sources(node) if value is not interpreter.root)
        return producers(value for value in inner if interpreter.computes(value))

    return upstream(end, before)


def _names(end: ir.Node, interpreter: Interpreter) -> tuple[str, ...]:
    return tuple(node_name(node) for node in _chain(end, interpreter))


def _squared_above(value: ir.Value) -> Iterator[ir.Value]:
    """Tensors whose squares may reach a value."""
    stack, seen = [value], {value}
    while stack and len(seen) < 256:
        node = stack.pop().producer()
        if node is None or node.domain or node.op_type not in _RULES:
            continue
        first = node.inputs[0] if node.inputs else None
        if first is not None and (
            (node.op_type == "Mul" and node.inputs[1] is first) or node.op_type in ("Pow", "ReduceSumSquare")
        ):
            yield first
        for item in sources(node):
            if item not in seen:
                seen.add(item)
                stack.append(item)


def _is_local(power: Power) -> bool:
    """Whether the sum is over windows that move with the element."""
    try:
        found = box_sum(power)
    except Refused:
        return True
    return not found.reduced and any(window != (0, 0) for window in found.windows.values())


def _replacement(match: _Match, spec: LRN, model: ir.Model) -> ir.Node:
    """The node that computes the match before its axes are permuted."""
    if spec.region == "across":
        attributes = {"size": spec.size, "alpha": spec.alpha, "beta": spec.beta, "bias": spec.k}
        return ir.node("LRN", [match.x], attributes, name=match.end.name)
    add_function(model)
    assert match.x.shape is not None
    return intra_channel_lrn(match.x, spec, len(match.x.shape) - 2, name=match.end.name)


def _declare_shape(match: _Match) -> None:
    """Give the result the shape of x where inference could not tell it, for what follows."""
    result, base = match.end.outputs[0], match.power.base
    if result.shape is None and match.x.shape is not None and base is not None:
        order = [axis for axes in base.axes for axis in axes]
        if order == list(range(len(match.x.shape))):
            result.shape = match.x.shape


def _remove_unused(chain: Sequence[ir.Node]) -> None:
    """Remove the nodes that only computed what is replaced, with what their branches read."""
    for node in reversed(chain):
        graph = node.graph
        if graph is None or any(value.uses() or value.is_graph_output() for value in node.outputs):
            continue
        for _, branch in subgraphs(node):
            branch.outputs.clear()
            branch.remove(list(branch), safe=True)
        graph.remove(node, safe=True)


def _insert(editor: Editor, match: _Match, operator: ir.Node) -> None:
    """The operator in the match's place, with its result's axes as the match has them."""
    order = [axis for axes in match.power.numerator or () for axis in axes]
    result = operator.outputs[0]
    if order == sorted(order):
        editor.replace(match.end, operator)
    else:
        result.name = editor.unique(f"{match.end.outputs[0].name}.{operator.op_type}")
        editor.graph.insert_before(match.end, operator)
        name = editor.unique(f"{match.end.name}.Transpose")
        editor.replace(match.end, ir.node("Transpose", [result], {"perm": order}, name=name))
    result.type, result.shape = match.x.type, match.x.shape
