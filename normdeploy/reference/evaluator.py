"""Run an ONNX graph in NumPy, in float64: what the model means, free of a runtime's rounding."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any, TypeGuard

import numpy as np
import onnx_ir as ir

from normdeploy.budget import check_budget, require_memory, spending
from normdeploy.dtypes import Array
from normdeploy.errors import BudgetExceeded, ModelError, UnsupportedOperator, UsageError
from normdeploy.graph.io import ModelSource, load
from normdeploy.reference.dtypes import widen
from normdeploy.reference.execution_plan import Attributes, ExecutionPlan, PlannedNode, Planner
from normdeploy.reference.inexact import InexactArithmetic
from normdeploy.reference.inputs import checked_inputs
from normdeploy.reference.signature import Body, Missing, TensorSequence, Value
from normdeploy.reference.threads import one_blas_thread
from normdeploy.resources import physical_memory

NodeObserver = Callable[[ir.Node, Sequence[Array]], Sequence[Array] | None]
"""Called with a node and its computed outputs, in the node's order. What it returns stands in their place."""


def evaluate(
    model: ModelSource,
    inputs: Mapping[str, Array],
    outputs: Sequence[str] | None = None,
    *,
    timeout: float | None = None,
    max_memory: float | None = None,
) -> dict[str, Array]:
    """Compute a model's outputs, or any of its tensors, in float64.

    To compute a model more than once, or to watch its nodes, keep an `Evaluator`.

    Args:
        model: a path, or a loaded model.
        inputs: one array per graph input; those that have an initializer may be left out. A floating input
            may have any floating width.
        outputs: names of tensors of the main graph, the graph's outputs by default.
        timeout: seconds that it may take, 600 by default.
        max_memory: bytes that it may take, half of the machine's memory by default.

    Returns:
        The tensors by name: float64 arrays for floating ones, arrays of the tensor's own type for others.

    Raises:
        UsageError: an output that the main graph does not have, or a limit that is not above 0.
        InputError: inputs that do not fit the model.
        UnsupportedOperator: a node that the reference cannot compute; found before anything runs.
        BudgetExceeded: it would take, or has taken, more time or memory than it may.
        ModelError: no valid model, or a node that fails on its inputs.

    Example:
        >>> import numpy as np, onnx.parser
        >>> import normdeploy as nd
        >>> model = onnx.parser.parse_model('''
        ...     <ir_version: 8, opset_import: ["": 17]>
        ...     lrn (float[N, 2, 1] x) => (float[N, 2, 1] y) {
        ...         squares = Mul (x, x)
        ...         y = LRN <size = 3, alpha = 3.0, beta = 1.0, bias = 0.0> (x)
        ...     }''')
        >>> x = np.array([[[1.0], [3.0]]], np.float32)
        >>> nd.evaluate(model, {"x": x})["y"].ravel().tolist()
        [0.1, 0.3]
        >>> nd.evaluate(model, {"x": x}, outputs=["squares"])["squares"].ravel().tolist()
        [1.0, 9.0]
    """
    with spending(timeout, max_memory):
        return Evaluator(model).run(inputs, outputs)


