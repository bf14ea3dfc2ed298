"""How a Python function stands for an ONNX operator.

Positional parameters are the operator's inputs (None where an optional one is missing), keyword-only
parameters are its attributes with the standard's defaults. A function that declares the keyword
`n_outputs` is told how many outputs the node has. A graph attribute arrives as a `Body`.

An operator raises NotImplementedError for a form that it does not compute and any other exception for
inputs that make no sense; the evaluator adds which node it was.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from normdeploy.dtypes import Array

Body = Callable[..., list[Array]]
"""A subgraph, ready to be called with its inputs."""

Result = Array | Sequence[Array]

_MARKS = "__onnx_marks__"
_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class ReferenceOperator:
    """A function, and the operator that it computes from opset version `since` on."""

    op_type: str
    domain: str
    since: int
    function: Callable[..., Result]
    attributes: frozenset[str]
    takes_n_outputs: bool


def operator(op_type: str, *, since: int, domain: str = "") -> Callable[[_Function], _Function]:
    """Mark a function as the ONNX operator `op_type` from opset version `since` on."""

    def mark(function: _Function) -> _Function:
        marks = getattr(function, _MARKS, ())
        setattr(function, _MARKS, (*marks, (op_type, domain, since)))
        return function

    return mark


def marked_operators(function: Callable[..., Any]) -> list[ReferenceOperator]:
    """The operators that a function is marked as."""
    marks: tuple[tuple[str, str, int], ...] = getattr(function, _MARKS, ())
    if not marks:
        return []
    keywords = {
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    attributes = frozenset(keywords - {"n_outputs"})
    return [ReferenceOperator(*mark, function, attributes, "n_outputs" in keywords) for mark in marks]
