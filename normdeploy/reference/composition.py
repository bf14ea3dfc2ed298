"""Operators that stand for a few others: a runtime's fused kernels, in the operators that they replace.

A composition is a function that writes the body of a node in other operators, so that a fused kernel means,
and rounds, what its parts do. Positional parameters are the node's inputs (None where an optional one is
missing), keyword-only parameters are its attributes with the defaults of the operator's definition, as in
`normdeploy.reference.signature`. A function that declares the keyword `n_outputs` is told how many outputs
the node has.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import onnx_ir as ir

from normdeploy.dtypes import Array
from normdeploy.reference.signature import store_defaults

OPSET = 23
"""The version of the standard operators in a body."""

HELPERS = "normdeploy.reference"
"""The domain of operators that stand in bodies only."""

_MARKS = "__onnx_compositions__"
_Function = TypeVar("_Function", bound=Callable[..., Any])


class BodyWriter:
    """Writes the nodes of one body.

    Args:
        name: of the node that the body stands for; error messages show it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._tape = ir.tape.Tape()

    def __call__(
        self, op_type: str, *inputs: ir.Value | None, domain: str = "", **attributes: Any
    ) -> ir.Value:
        """The output of a new node; attributes that are None are left out."""
        return self.several(op_type, 1, *inputs, domain=domain, **attributes)[0]

    def several(
        self, op_type: str, n_outputs: int, *inputs: ir.Value | None, domain: str = "", **attributes: Any
    ) -> Sequence[ir.Value]:
        """The outputs of a new node that has `n_outputs` of them."""
        given = {name: value for name, value in attributes.items() if value is not None}
        return self._tape.op_multi_out(
            op_type, inputs, given, num_outputs=n_outputs, domain=domain, name=self._name
        )

    def constant(self, values: Array | Sequence[int] | float, dtype: Any = np.float32) -> ir.Value:
        """A tensor."""
        return self("Constant", value=ir.tensor(np.asarray(values, dtype)))

    @property
    def nodes(self) -> Sequence[ir.Node]:
        """All nodes so far, in order."""
        return self._tape.nodes


@dataclass(frozen=True)
class Composition:
    """A function that writes an operator's body.

    Attributes:
        op_type: the operator's name.
        domain: its domain.
        function: see the module.
        attributes: the names of its attributes.
        takes_n_outputs: whether the function is told how many outputs a node has.
    """

    op_type: str
    domain: str
    function: Callable[..., ir.Value | Sequence[ir.Value]]
    attributes: frozenset[str]
    takes_n_outputs: bool

    def body(self, node: ir.Node) -> ir.Graph:
        """A graph that computes a node's outputs from its inputs.

        Raises:
            NotImplementedError: a form that the composition does not know.
        """
        inputs = [ir.Value(name=f"in{index}") for index in range(len(node.inputs))]
        for value, given in zip(inputs, node.inputs, strict=True):
            value.type = None if given is None else given.type
        given_inputs = [
            None if given is None else value for value, given in zip(inputs, node.inputs, strict=True)
        ]
        keywords: dict[str, Any] = {name: _plain(attribute) for name, attribute in node.attributes.items()}
        if self.takes_n_outputs:
            keywords["n_outputs"] = len(node.outputs)
        writer = BodyWriter(node.name or str(node.outputs[0].name))
        written = self.function(writer, *given_inputs, **keywords)
        outputs = [written] if isinstance(written, ir.Value) else list(written)[: len(node.outputs)]
        for value, wanted in zip(outputs, node.outputs, strict=False):
            value.type = wanted.type
        return ir.Graph(inputs, outputs, nodes=writer.nodes, opset_imports={"": OPSET})


def composition(op_type: str, *, domain: str) -> Callable[[_Function], _Function]:
    """Mark a function as the composition of an operator; it may carry several marks.

    Args:
        op_type: the operator's name.
        domain: its domain.

    Returns:
        A decorator that gives back the function itself.
    """

    def mark(function: _Function) -> _Function:
        setattr(function, _MARKS, (*getattr(function, _MARKS, ()), (op_type, domain)))
        store_defaults(function)
        return function

    return mark


def marked_compositions(function: Callable[..., Any]) -> list[Composition]:
    """The operators that a function composes."""
    marks: Sequence[tuple[str, str]] = getattr(function, _MARKS, ())
    if not marks:
        return []
    parameters: Mapping[str, inspect.Parameter] = inspect.signature(function).parameters
    keywords = {name for name, item in parameters.items() if item.kind is inspect.Parameter.KEYWORD_ONLY}
    return [
        Composition(op_type, domain, function, frozenset(keywords - {"n_outputs"}), "n_outputs" in keywords)
        for op_type, domain in marks
    ]


def _plain(attribute: ir.Attr) -> Any:
    if attribute.is_ref():
        raise NotImplementedError(
            f"attribute '{attribute.name}' refers to one of the function around the node"
        )
    return list(attribute.value) if isinstance(attribute.value, tuple) else attribute.value