class Evaluator:
    """A loaded model, ready to be computed many times.

    Every floating tensor is computed as float64, whatever its declared type, and a Cast between floating
    types is the identity: the result is the model's meaning in real numbers. Tensors of other types keep
    theirs. Weights are widened when a node uses them, and a tensor is freed after its last use.

    Args:
        model: a path, or a loaded model.
        keep_weights: hold on to the widened weights from run to run, while they take less than an eighth of
            the machine's memory.

    Raises:
        ModelError: no valid model.

    Example:
        >>> import numpy as np, onnx.parser
        >>> from normdeploy.reference import Evaluator
        >>> evaluator = Evaluator(onnx.parser.parse_model('''
        ...     <ir_version: 8, opset_import: ["": 17]>
        ...     root (float[N] x) => (float[N] y) { sum = Add (x, x) y = Sqrt (sum) }'''))
        >>> def show(node, results):
        ...     print(node.op_type, results[0])
        >>> evaluator.run({"x": np.array([2.0, 8.0])}, on_node=show)
        Add [ 4. 16.]
        Sqrt [2. 4.]
        {'y': array([2., 4.])}
    """

    def __init__(self, model: ModelSource, *, keep_weights: bool = False) -> None:
        self.model = load(model)
        self._planner = Planner(self.model)
        self._weights = _Weights(physical_memory() / 8 if keep_weights else 0)
        self._values = _named_values(self.model.graph)

    def run(
        self,
        inputs: Mapping[str, Array],
        outputs: Sequence[str] | None = None,
        on_node: NodeObserver | None = None,
        rounding: InexactArithmetic | None = None,
        given: Mapping[str, Array] | None = None,
    ) -> dict[str, Array]:
        """Compute the named tensors.

        Args:
            inputs: one array per graph input; those that have an initializer may be left out. A floating
                input may have any floating width.
            outputs: names of tensors of the main graph, the graph's outputs by default. Only the nodes
                that they need are computed.
            on_node: sees the outputs of each node of the main graph as soon as they are computed, and may
                give others in their place.
            rounding: adds errors to each operation; exact without it.
            given: tensors of the main graph by name that are taken as they are, and not computed.

        Returns:
            The tensors by name: float64 arrays for floating ones, arrays of the tensor's own type for others.
            The caller may change them.

        Raises:
            UsageError: a tensor that the main graph does not have.
            InputError: inputs that do not fit the model.
            UnsupportedOperator: a node that the reference cannot compute; found before anything runs.
            BudgetExceeded: it takes more than the budget around the call (`normdeploy.budget.spending`); in
                none, a tensor that takes more than half of the machine's memory.
            ModelError: a node that fails on its inputs.
        """
        values = (
            [self._value(name) for name in outputs] if outputs is not None else list(self.model.graph.outputs)
        )
        known = {self._value(name): array for name, array in (given or {}).items()}
        plan = self._planner.main(values, frozenset(known))
        frame = _Frame(None, {}, rounding, self._weights)
        frame.values.update(checked_inputs(self.model.graph, inputs))
        frame.values.update(known)
        with one_blas_thread():
            results = _run(plan, frame, on_node)
        return {
            str(value.name): _owned(value.name, result) for value, result in zip(values, results, strict=True)
        }

    def _value(self, name: str) -> ir.Value:
        try:
            return self._values[name]
        except KeyError:
            raise UsageError(f"the model has no tensor '{name}' in its main graph") from None


class _Weights:
    """The widened weights of a model, of which it keeps as many as there is room for; any thread may read."""

    def __init__(self, room: float) -> None:
        self._room = room
        self._kept: dict[ir.Value, Array] = {}
        self._lock = threading.Lock()

    def __getitem__(self, value: ir.Value) -> Array:
        if value in self._kept:
            return self._kept[value]
        with self._lock:
            return self._widened(value)

    def _widened(self, value: ir.Value) -> Array:
        if value in self._kept:
            return self._kept[value]
        assert value.const_value is not None
        require_memory(tuple(value.const_value.shape.numpy()))
        array = widen(value.const_value.numpy())
        if array.nbytes <= self._room:
            self._room -= array.nbytes
            self._kept[value] = array
        return array


class _Frame:
    """The tensors of one graph while it runs; a subgraph also sees those of the graphs around it."""

    def __init__(
        self,
        parent: _Frame | None,
        attributes: Attributes,
        rounding: InexactArithmetic | None,
        weights: _Weights,
    ) -> None:
        self.parent = parent
        self.attributes = attributes
        self.rounding = rounding
        self.weights = weights
        self.values: dict[ir.Value, Value | None] = {}
        """None stands for an optional input that a function's caller leaves out."""

    def __getitem__(self, value: ir.Value) -> Value | None:
        frame: _Frame | None = self
        while frame is not None:
            if value in frame.values:
                held = frame.values[value]
                return widen(held) if isinstance(held, np.ndarray) else held
            frame = frame.parent
        if value.const_value is None:
            raise ModelError(f"the tensor '{value.name}' is used before it is computed")
        array = self.weights[value]
        return array if self.rounding is None else self.rounding.stored.tensor(value, array)


def _run(plan: ExecutionPlan, frame: _Frame, on_node: NodeObserver | None = None) -> list[Value]:
    for planned in plan.nodes:
        results = _compute(planned, frame)
        if on_node is not None and _are_arrays(results):
            changed = on_node(planned.node, results)
            results = results if changed is None else [*changed]
        frame.values.update(
            (value, result)
            for value, result in zip(planned.node.outputs, results, strict=False)
            if value.name
        )
        del results
        for value in planned.releases:
            frame.values.pop(value, None)
    outputs = [(value, frame[value]) for value in plan.outputs]
    for value, held in outputs:
        if held is None:
            raise ModelError(f"the tensor '{value.name}' is an input that is left out")
    return [held for _, held in outputs if held is not None]


