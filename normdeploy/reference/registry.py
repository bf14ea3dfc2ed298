"""Which function computes which operator, in which opset versions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from types import ModuleType

from normdeploy.reference import (
    activation,
    casting,
    control_flow,
    convolution,
    elementwise,
    generators,
    indexing,
    intra_channel_lrn,
    layout,
    linear,
    logical,
    normalization,
    pooling,
    recurrent,
    reduction,
    resampling,
)
from normdeploy.reference.delegated import delegated
from normdeploy.reference.signature import ReferenceOperator, marked_operators

_MODULES: tuple[ModuleType, ...] = (
    activation,
    casting,
    control_flow,
    convolution,
    intra_channel_lrn,
    elementwise,
    generators,
    indexing,
    layout,
    linear,
    logical,
    normalization,
    pooling,
    recurrent,
    reduction,
    resampling,
)


def _collect(modules: Iterable[ModuleType]) -> Mapping[tuple[str, str], list[ReferenceOperator]]:
    table = defaultdict(list)
    for module in modules:
        for function in vars(module).values():
            if callable(function) and getattr(function, "__module__", None) == module.__name__:
                for item in marked_operators(function):
                    table[item.domain, item.op_type].append(item)
    return {key: sorted(variants, key=lambda item: item.since) for key, variants in table.items()}


OPERATORS = _collect(_MODULES)
"""(domain, operator) -> its variants, the oldest first."""


def lookup(op_type: str, domain: str, opset: int) -> ReferenceOperator | None:
    """The variant of an operator that holds in an opset version."""
    variants = [item for item in OPERATORS.get((domain, op_type), ()) if item.since <= opset]
    if variants:
        return variants[-1]
    return delegated(op_type, opset) if domain == "" else None


def why_missing(op_type: str, domain: str, opset: int) -> str:
    """Why `lookup` finds nothing, for an error message."""
    variants = OPERATORS.get((domain, op_type))
    if not variants:
        return "the NumPy reference has no such operator"
    return f"the NumPy reference has it from opset {variants[0].since} on; convert the model to a newer opset"
