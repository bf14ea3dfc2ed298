"""Does a piece of a model still fail, and in the same way?"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import onnx_ir as ir

from normdeploy.budget import restart_clock
from normdeploy.dtypes import Array, is_floating
from normdeploy.errors import BackendFailure
from normdeploy.reference import Evaluator
from normdeploy.validation.compare import TensorComparison, compare
from normdeploy.validation.localize.execution import RunModel
from normdeploy.validation.localize.judging import Judgement
from normdeploy.validation.tolerance import Tolerance

_SIGNAL = re.compile(r"\bSIG[A-Z]+\b")
_WORD = re.compile(r"[A-Za-z]{3,}")
_PARTICULAR = re.compile(r"'[^']*'|\S*[/\\]\S*")
"""What is quoted, and paths."""

_SHOWN = ("elements", "wrong", "max_abs_error", "max_rel_error", "noise_ratio", "nan", "inf", "misplaced")

Arrays = Mapping[str, Array]
Status = Literal["mismatch", "crashed", "timeout"]

_CLEARLY_WRONG = 4.0
"""Error over allowed error of a piece that counts, where the whole model's is larger. Many pieces are tried,
and one that merely rounds badly would be taken for the defect."""

_SAME_WORDS = 0.5
"""Share of the words of two reasons that are the same, from which they are the same failure."""


@dataclass(frozen=True)
class Piece:
    """A model with one set of inputs.

    Args:
        model: what is deployed.
        original: what is right; None where the model is its own reference.
        inputs: of both, by name, in the declared types.
    """

    model: ir.Model
    original: ir.Model | None
    inputs: Arrays

    @property
    def names(self) -> list[str]:
        """The names of its nodes' operators, for messages."""
        return [node.op_type for node in self.model.graph]


@dataclass(frozen=True)
class Failure:
    """How a piece fails.

    Args:
        status: numbers are wrong, or the backend's process ends or hangs.
        reason: one line.
        outputs: the wrong ones, by name; empty where there are no numbers.
        worst: where in each of them the largest error is.
    """

    status: Status
    reason: str = ""
    outputs: Mapping[str, TensorComparison] = field(default_factory=dict)
    worst: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """The largest error over what is allowed; 0 without numbers."""
        return max((found.noise_ratio for found in self.outputs.values()), default=0.0)


def shown_numbers(found: TensorComparison) -> dict[str, Any]:
    """Those of a comparison that say how a single piece fails, in the plain types that JSON has."""
    return {name: getattr(found, name) for name in _SHOWN}


Oracle = Callable[[Piece], Failure | None]
"""Says how a piece fails; None if it is right, or if nobody can tell."""


def in_backend(run: RunModel, judgement: Judgement, tolerance: Tolerance | None) -> Oracle:
    """A piece fails if the backend gives wrong numbers for it, or none.

    A tolerance of the user's has to be missed as well as what rounding explains: inner tensors have other
    sizes than the outputs that it was meant for, and a right node must not be called wrong.

    Args:
        run: runs a model in the backend.
        judgement: judges what it gives.
        tolerance: the user's own; None to go by rounding alone.
    """

    def ask(piece: Piece) -> Failure | None:
        restart_clock()
        try:
            actual = run(piece.model, piece.inputs)
        except BackendFailure as failure:
            if failure.status == "unavailable":
                raise
            return Failure(failure.status, failure.reason)
        right = piece.original or piece.model
        expected = Evaluator(right).run(piece.inputs, list(actual))
        if tolerance and not any(_misses(array, expected[name], tolerance) for name, array in actual.items()):
            return None
        judge = judgement(piece.model, right, piece.inputs)
        found = {name: judge.compare(name, array) for name, array in actual.items()}
        return _mismatch(found, actual, expected, tolerance)

    return ask


def in_graphs(judgement: Judgement, tolerance: Tolerance | None) -> Oracle:
    """A piece fails if its graph and the original's compute different numbers in float64.

    Args:
        judgement: judges them.
        tolerance: the user's own; None to allow what rounding of weights explains.
    """

    def ask(piece: Piece) -> Failure | None:
        restart_clock()
        assert piece.original is not None
        judge = judgement(piece.model, piece.original, piece.inputs)
        names = [str(value.name) for value in piece.model.graph.outputs]
        found = {name: judge.compare_graph(name) for name in names}
        actual = Evaluator(piece.model).run(piece.inputs)
        expected = Evaluator(piece.original).run(piece.inputs, names)
        return _mismatch(found, actual, expected, tolerance)

    return ask


def like(failure: Failure, oracle: Oracle) -> Oracle:
    """An oracle that counts only what fails as this failure does, and that no piece can end.

    Args:
        failure: of the whole model.
        oracle: asked about each piece.
    """
    clearly = min(_CLEARLY_WRONG, failure.ratio)

    def ask(piece: Piece) -> Failure | None:
        try:
            found = oracle(piece)
        except BackendFailure:
            raise
        except Exception:  # of any kind: the piece may be one that nothing can write, run or compute
            return None
        if found is None or found.status != failure.status:
            return None
        if failure.status == "crashed" and not _same_reason(found.reason, failure.reason):
            return None
        if failure.status != "mismatch":
            return found
        wrong = {
            name: comparison
            for name, comparison in found.outputs.items()
            if comparison.noise_ratio >= clearly
        }
        return replace(found, outputs=wrong) if wrong else None

    return ask


def _mismatch(
    found: Mapping[str, TensorComparison], actual: Arrays, expected: Arrays, tolerance: Tolerance | None
) -> Failure | None:
    wrong = {
        name: comparison
        for name, comparison in found.items()
        if comparison.wrong and (tolerance is None or _misses(actual[name], expected[name], tolerance))
    }
    if not wrong:
        return None
    name, worst = max(wrong.items(), key=lambda item: item[1].noise_ratio)
    reason = f"output '{name}': {worst.wrong} of {worst.elements} elements are wrong"
    places = {name: _place_of_largest(actual[name], expected[name]) for name in wrong}
    return Failure("mismatch", reason, wrong, places)


def _place_of_largest(actual: Array, expected: Array) -> tuple[int, ...]:
    """The index of the largest error; of the first element, where errors have no size."""
    if actual.shape != expected.shape or not actual.size or actual.dtype.kind in "OSTU":
        return (0,) * actual.ndim
    with np.errstate(all="ignore"):
        error = np.abs(actual.astype(np.complex128) - expected.astype(np.complex128))
    return tuple(int(index) for index in np.unravel_index(np.argmax(error), error.shape))


def _misses(actual: Array, expected: Array, tolerance: Tolerance) -> bool:
    if actual.shape != expected.shape or is_floating(actual.dtype) != is_floating(expected.dtype):
        return True
    with np.errstate(all="ignore"):
        return compare(actual, expected, tolerance.allowed(expected)).wrong > 0


def _same_reason(one: str, other: str) -> bool:
    """Whether two messages name the same signal, if any, and have most words in common.

    What they quote and count does not matter.
    """
    if _SIGNAL.findall(one) != _SIGNAL.findall(other):
        return False
    left, right = (set(_WORD.findall(_PARTICULAR.sub("", text))) for text in (one, other))
    return not left | right or len(left & right) >= _SAME_WORDS * len(left | right)
