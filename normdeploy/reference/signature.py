"""How a Python function stands for an ONNX operator.

Positional parameters are the operator's inputs (None where an optional one is missing), keyword-only
parameters are its attributes with the standard's defaults; floating ones become what float32 holds of them,
as attributes in files are. A function that declares the keyword
`n_outputs` is told how many outputs the node has. A graph attribute arrives as a `Body`.

A sequence arrives as a `TensorSequence`, an optional as its element or as `Missing`.

An operator raises NotImplementedError for a form that it does not compute and any other exception for
inputs that make no sense; the evaluator adds which node it was.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from normdeploy.dtypes import Array
from normdeploy.reference.rounding_model import RoundingModel


@dataclass(frozen=True)
class TensorSequence:
    """A value that is a sequence: its tensors."""

    items: tuple[Array, ...]


@dataclass(frozen=True)
class Missing:
    """A value that is an optional without an element; one that has an element is that element."""


Value = Array | TensorSequence | Missing
"""What stands between nodes: nearly always a tensor."""

Body = Callable[..., list[Any]]
"""A subgraph, ready to be called with its inputs; it gives values."""

Result = Value | Sequence[Value]

_MARKS = "__onnx_marks__"
_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class ReferenceOperator:
    """A function, and the operator that it computes from opset version `since` on.

    Attributes:
        op_type: the operator's name.
        domain: "" for ONNX's own.
        since: the first opset version whose operator the function computes.
        function: see the module.
        attributes: the names of its attributes.
        takes_n_outputs: whether the function is told how many outputs a node has.
        rounding: how its result errs in an arithmetic of lower precision.
    """

    op_type: str
    domain: str
    since: int
    function: Callable[..., Result]
    attributes: frozenset[str]
    takes_n_outputs: bool
    rounding: RoundingModel


@dataclass(frozen=True)
class _Mark:
    op_type: str
    domain: str
    since: int
    rounding: RoundingModel


def operator(
    op_type: str, *, since: int, rounding: RoundingModel, domain: str = ""
) -> Callable[[_Function], _Function]:
    """Mark a function as an ONNX operator.

    A function may carry several marks, where several operators or versions are computed alike.

    Args:
        op_type: the operator's name.
        since: the first opset version whose operator the function computes.
        rounding: how its result errs; see `normdeploy.reference.rounding_model`.
        domain: "" for ONNX's own.

    Returns:
        A decorator that gives back the function itself.
    """

    def mark(function: _Function) -> _Function:
        marks = getattr(function, _MARKS, ())
        setattr(function, _MARKS, (*marks, _Mark(op_type, domain, since, rounding)))
        store_defaults(function)
        return function

    return mark


def store_defaults(function: Callable[..., Any]) -> None:
    """Give a function the floating defaults that a file would hold: rounded to float32.

    Args:
        function: its keyword-only parameters are an operator's attributes.
    """
    defaults: Mapping[str, Any] = getattr(function, "__kwdefaults__", None) or {}
    stored = {
        name: float(np.float32(value)) if isinstance(value, float) else value
        for name, value in defaults.items()
    }
    setattr(function, "__kwdefaults__", stored)  # noqa: B010


def marked_operators(function: Callable[..., Any]) -> list[ReferenceOperator]:
    """The operators that a function is marked as."""
    marks: tuple[_Mark, ...] = getattr(function, _MARKS, ())
    if not marks:
        return []
    keywords = {
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    return [
        ReferenceOperator(
            mark.op_type,
            mark.domain,
            mark.since,
            function,
            attributes=frozenset(keywords - {"n_outputs"}),
            takes_n_outputs="n_outputs" in keywords,
            rounding=mark.rounding,
        )
        for mark in marks
    ]
