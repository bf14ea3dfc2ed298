"""Compute a model before and after the passes in the float64 reference, and compare.

This is a test on one batch of random inputs, not a proof. What makes the passes right is their algebra; this
finds a mistake in it, or in the code, wherever it shows on these inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from normdeploy.errors import InputError, ModelError, UnsupportedOperator
from normdeploy.inputs.declared import DeclaredInput, declared_inputs, with_shapes
from normdeploy.inputs.generated import batch_names, random_array, resolved_shape
from normdeploy.parallel import helpers
from normdeploy.reference import Evaluator
from normdeploy.validation.judge import Case, Judge

_SEED = 0

_MAGNITUDE = 1
"""Which of the magnitudes of `random_array` in turn: the second, a standard deviation of 8. There the squares
in LRN count: an error of 0.1 % in AlexNet's alpha shows, which at the first, 1, is below rounding."""

_NO_OPEN_SIZE = (None,)
_GUESSED_SIZES = (8, 32, 64, 224)
"""Sizes for dimensions that the model leaves open, a batch aside. The first with which the model runs is
taken: 8 costs least, 32, 64 and 224 are what CIFAR, Tiny ImageNet and ImageNet are scaled to. AlexNet, whose
strides and pools need 63 pixels, runs with 64."""

_Inputs = dict[str, NDArray[Any]]


def verify_equal(before: ir.Model, after: ir.Model, shapes: Mapping[str, Sequence[int]]) -> list[str]:
    """Compute two models on one batch of random inputs, and refuse a difference beyond rounding.

    What passes may still differ on other inputs. The inputs are the same each time.

    Args:
        before: the model as it was.
        after: the rewritten one.
        shapes: of inputs whose shape the model leaves open. Without one, a few sizes are tried.

    Returns:
        The outputs of which nothing is verified: they are empty, or have no finite number.

    Raises:
        ModelError: an output differs, or that list would hold them all, or the reference cannot compute the
            model.
        InputError, UsageError: shapes that do not fit.
    """
    inputs = with_shapes(declared_inputs(before), shapes)
    with helpers():
        _, case = _first_that_runs(Judge(Evaluator(after), Evaluator(before)), inputs)
        return _require_equal(case)


def _require_equal(case: Case) -> list[str]:
    actual, unseen = case.computed, []
    for name, expected in case.expected.items():
        if actual[name].shape != expected.shape:
            raise ModelError(_difference(name, f"the shape is {actual[name].shape}", expected.shape))
        found = case.compare(name, actual[name])
        if found.wrong:
            wrong = f"{found.wrong} of {found.elements} elements are off by up to {found.max_abs_error:.3g}"
            raise ModelError(_difference(name, wrong, "rounding errors only"))
        if found.shows_nothing:
            unseen.append(name)
    if len(unseen) == len(case.expected):
        raise ModelError(
            "the result cannot be verified: no output has a finite number on random inputs: give other "
            "shapes; or skip the verification"
        )
    return unseen


def _difference(name: str, what: str, instead: object) -> str:
    return (
        f"the optimized model is not the same: of output '{name}', {what}, instead of {instead}. This is a "
        f"defect of normdeploy, please report it; without verification the model is returned as it is"
    )


def _first_that_runs(judge: Judge, inputs: Sequence[DeclaredInput]) -> tuple[_Inputs, Case]:
    """Inputs with the first size for open dimensions with which the model runs, and what it makes of them.

    A size with which an output shows nothing is taken only if the model runs with no other.
    """
    problem: Exception | None = None
    poor: tuple[_Inputs, Case] | None = None
    for size in _sizes(inputs):
        try:
            arrays = _draw(inputs, size)
            case = judge.begin(arrays)
            case.compute(deployed=False)
        except UnsupportedOperator as error:
            raise ModelError(f"the result cannot be verified: {error}; skip the verification") from error
        except InputError as error:
            problem = problem or error
        except ModelError as error:
            problem = error
        else:
            if not any(_shows_nothing(array) for array in case.expected.values()):
                return arrays, case
            poor = poor or (arrays, case)
    if poor is not None:
        return poor
    raise ModelError(f"the result cannot be verified: {problem}; or skip the verification") from problem


def _shows_nothing(output: NDArray[Any]) -> bool:
    """Whether an output is empty, or has no finite number: a window was larger than what it looks at."""
    return output.size == 0 or (output.dtype.kind == "f" and not np.isfinite(output).any())


def _sizes(inputs: Sequence[DeclaredInput]) -> Sequence[int | None]:
    """The sizes to try for open dimensions; None alone where the inputs have none."""
    names = batch_names(inputs)
    is_open = any(
        declared.dims is not None
        and any(not isinstance(dim, int) and dim not in names for dim in declared.dims[1:])
        for declared in inputs
    )
    return _GUESSED_SIZES if is_open else _NO_OPEN_SIZE


def _draw(inputs: Sequence[DeclaredInput], size: int | None) -> _Inputs:
    """Random inputs with a size for the open dimensions."""
    names = batch_names(inputs)
    rng = np.random.default_rng(_SEED)
    arrays = {}
    for declared in inputs:
        shape = resolved_shape(_with_size(declared, size, names), names)
        arrays[declared.name] = random_array(declared, shape, _MAGNITUDE, rng)
    return arrays


def _with_size(declared: DeclaredInput, size: int | None, names: frozenset[str]) -> DeclaredInput:
    """The input with a size for its open dimensions, but for those in `names`, which count a batch."""
    if size is None or declared.dims is None:
        return declared
    dims = tuple(
        size if axis and not isinstance(dim, int) and dim not in names else dim
        for axis, dim in enumerate(declared.dims)
    )
    return replace(declared, dims=dims)
