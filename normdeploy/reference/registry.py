"""Which function computes which operator, in which opset versions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

from normdeploy.reference import (
    activation,
    casting,
    control_flow,
    convolution,
    elementwise,
    fused,
    fused_attention,
    generators,
    indexing,
    intra_channel_lrn,
    layout,
    linear,
    logical,
    nchwc,
    nhwc,
    nhwc_internal,
    normalization,
    pooling,
    quantized,
    recurrent,
    reduction,
    resampling,
    sequences,
    spectral,
    vision,
)
from normdeploy.reference.composition import Composition, marked_compositions
from normdeploy.reference.delegated import delegated
from normdeploy.reference.generators import DRAWS
from normdeploy.reference.signature import ReferenceOperator, marked_operators

_MODULES: tuple[ModuleType, ...] = (
    activation,
    casting,
    control_flow,
    convolution,
    intra_channel_lrn,
    elementwise,
    fused,
    fused_attention,
    generators,
    indexing,
    layout,
    linear,
    logical,
    nchwc,
    nhwc,
    normalization,
    pooling,
    quantized,
    recurrent,
    reduction,
    resampling,
    sequences,
    spectral,
    vision,
)

_RANDOM = frozenset(
    ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial")
)
"""ONNX's operators that give other numbers each time."""


def _functions() -> Iterator[Callable[..., Any]]:
    for module in _MODULES:
        for function in vars(module).values():
            if callable(function) and getattr(function, "__module__", None) == module.__name__:
                yield function


def _operators() -> Mapping[tuple[str, str], list[ReferenceOperator]]:
    table = defaultdict(list)
    for function in _functions():
        for item in marked_operators(function):
            table[item.domain, item.op_type].append(item)
    return {key: sorted(variants, key=lambda item: item.since) for key, variants in table.items()}


OPERATORS = _operators()
"""(domain, operator) -> its variants, the oldest first."""

COMPOSITIONS: Mapping[tuple[str, str], Composition] = {
    (item.domain, item.op_type): item
    for item in (
        *(item for function in _functions() for item in marked_compositions(function)),
        *nhwc_internal.COMPOSITIONS,
    )
}
"""(domain, operator) -> what it is composed of; an operator of `OPERATORS` comes first where both have it."""


def lookup(op_type: str, domain: str, opset: int) -> ReferenceOperator | None:
    """The variant of an operator that holds in an opset version."""
    variants = [item for item in OPERATORS.get((domain, op_type), ()) if item.since <= opset]
    if variants:
        return variants[-1]
    return delegated(op_type, opset) if domain == "" else None


def why_missing(op_type: str, domain: str, opset: int) -> str:
    """Why `lookup` finds nothing, for an error message."""
    if domain == "" and op_type in _RANDOM:
        return f"it {DRAWS}"
    variants = OPERATORS.get((domain, op_type))
    if not variants:
        return "the NumPy reference has no such operator"
    return f"the NumPy reference has it from opset {variants[0].since} on; convert the model to a newer opset"
