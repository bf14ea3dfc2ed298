"""Compute a model before and after the passes in the float64 reference, and compare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from normdeploy.errors import InputError, ModelError, UnsupportedOperator
from normdeploy.inputs.declared import DeclaredInput, declared_inputs, with_shapes
from normdeploy.inputs.generated import batch_names, random_array, resolved_shape
from normdeploy.reference import Evaluator
from normdeploy.validation.judge import Case, Judge

_SEED = 0
_CONTRAST = 1
"""The second of `random_array`'s magnitudes: large enough for the squares in LRN to count."""
_GUESSES = (None, 8, 32, 64, 224)
"""Sizes to try for dimensions that the model leaves open, a batch aside; None: where there are none."""

_Inputs = dict[str, NDArray[Any]]


def verify_equal(before: ir.Model, after: ir.Model, shapes: Mapping[str, Sequence[int]]) -> None:
    """Check on random inputs that two models differ by no more than rounding.

    Args:
        before: the model as it was.
        after: the rewritten one.
        shapes: of inputs whose shape the model leaves open. Without one, a few sizes are tried.

    Raises:
        ModelError: an output differs, or the reference cannot compute the model.
        InputError, UsageError: shapes that do not fit.
    """
    inputs = with_shapes(declared_inputs(before), shapes)
    rewritten = Evaluator(after)
    arrays, case = _first_that_runs(Judge(rewritten, Evaluator(before)), inputs)
    actual = rewritten.run(arrays)
    for name, expected in case.expected.items():
        if actual[name].shape != expected.shape:
            raise ModelError(_difference(name, f"the shape is {actual[name].shape}", expected.shape))
        found = case.compare(name, actual[name])
        if found.wrong:
            wrong = f"{found.wrong} of {found.elements} elements are off by up to {found.max_abs_error:.3g}"
            raise ModelError(_difference(name, wrong, "rounding errors only"))


def _difference(name: str, what: str, instead: object) -> str:
    return (
        f"the optimized model is not the same: of output '{name}', {what}, instead of {instead}. This is a "
        f"defect of normdeploy, please report it; without verification the model is returned as it is"
    )


def _first_that_runs(judge: Judge, inputs: Sequence[DeclaredInput]) -> tuple[_Inputs, Case]:
    """Inputs with the first size for open dimensions with which the model runs, and what it makes of them."""
    problem: Exception | None = None
    for guess in _guesses(inputs):
        try:
            arrays = _draw(inputs, guess)
            return arrays, judge.on(arrays)
        except UnsupportedOperator as error:
            raise ModelError(f"the result cannot be verified: {error}; skip the verification") from error
        except InputError as error:
            problem = problem or error
        except ModelError as error:
            problem = error
    raise ModelError(f"the result cannot be verified: {problem}; or skip the verification") from problem


def _guesses(inputs: Sequence[DeclaredInput]) -> Iterator[int | None]:
    names = batch_names(inputs)
    is_open = any(
        declared.dims is not None
        and any(not isinstance(dim, int) and dim not in names for dim in declared.dims[1:])
        for declared in inputs
    )
    yield from _GUESSES[1:] if is_open else _GUESSES[:1]


def _draw(inputs: Sequence[DeclaredInput], guess: int | None) -> _Inputs:
    names = batch_names(inputs)
    rng = np.random.default_rng(_SEED)
    arrays = {}
    for declared in inputs:
        shape = resolved_shape(_guessed(declared, guess, names), names)
        arrays[declared.name] = random_array(declared, shape, _CONTRAST, rng)
    return arrays


def _guessed(declared: DeclaredInput, guess: int | None, names: frozenset[str]) -> DeclaredInput:
    if guess is None or declared.dims is None:
        return declared
    dims = tuple(
        guess if axis and not isinstance(dim, int) and dim not in names else dim
        for axis, dim in enumerate(declared.dims)
    )
    return replace(declared, dims=dims)