def _compute(planned: PlannedNode, frame: _Frame) -> list[Value]:
    check_budget(f"{planned.where}: the work up to here ")
    arguments: list[Value | None] = []
    try:
        arguments += (None if value is None else frame[value] for value in planned.node.inputs)
        with np.errstate(all="ignore"):
            return _call(planned, frame, arguments)
    except ModelError:  # of a node inside this one, which it names
        raise
    except NotImplementedError as error:
        raise UnsupportedOperator(f"{planned.where}: {error}") from error
    except MemoryError as error:
        reason = str(error) or "out of memory"
        raise BudgetExceeded(f"{planned.where}: {reason}{_shapes(arguments)}") from error
    except Exception as error:  # whatever NumPy or an operator finds wrong with these inputs
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(f"{planned.where}: {reason}{_shapes(arguments)}") from error


def _call(planned: PlannedNode, frame: _Frame, arguments: list[Value | None]) -> list[Value]:
    if frame.rounding is not None and _are_arrays(arguments):
        arguments = [*frame.rounding.stored.operands(planned.node, arguments)]
    if isinstance(planned.computed_by, ExecutionPlan):
        attributes: Attributes = planned.attributes(frame.attributes)
        if frame.rounding is not None:
            attributes = frame.rounding.stored.attributes(planned.node, attributes)
        return _call_function(planned.computed_by, attributes, arguments, frame)
    call = planned.call(frame.attributes)
    if frame.rounding is not None:
        call = replace(call, keywords=frame.rounding.stored.keywords(call.node, call.keywords))
    operands = arguments
    if frame.rounding is not None and _are_arrays(arguments):
        operands = [*frame.rounding.operands(call, arguments)]
    bodies = {name: _body(plan, frame) for name, plan in planned.bodies.items()}
    result = call.operator.function(*operands, **call.keywords, **bodies)
    results = [_result(item) for item in (result if isinstance(result, tuple | list) else [result])]
    if frame.rounding is None or not _are_arrays(arguments) or not _are_arrays(results):
        return results
    return [*frame.rounding.results(call, arguments, results)]


def _are_arrays(values: Sequence[Value | None]) -> TypeGuard[list[Any]]:
    """Whether each of these is an array, or left out."""
    return all(value is None or isinstance(value, np.ndarray) for value in values)


def _result(item: Any) -> Value:
    if isinstance(item, TensorSequence | Missing):
        return item
    return _detached(widen(np.asarray(item)))


def _call_function(
    plan: ExecutionPlan,
    attributes: Attributes,
    arguments: Sequence[Value | None],
    caller: _Frame,
) -> list[Value]:
    frame = _Frame(None, {**plan.defaults, **attributes}, caller.rounding, caller.weights)
    frame.values.update(zip_longest(plan.inputs, arguments))
    return _run(plan, frame)


def _body(plan: ExecutionPlan, outer: _Frame) -> Body:
    def body(*inputs: Value) -> list[Value]:
        check_budget()
        frame = _Frame(outer, outer.attributes, outer.rounding, outer.weights)
        frame.values.update(zip(plan.inputs, inputs, strict=True))
        return _run(plan, frame)

    return body


def _detached(array: Array) -> Array:
    """The array itself, or a copy where it is a small view that would keep a large tensor alive."""
    base = array.base
    if isinstance(base, np.ndarray) and base.nbytes > 2 * array.nbytes:
        return array.copy()
    return array


def _owned(name: str | None, value: Value) -> Array:
    """An array that the caller may change: neither a view, nor a constant, nor an input."""
    if not isinstance(value, np.ndarray):
        raise ModelError(f"'{name}' is a sequence or an optional, and only tensors are given back")
    return np.array(value, copy=True)


def _shapes(arguments: Sequence[Value | None]) -> str:
    return f" (input shapes: {', '.join(_shape(item) for item in arguments)})" if arguments else ""


def _shape(value: Value | None) -> str:
    if isinstance(value, TensorSequence):
        return f"[{', '.join(str(item.shape) for item in value.items)}]"
    return str(value.shape) if isinstance(value, np.ndarray) else "none"


def _named_values(graph: ir.Graph) -> dict[str, ir.Value]:
    values = [
        *graph.inputs,
        *graph.initializers.values(),
        *(value for node in graph for value in node.outputs),
    ]
    return {value.name: value for value in values if value.name}
